locals {
  # One entry per file of lambda_src/bedrock_batch/handlers. Memory also sizes the CPU: 1769 MB is one full core.
  # Many accounts may have 3008 MB at most, whatever Lambda's own limit is.
  # `reads` and `writes` are the kinds of keys below local.root that it works with; what it writes it reads too.
  functions = {
    claim_run        = { memory_mb = 256, timeout_seconds = 60, libraries = false, reads = [], writes = ["claims"] }
    plan_run         = { memory_mb = 3008, timeout_seconds = 900, libraries = true, reads = ["config"], writes = ["work"] }
    prepare_shard    = { memory_mb = 1769, timeout_seconds = 900, libraries = true, reads = [], writes = ["work"] }
    review_run       = { memory_mb = 512, timeout_seconds = 300, libraries = false, reads = [], writes = ["work", "reports"] }
    gather_leftovers = { memory_mb = 1024, timeout_seconds = 300, libraries = false, reads = [], writes = ["work", "reports"] }
    pool_leftovers   = { memory_mb = 1024, timeout_seconds = 900, libraries = false, reads = [], writes = ["work"] }
    answer_on_demand = { memory_mb = 512, timeout_seconds = 900, libraries = false, reads = [], writes = ["work"] }
    join_shard       = { memory_mb = 2048, timeout_seconds = 900, libraries = true, reads = [], writes = ["work", "output"] }
    finish_run       = { memory_mb = 1024, timeout_seconds = 300, libraries = false, reads = ["work"], writes = ["reports"] }
  }

  # These read what users name in the input of a run.
  input_readers = ["plan_run", "prepare_shard"]

  function_log_groups = { for name, function_name in local.function_names : name => "/aws/lambda/${function_name}" }

  function_names = { for name, function in local.functions : name => "${local.prefix}-${replace(name, "_", "-")}" }

  # From the names, so that a change of code does not make a plan show every policy as unknown. The star is the version:
  # nobody calls a function without one.
  invoked_function_arns = {
    for name, function_name in local.function_names :
    name => "arn:${local.partition}:lambda:${local.region}:${local.account}:function:${function_name}:*"
  }

  # Functions that touch rows keep the memory they have freed. By default what is larger than 128 KB goes back to the
  # kernel at once, which clears it, page by page, before it gives it out anew: a tenth to a fifth of a join's time.
  # And NumPy's linear algebra, which none of them uses, starts no threads that spin while the rest is imported.
  libraries_environment = {
    MALLOC_ARENA_MAX          = "1"
    MALLOC_MMAP_THRESHOLD_    = "33554432"
    MALLOC_TRIM_THRESHOLD_    = "268435456"
    ARROW_DEFAULT_MEMORY_POOL = "system"
    OPENBLAS_NUM_THREADS      = "1"
  }

  function_environments = {
    for name, function in local.functions : name => merge(
      function.libraries ? local.libraries_environment : {},
      contains(local.encrypted, "data") ? { KMS_KEY_ARN = local.key_arns.data } : {},
      name == "plan_run" ? { SETTINGS_URI = "s3://${aws_s3_object.settings.bucket}/${aws_s3_object.settings.key}" } : {},
      name == "finish_run" ? { INVENTORY_TABLE_NAME = local.inventory_name } : {},
    )
  }
}

resource "aws_cloudwatch_log_group" "function" {
  #checkov:skip=CKV_AWS_158:`encryption` sets the key of the logs.
  #checkov:skip=CKV_AWS_338:`retention.log_days` sets how long logs are kept; they hold no rows, and a year of them is a choice.

  for_each = local.functions

  name              = local.function_log_groups[each.key]
  retention_in_days = var.retention.log_days
  kms_key_id        = local.key_arns.logs
  tags              = local.tags
}

# Every change publishes a version, and the state machines name it: a run that goes on keeps the code, the settings and
# the libraries that it began with, whatever is applied meanwhile. A redrive goes on with the definition that the run
# began with, so old versions are never deleted here: a run may need one for as long as retention.work_days. They cost
# nothing but a part of the 75 GB that Lambda gives an account for code; `terraform destroy` deletes them with the function.
resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_50:`logging.tracing` sets it; it is off by default, as every trace of a run with thousands of jobs costs money.
  #checkov:skip=CKV_AWS_116:A dead letter queue is for asynchronous calls. Step Functions calls and waits, and has the error itself.
  #checkov:skip=CKV_AWS_117:`network` sets the subnets.
  #checkov:skip=CKV_AWS_173:`encryption` sets the key. The variables are settings of memory, the URI of the settings and the name of the inventory, no secrets.
  #checkov:skip=CKV_AWS_272:A signing profile belongs to an account. The hash of the package is in the plan (source_code_hash).

  for_each = local.functions

  publish                        = true
  function_name                  = local.function_names[each.key]
  role                           = aws_iam_role.function[each.key].arn
  runtime                        = "python3.13"
  architectures                  = [var.functions.architecture]
  handler                        = "bedrock_batch.handlers.${each.key}.handler"
  s3_bucket                      = local.objects.code.bucket
  s3_key                         = local.objects.code.key
  source_code_hash               = local.objects.code.sha256
  layers                         = each.value.libraries ? [local.layer_arn] : []
  memory_size                    = lookup(var.functions.memory_mb, each.key, each.value.memory_mb)
  timeout                        = each.value.timeout_seconds
  reserved_concurrent_executions = lookup(var.functions.reserved_concurrency, each.key, -1)
  kms_key_arn                    = local.key_arns.functions

  dynamic "environment" {
    for_each = [for variables in [local.function_environments[each.key]] : variables if length(variables) > 0]

    content {
      variables = environment.value
    }
  }

  dynamic "vpc_config" {
    for_each = var.network == null ? [] : [var.network]

    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  dynamic "tracing_config" {
    for_each = var.logging.tracing ? [1] : []

    content {
      mode = "Active"
    }
  }

  logging_config {
    log_format            = "JSON"
    log_group             = aws_cloudwatch_log_group.function[each.key].name
    application_log_level = "INFO"
    system_log_level      = "WARN"
  }

  tags = local.tags

  depends_on = [aws_iam_role_policy.function, terraform_data.packaged]
}

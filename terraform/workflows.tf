locals {
  # One entry per machine that is deployed. `maps`: it starts children, and works on the files of a run.
  machines = {
    run       = { type = "STANDARD", maps = true }
    job_event = { type = "EXPRESS", maps = false }
    stop_run  = { type = "STANDARD", maps = true }
  }

  machine_log_groups = { for name, machine_name in local.machine_names : name => "/aws/vendedlogs/states/${machine_name}" }

  machine_names = { for name, machine in local.machines : name => "${local.prefix}-${replace(name, "_", "-")}" }

  # From the names and not from the resources: a machine that starts its own children would otherwise depend on itself.
  machine_arns = {
    for name, machine_name in local.machine_names :
    name => "arn:${local.partition}:states:${local.region}:${local.account}:stateMachine:${machine_name}"
  }
  execution_arns = {
    for name, machine_name in local.machine_names :
    name => "arn:${local.partition}:states:${local.region}:${local.account}:execution:${machine_name}"
  }

  # A run can be redriven until 14 days after its end, and its files must be there until then. Step Functions ends a run
  # after a year.
  run_timeout_seconds = min(var.retention.work_days - 14, 365) * 86400

  # Everything that a file of asl/ may name as ${…}. The functions with their versions.
  placeholders = merge(
    { for name, function in aws_lambda_function.this : "${name}_function_arn" => function.qualified_arn },
    {
      partition                   = local.partition
      bucket_name                 = local.bucket_name
      root                        = local.root
      inventory_table_name        = local.inventory_name
      inventory_retention_seconds = coalesce(var.retention.inventory_days, max(90, var.retention.work_days)) * 86400
      shard_concurrency           = var.functions.shard_concurrency
      name                        = var.name
      metrics_namespace           = local.metrics_namespace
    },
  )
}

# Below /aws/vendedlogs/ log delivery does not use up the account's one small resource policy for logs.
resource "aws_cloudwatch_log_group" "machine" {
  #checkov:skip=CKV_AWS_158:`encryption` sets the key of the logs.
  #checkov:skip=CKV_AWS_338:`retention.log_days` sets how long logs are kept; they hold no rows, and a year of them is a choice.

  for_each = local.machines

  name              = local.machine_log_groups[each.key]
  retention_in_days = var.retention.log_days
  kms_key_id        = local.key_arns.logs
  tags              = local.tags
}

resource "aws_sfn_state_machine" "this" {
  #checkov:skip=CKV_AWS_284:`logging.tracing` sets it; it is off by default, as every trace of a run with thousands of jobs costs money.
  #checkov:skip=CKV_AWS_285:It asks for include_execution_data, which writes task tokens into the log: who has one can end a job's wait.

  for_each = local.machines

  name       = local.machine_names[each.key]
  type       = each.value.type
  role_arn   = aws_iam_role.machine[each.key].arn
  definition = local.definitions[each.key]

  logging_configuration {
    level                  = var.logging.level
    include_execution_data = var.logging.include_execution_data
    log_destination        = "${aws_cloudwatch_log_group.machine[each.key].arn}:*"
  }

  dynamic "encryption_configuration" {
    for_each = contains(local.encrypted, "workflows") ? [local.key_arns.workflows] : []

    content {
      type                              = "CUSTOMER_MANAGED_KMS_KEY"
      kms_key_id                        = encryption_configuration.value
      kms_data_key_reuse_period_seconds = 300
    }
  }

  dynamic "tracing_configuration" {
    for_each = var.logging.tracing ? [1] : []

    content {
      enabled = true
    }
  }

  tags = local.tags

  depends_on = [aws_iam_role_policy.machine]
}

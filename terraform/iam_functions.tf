# What runs may read besides what the installation's runs wrote: bucket and prefix. An empty prefix is the whole bucket.
locals {
  input_locations = concat(
    local.own_bucket ? [{ bucket = local.bucket_name, prefix = "" }] : [],
    [for name in sort(var.inputs.buckets) : { bucket = name, prefix = "" }],
    [for uri in sort(var.inputs.locations) : regex("^s3://(?P<bucket>[^/]+)/?(?P<prefix>.*)$", uri)],
  )

  input_arns = [for location in local.input_locations : "arn:${local.partition}:s3:::${location.bucket}/${location.prefix}*"]

  # Buckets that may be listed as a whole; of the others, the prefixes that may be.
  input_buckets  = [for location in local.input_locations : location.bucket if location.prefix == ""]
  input_prefixes = { for location in local.input_locations : location.bucket => location.prefix... if location.prefix != "" }

  # The plan looks whether a prefix belongs to a table with a log, which lies in a folder above: of that it reads no object.
  # As _LOGS of bedrock_batch/table/input_files.py.
  log_prefixes = {
    for bucket, prefixes in local.input_prefixes : bucket => distinct(flatten([
      for prefix in prefixes : [
        for folders in [split("/", trimsuffix(prefix, "/"))] : [
          for depth in range(length(folders)) : [
            for log in ["_delta_log/", ".hoodie/", "metadata/"] : join("/", concat(slice(folders, 0, depth), [log]))
          ]
        ]
      ]
    ]))
  }
}

# What `network` names, as ARNs.
locals {
  ec2_arns            = "arn:${local.partition}:ec2:${local.region}:${local.account}"
  interface_arns      = "${local.ec2_arns}:network-interface/*"
  subnet_arns         = var.network == null ? [] : [for id in sort(var.network.subnet_ids) : "${local.ec2_arns}:subnet/${id}"]
  security_group_arns = var.network == null ? [] : [for id in sort(var.network.security_group_ids) : "${local.ec2_arns}:security-group/${id}"]
}

# Lambda documents no source ARN for the moment it assumes a role, so the account is the only condition;
# iam:PassRole decides which function gets a role.
data "aws_iam_policy_document" "function_trust" {
  statement {
    sid     = "LambdaOfThisAccount"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_iam_role" "function" {
  for_each = local.functions

  # Roles are global: with the Region, one name can live in several Regions.
  name                 = "${local.role_names[each.key]}-${local.region}"
  description          = "Lets the function ${local.function_names[each.key]} do its work"
  path                 = var.roles.path
  assume_role_policy   = data.aws_iam_policy_document.function_trust.json
  permissions_boundary = var.roles.permissions_boundary_arn
  tags                 = local.tags
}

data "aws_iam_policy_document" "function" {
  for_each = local.functions

  statement {
    sid       = "WriteLog"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.function[each.key].arn}:*"]
  }

  # A conditional write reads too.
  statement {
    sid       = "ReadRuns"
    actions   = ["s3:GetObject"]
    resources = [for kind in concat(each.value.reads, each.value.writes) : "${local.root_arn}/${kind}/*"]
  }

  statement {
    sid       = "WriteRuns"
    actions   = ["s3:PutObject", "s3:AbortMultipartUpload"]
    resources = [for kind in each.value.writes : "${local.root_arn}/${kind}/*"]
  }

  # Who may not list a key cannot distinguish an object that is missing from one that is forbidden.
  statement {
    sid       = "ListRuns"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket_arn]

    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["${local.root}/*"]
    }
  }

  # Runs read tables that other runs wrote, and the module's own bucket is a place for inputs: whoever may start a run may
  # have any of these objects read.
  dynamic "statement" {
    for_each = contains(local.input_readers, each.key) ? [1] : []

    content {
      sid       = "ReadInputs"
      actions   = ["s3:GetObject"]
      resources = concat(["${local.root_arn}/*"], local.input_arns)
    }
  }

  dynamic "statement" {
    for_each = contains(local.input_readers, each.key) && length(local.input_buckets) > 0 ? [1] : []

    content {
      sid       = "ListInputs"
      actions   = ["s3:ListBucket"]
      resources = [for name in local.input_buckets : "arn:${local.partition}:s3:::${name}"]
    }
  }

  # One for each bucket, as a condition goes for all resources of a statement.
  dynamic "statement" {
    for_each = contains(local.input_readers, each.key) ? keys(local.input_prefixes) : []

    content {
      sid       = "ListInputsByPrefix${statement.key}"
      actions   = ["s3:ListBucket"]
      resources = ["arn:${local.partition}:s3:::${statement.value}"]

      condition {
        test     = "StringLike"
        variable = "s3:prefix"
        values = concat(
          [for prefix in local.input_prefixes[statement.value] : "${prefix}*"],
          each.key == "plan_run" ? local.log_prefixes[statement.value] : [],
        )
      }
    }
  }

  dynamic "statement" {
    for_each = contains(local.input_readers, each.key) && length(var.inputs.kms_key_arns) > 0 ? [1] : []

    content {
      sid       = "DecryptInputs"
      actions   = ["kms:Decrypt"]
      resources = sort(var.inputs.kms_key_arns)
    }
  }

  dynamic "statement" {
    for_each = contains(local.input_readers, each.key) && length(var.inputs.secret_arns) > 0 ? [1] : []

    content {
      sid       = "ReadHubTokens"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = sort(var.inputs.secret_arns)
    }
  }

  # Lambda decrypts the environment with the function's role.
  dynamic "statement" {
    for_each = length(setintersection(local.encrypted, ["data", "functions"])) > 0 ? [var.encryption.kms_key_arn] : []

    content {
      sid       = "UseKey"
      actions   = concat(["kms:Decrypt"], contains(local.encrypted, "data") ? ["kms:GenerateDataKey"] : [])
      resources = [statement.value]
    }
  }

  # Lambda makes the interfaces by which a function reaches its subnets, with the function's role.
  dynamic "statement" {
    for_each = var.network == null ? [] : [1]

    content {
      sid     = "SeeNetwork"
      actions = ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"]
      # These actions know no resource.
      resources = ["*"]
    }
  }

  dynamic "statement" {
    for_each = var.network == null ? [] : [1]

    content {
      sid       = "MakeInterfaces"
      actions   = ["ec2:CreateNetworkInterface"]
      resources = concat([local.interface_arns], local.subnet_arns, local.security_group_arns)
    }
  }

  dynamic "statement" {
    for_each = var.network == null ? [] : [1]

    content {
      sid     = "HandleInterfaces"
      actions = ["ec2:AssignPrivateIpAddresses", "ec2:DeleteNetworkInterface", "ec2:UnassignPrivateIpAddresses"]
      # Lambda's documentation warns: with a narrower resource for the deletion the function may not reach the VPC.
      resources = ["${local.ec2_arns}:*/*"]
    }
  }

  # That is for Lambda alone: the code in the function may do none of it.
  dynamic "statement" {
    for_each = var.network == null ? [] : [1]

    content {
      sid    = "NotByTheCode"
      effect = "Deny"
      actions = [
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:UnassignPrivateIpAddresses",
      ]
      resources = ["*"]

      condition {
        test     = "ArnEquals"
        variable = "lambda:SourceFunctionArn"
        values   = ["arn:${local.partition}:lambda:${local.region}:${local.account}:function:${local.function_names[each.key]}"]
      }
    }
  }

  dynamic "statement" {
    for_each = var.logging.tracing ? [1] : []

    content {
      sid     = "Trace"
      actions = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
      # These actions know no resource.
      resources = ["*"]
    }
  }

  dynamic "statement" {
    for_each = each.key == "plan_run" ? [1] : []

    content {
      sid     = "LookUpQuotas"
      actions = ["servicequotas:ListServiceQuotas", "servicequotas:ListAWSDefaultServiceQuotas"]
      # These actions know no resource.
      resources = ["*"]
    }
  }

  # Which prompt of Bedrock Prompt Management a run uses is said in its input, so it may be any of the account's.
  dynamic "statement" {
    for_each = each.key == "plan_run" ? [1] : []

    content {
      sid       = "ReadPrompts"
      actions   = ["bedrock:GetPrompt"]
      resources = ["arn:${local.partition}:bedrock:${local.region}:${local.account}:prompt/*"]
    }
  }

  # The name of an application profile does not say which model it calls, so the plan asks Bedrock.
  dynamic "statement" {
    for_each = each.key == "plan_run" && length(local.application_profile_arns) > 0 ? [1] : []

    content {
      sid       = "LookUpListedProfiles"
      actions   = ["bedrock:GetInferenceProfile"]
      resources = sort(local.application_profile_arns)
    }
  }

  dynamic "statement" {
    for_each = contains(["review_run", "gather_leftovers", "finish_run"], each.key) ? [1] : []

    content {
      sid     = "ListJobs"
      actions = ["bedrock:ListModelInvocationJobs"]
      # This action knows no resource.
      resources = ["*"]
    }
  }

  # When jobs began to run. Their items also have task tokens, which the function may not read.
  dynamic "statement" {
    for_each = each.key == "finish_run" ? [1] : []

    content {
      sid       = "ReadStartsOfJobs"
      actions   = ["dynamodb:Query"]
      resources = ["${local.inventory_arn}/index/by_run"]

      condition {
        test     = "ForAllValues:StringEquals"
        variable = "dynamodb:Attributes"
        values   = ["pk", "run_id", "running_at"]
      }

      condition {
        test     = "StringEquals"
        variable = "dynamodb:Select"
        values   = ["SPECIFIC_ATTRIBUTES"]
      }
    }
  }

  # On demand the models are called as jobs call them: the listed ones but custom models, and those behind listed profiles.
  dynamic "statement" {
    for_each = each.key == "answer_on_demand" && length(concat(local.invoked_model_arns, local.profile_arns)) > 0 ? [1] : []

    content {
      sid       = "InvokeListedModels"
      actions   = ["bedrock:InvokeModel"]
      resources = concat(local.invoked_model_arns, local.profile_arns)
    }
  }

  dynamic "statement" {
    for_each = each.key == "answer_on_demand" && length(local.profile_arns) > 0 ? [1] : []

    content {
      sid       = "InvokeModelsThroughListedProfiles"
      actions   = ["bedrock:InvokeModel"]
      resources = local.profile_model_arns

      condition {
        test     = "StringEquals"
        variable = "bedrock:InferenceProfileArn"
        values   = local.profile_arns
      }
    }
  }
}

resource "aws_iam_role_policy" "function" {
  for_each = local.functions

  name   = "work"
  role   = aws_iam_role.function[each.key].id
  policy = data.aws_iam_policy_document.function[each.key].json

  lifecycle {
    precondition {
      condition     = length(replace(data.aws_iam_policy_document.function[each.key].json, "/\\s/", "")) <= 10240
      error_message = "The policy of the function ${local.function_names[each.key]} would have more than the 10,240 characters that IAM allows. Give fewer inputs.locations (one prefix above several of them, or the whole bucket in inputs.buckets), fewer keys and secrets in inputs, or fewer models."
    }
  }
}

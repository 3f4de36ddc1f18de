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
  name                 = "${local.function_names[each.key]}-${local.region}"
  description          = "Lets the function ${local.function_names[each.key]} do its work"
  path                 = var.role_path
  assume_role_policy   = data.aws_iam_policy_document.function_trust.json
  permissions_boundary = var.permissions_boundary_arn
  tags                 = local.tags
}

data "aws_iam_policy_document" "function" {
  for_each = local.functions

  statement {
    sid       = "WriteLog"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.function[each.key].arn}:*"]
  }

  statement {
    sid       = "ReadAndWriteRuns"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"]
    resources = ["${local.bucket_arn}/runs/*"]
  }

  statement {
    sid       = "ListRuns"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket_arn]
  }

  # The runs bucket is a place for inputs too: whoever may start a run may have any object of it read.
  dynamic "statement" {
    for_each = each.value.reads_inputs ? [1] : []

    content {
      sid       = "ReadInputs"
      actions   = ["s3:GetObject"]
      resources = concat(["${local.bucket_arn}/*"], [for name in sort(var.inputs.buckets) : "arn:${local.partition}:s3:::${name}/*"])
    }
  }

  dynamic "statement" {
    for_each = each.value.reads_inputs && length(var.inputs.buckets) > 0 ? [1] : []

    content {
      sid       = "ListInputs"
      actions   = ["s3:ListBucket"]
      resources = [for name in sort(var.inputs.buckets) : "arn:${local.partition}:s3:::${name}"]
    }
  }

  dynamic "statement" {
    for_each = each.value.reads_inputs && length(var.inputs.kms_key_arns) > 0 ? [1] : []

    content {
      sid       = "DecryptInputs"
      actions   = ["kms:Decrypt"]
      resources = sort(var.inputs.kms_key_arns)
    }
  }

  dynamic "statement" {
    for_each = each.value.reads_inputs && length(var.inputs.secret_arns) > 0 ? [1] : []

    content {
      sid       = "ReadHubTokens"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = sort(var.inputs.secret_arns)
    }
  }

  dynamic "statement" {
    for_each = var.encryption == null ? [] : [var.encryption.kms_key_arn]

    content {
      sid       = "UseKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
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
    for_each = contains(["review_run", "gather_leftovers"], each.key) ? [1] : []

    content {
      sid     = "CountJobs"
      actions = ["bedrock:ListModelInvocationJobs"]
      # This action knows no resource.
      resources = ["*"]
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
}

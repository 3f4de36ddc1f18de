locals {
  job_arns = "arn:${local.partition}:bedrock:${local.region}:${local.account}:model-invocation-job/*"

  log_delivery_actions = [
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
  ]

  machine_policies = {
    run       = data.aws_iam_policy_document.run.json
    job_event = data.aws_iam_policy_document.job_event.json
    stop_run  = data.aws_iam_policy_document.stop_run.json
  }
}

data "aws_iam_policy_document" "machine_trust" {
  for_each = local.machine_arns

  statement {
    sid     = "OnlyThisStateMachine"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["states.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }

    # The second form is that of the children of a Distributed Map.
    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = [each.value, "${each.value}/*"]
    }
  }
}

resource "aws_iam_role" "machine" {
  for_each = local.machines

  name                 = "${local.role_names[each.key]}-${local.region}"
  description          = "Lets the state machine ${local.machine_names[each.key]} do its work"
  path                 = var.roles.path
  assume_role_policy   = data.aws_iam_policy_document.machine_trust[each.key].json
  permissions_boundary = var.roles.permissions_boundary_arn
  tags                 = local.tags
}

resource "aws_iam_role_policy" "machine" {
  for_each = local.machines

  name   = "work"
  role   = aws_iam_role.machine[each.key].id
  policy = local.machine_policies[each.key]

  lifecycle {
    precondition {
      condition     = length(replace(local.machine_policies[each.key], "/\\s/", "")) <= 10240
      error_message = "The policy of the state machine ${local.machine_names[each.key]} would have more than the 10,240 characters that IAM allows. Give fewer models, or a shorter roles.path."
    }
  }
}

# --- what all machines have in common

data "aws_iam_policy_document" "every_machine" {
  for_each = local.machines

  statement {
    sid     = "DeliverLog"
    actions = local.log_delivery_actions
    # Log delivery belongs to the account; these actions know no resource.
    resources = ["*"]
  }

  dynamic "statement" {
    for_each = contains(local.encrypted, "workflows") ? [local.key_arns.workflows] : []

    content {
      sid       = "UseKeyOfMachines"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]

      condition {
        test     = "ArnLike"
        variable = "kms:EncryptionContext:aws:states:stateMachineArn"
        values   = local.encryption_contexts[each.key]
      }
    }
  }

  dynamic "statement" {
    for_each = contains(local.encrypted, "workflows") ? [local.key_arns.workflows] : []

    content {
      sid       = "EncryptLog"
      actions   = ["kms:GenerateDataKey"]
      resources = [statement.value]

      condition {
        test     = "StringEquals"
        variable = "kms:EncryptionContext:SourceArn"
        values   = ["arn:${local.partition}:logs:${local.region}:${local.account}:*"]
      }
    }
  }

  dynamic "statement" {
    for_each = var.logging.tracing ? [1] : []

    content {
      sid = "Trace"
      actions = [
        "xray:GetSamplingRules",
        "xray:GetSamplingTargets",
        "xray:PutTelemetryRecords",
        "xray:PutTraceSegments",
      ]
      # These actions know no resource.
      resources = ["*"]
    }
  }
}

# --- what machines with Distributed Maps have in common

data "aws_iam_policy_document" "maps" {
  for_each = { for name, machine in local.machines : name => machine if machine.maps }

  source_policy_documents = [data.aws_iam_policy_document.every_machine[each.key].json]

  statement {
    sid     = "FindJobs"
    actions = ["bedrock:ListModelInvocationJobs"]
    # This action knows no resource.
    resources = ["*"]
  }

  statement {
    sid       = "KeepInventory"
    actions   = ["dynamodb:UpdateItem"]
    resources = [local.inventory_arn]
  }

  statement {
    sid       = "StartChildren"
    actions   = ["states:StartExecution"]
    resources = [local.machine_arns[each.key]]
  }

  statement {
    sid       = "HandleChildren"
    actions   = ["states:DescribeExecution", "states:StopExecution", "states:RedriveExecution"]
    resources = ["${local.execution_arns[each.key]}:*", "${local.execution_arns[each.key]}/*:*"]
  }

  statement {
    sid       = "ReadItemsAndWriteResults"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"]
    resources = ["${local.root_arn}/work/*"]
  }

  # The Maps need it to read their items; stop_run looks for a run's lists of jobs with it.
  statement {
    sid       = "ListRuns"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket_arn]

    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = concat(["${local.root}/work/*"], each.key == "stop_run" ? ["${local.root}/claims/*"] : [])
    }
  }

  dynamic "statement" {
    for_each = contains(local.encrypted, "data") ? [local.key_arns.data] : []

    content {
      sid       = "UseKey"
      actions   = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }
}

# --- run

data "aws_iam_policy_document" "run" {
  source_policy_documents = [data.aws_iam_policy_document.maps["run"].json]

  statement {
    sid       = "InvokeFunctions"
    actions   = ["lambda:InvokeFunction"]
    resources = values(local.invoked_function_arns)
  }

  # For a profile, Create needs the models behind it too, and knows no condition on the profile. The name of an application
  # profile does not say which models it calls, so such a profile opens all. The service role decides what a job may call.
  statement {
    sid       = "CreateJobs"
    actions   = ["bedrock:CreateModelInvocationJob"]
    resources = concat(local.model_arns, local.profile_arns, local.profile_model_arns, [local.job_arns])
  }

  statement {
    sid       = "HandleJobs"
    actions   = ["bedrock:GetModelInvocationJob", "bedrock:TagResource"]
    resources = [local.job_arns]
  }

  statement {
    sid       = "GiveJobsTheServiceRole"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.service.arn]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["bedrock.amazonaws.com"]
    }
  }

  statement {
    sid     = "MeasurePendingJobs"
    actions = ["cloudwatch:PutMetricData"]
    # This action knows no resource.
    resources = ["*"]

    condition {
      test     = "StringEquals"
      variable = "cloudwatch:namespace"
      values   = [local.metrics_namespace]
    }
  }

  statement {
    sid       = "AnnounceEnds"
    actions   = ["events:PutEvents"]
    resources = ["arn:${local.partition}:events:${local.region}:${local.account}:event-bus/default"]

    condition {
      test     = "StringEquals"
      variable = "events:source"
      values   = [local.end_event.source]
    }

    condition {
      test     = "StringEquals"
      variable = "events:detail-type"
      values   = [local.end_event.detail_type]
    }
  }
}

# --- job_event

data "aws_iam_policy_document" "job_event" {
  source_policy_documents = [data.aws_iam_policy_document.every_machine["job_event"].json]

  statement {
    sid       = "KeepInventory"
    actions   = ["dynamodb:UpdateItem"]
    resources = [local.inventory_arn]
  }

  statement {
    sid     = "WakeJobs"
    actions = ["states:SendTaskSuccess"]
    # IAM lists no resource for this action, and what a child of a Distributed Map counts as is not documented.
    # The token is the key: only the inventory holds any, and this role can read no other table.
    resources = ["*"]
  }

  dynamic "statement" {
    for_each = contains(local.encrypted, "data") ? [local.key_arns.data] : []

    content {
      sid       = "UseKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }
}

# --- stop_run

data "aws_iam_policy_document" "stop_run" {
  source_policy_documents = [data.aws_iam_policy_document.maps["stop_run"].json]

  statement {
    sid       = "SeeHowRunsEnded"
    actions   = ["states:DescribeExecution"]
    resources = ["${local.execution_arns["run"]}:*"]
  }

  statement {
    sid       = "StopJobs"
    actions   = ["bedrock:StopModelInvocationJob", "bedrock:GetModelInvocationJob"]
    resources = [local.job_arns]
  }

  statement {
    sid       = "FindJobsOfRun"
    actions   = ["dynamodb:Query"]
    resources = ["${local.inventory_arn}/index/by_run"]
  }

  # A claim says which execution has a run, and which versions of the functions it began with.
  statement {
    sid       = "ReadClaims"
    actions   = ["s3:GetObject"]
    resources = ["${local.root_arn}/claims/*"]
  }

  statement {
    sid       = "InvokeFunctions"
    actions   = ["lambda:InvokeFunction"]
    resources = [for name in ["gather_leftovers", "join_shard", "finish_run"] : local.invoked_function_arns[name]]
  }
}

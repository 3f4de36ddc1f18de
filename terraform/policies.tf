# What people and services need. Nothing here is attached to anybody: the outputs are for roles of yours.
locals {
  # Where a client puts the tables that it uploads, in the module's own bucket.
  uploads_prefix = "datasets/"

  kinds_people_read = ["claims", "output", "reports"]

  people_machines = ["run", "stop_run"]
}

data "aws_iam_policy_document" "client" {
  statement {
    sid       = "ReadInventory"
    actions   = ["dynamodb:GetItem", "dynamodb:Query"]
    resources = [local.inventory_arn, "${local.inventory_arn}/index/*"]
  }

  statement {
    sid = "FollowRuns"
    actions = [
      "states:DescribeExecution",
      "states:GetExecutionHistory",
      "states:ListMapRuns",
    ]
    resources = [for machine in local.people_machines : "${local.execution_arns[machine]}:*"]
  }

  statement {
    sid       = "ListExecutions"
    actions   = ["states:ListExecutions"]
    resources = [for machine in local.people_machines : local.machine_arns[machine]]
  }

  statement {
    sid       = "FollowMapRuns"
    actions   = ["states:DescribeMapRun"]
    resources = ["arn:${local.partition}:states:${local.region}:${local.account}:mapRun:${local.machine_names["run"]}/*"]
  }

  # Bedrock knows no resource for it: whoever may list jobs sees those of the whole account.
  statement {
    sid       = "ListJobs"
    actions   = ["bedrock:ListModelInvocationJobs"]
    resources = ["*"]
  }

  statement {
    sid       = "ReadRuns"
    actions   = ["s3:GetObject"]
    resources = [for kind in local.kinds_people_read : "${local.root_arn}/${kind}/*"]
  }

  statement {
    sid       = "ListRuns"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket_arn]

    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = [for kind in local.kinds_people_read : "${local.root}/${kind}/*"]
    }
  }

  statement {
    sid       = "ReadUndeliveredEvents"
    actions   = ["sqs:ReceiveMessage"]
    resources = [aws_sqs_queue.undelivered.arn]
  }

  dynamic "statement" {
    for_each = length(setintersection(local.encrypted, ["data", "queue", "workflows"])) > 0 ? [var.encryption.kms_key_arn] : []

    content {
      sid       = "ReadWhatIsEncrypted"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]
    }
  }
}

data "aws_iam_policy_document" "start" {
  statement {
    sid       = "StartRuns"
    actions   = ["states:StartExecution"]
    resources = [for machine in local.people_machines : local.machine_arns[machine]]
  }

  statement {
    sid       = "StopAndRedriveRuns"
    actions   = ["states:StopExecution", "states:RedriveExecution"]
    resources = [for machine in local.people_machines : "${local.execution_arns[machine]}:*"]
  }

  statement {
    sid       = "SlowRunsDown"
    actions   = ["states:UpdateMapRun"]
    resources = ["arn:${local.partition}:states:${local.region}:${local.account}:mapRun:${local.machine_names["run"]}/*"]
  }

  # GetObject and ListBucket: a table that has been uploaded before is not uploaded again.
  dynamic "statement" {
    for_each = local.own_bucket ? [local.uploads_prefix] : []

    content {
      sid       = "UploadTables"
      actions   = ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"]
      resources = ["${local.bucket_arn}/${statement.value}*"]
    }
  }

  dynamic "statement" {
    for_each = local.own_bucket ? [local.uploads_prefix] : []

    content {
      sid       = "ListTables"
      actions   = ["s3:ListBucket"]
      resources = [local.bucket_arn]

      condition {
        test     = "StringLike"
        variable = "s3:prefix"
        values   = ["${statement.value}*"]
      }
    }
  }

  dynamic "statement" {
    for_each = contains(local.encrypted, "data") ? [local.key_arns.data] : []

    content {
      sid       = "WriteWhatIsEncrypted"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }
}

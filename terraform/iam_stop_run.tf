resource "aws_iam_role" "stop_run" {
  name                 = "${local.stop_run_machine_name}-${local.region}"
  description          = "Lets the state machine ${local.stop_run_machine_name} do its work"
  path                 = var.role_path
  assume_role_policy   = data.aws_iam_policy_document.machine_trust["stop_run"].json
  permissions_boundary = var.permissions_boundary_arn
  tags                 = local.tags
}

data "aws_iam_policy_document" "stop_run" {
  statement {
    sid       = "SeeHowRunsEnded"
    actions   = ["states:DescribeExecution"]
    resources = ["${local.run_execution_arn}:*"]
  }

  statement {
    sid       = "StopJobs"
    actions   = ["bedrock:StopModelInvocationJob", "bedrock:GetModelInvocationJob"]
    resources = [local.job_arns]
  }

  statement {
    sid     = "FindJobs"
    actions = ["bedrock:ListModelInvocationJobs"]
    # This action knows no resource.
    resources = ["*"]
  }

  statement {
    sid       = "KeepInventory"
    actions   = ["dynamodb:UpdateItem"]
    resources = [aws_dynamodb_table.inventory.arn]
  }

  statement {
    sid       = "FindJobsOfRun"
    actions   = ["dynamodb:Query"]
    resources = ["${aws_dynamodb_table.inventory.arn}/index/by_run"]
  }

  statement {
    sid       = "InvokeFunctions"
    actions   = ["lambda:InvokeFunction"]
    resources = [for name in ["gather_leftovers", "join_shard", "finish_run"] : local.function_arns[name]]
  }

  statement {
    sid       = "StartChildren"
    actions   = ["states:StartExecution"]
    resources = [local.stop_run_machine_arn]
  }

  statement {
    sid       = "HandleChildren"
    actions   = ["states:DescribeExecution", "states:StopExecution", "states:RedriveExecution"]
    resources = ["${local.stop_run_execution_arn}:*", "${local.stop_run_execution_arn}/*:*"]
  }

  statement {
    sid       = "ReadItemsAndWriteResults"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"]
    resources = ["${local.bucket_arn}/runs/*"]
  }

  statement {
    sid       = "ListRuns"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket_arn]
  }

  dynamic "statement" {
    for_each = var.encryption == null ? [] : [var.encryption.kms_key_arn]

    content {
      sid       = "UseKey"
      actions   = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }

  statement {
    sid     = "DeliverLog"
    actions = local.log_delivery_actions
    # Log delivery belongs to the account; these actions know no resource.
    resources = ["*"]
  }
}

resource "aws_iam_role_policy" "stop_run" {
  name   = "work"
  role   = aws_iam_role.stop_run.id
  policy = data.aws_iam_policy_document.stop_run.json
}

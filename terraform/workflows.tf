locals {
  run_machine_name       = "${local.prefix}-run"
  job_event_machine_name = "${local.prefix}-job-event"
  stop_run_machine_name  = "${local.prefix}-stop-run"

  # From the name and not from the resource: a machine that starts its own children would otherwise depend on itself.
  run_machine_arn        = "arn:${local.partition}:states:${local.region}:${local.account}:stateMachine:${local.run_machine_name}"
  run_execution_arn      = "arn:${local.partition}:states:${local.region}:${local.account}:execution:${local.run_machine_name}"
  job_event_machine_arn  = "arn:${local.partition}:states:${local.region}:${local.account}:stateMachine:${local.job_event_machine_name}"
  stop_run_machine_arn   = "arn:${local.partition}:states:${local.region}:${local.account}:stateMachine:${local.stop_run_machine_name}"
  stop_run_execution_arn = "arn:${local.partition}:states:${local.region}:${local.account}:execution:${local.stop_run_machine_name}"

  # Everything that a file of asl/ may name as ${…}.
  placeholders = merge(
    { for name, function in aws_lambda_function.this : "${name}_function_arn" => function.arn },
    {
      partition                   = local.partition
      bucket_name                 = local.bucket_name
      inventory_table_name        = local.inventory_name
      inventory_retention_seconds = var.retention.inventory_days * 86400
      shard_concurrency           = var.functions.shard_concurrency
    },
  )
}

# Below /aws/vendedlogs/ log delivery does not use up the account's one small resource policy for logs.
resource "aws_cloudwatch_log_group" "run" {
  name              = "/aws/vendedlogs/states/${local.run_machine_name}"
  retention_in_days = var.retention.log_days
  tags              = local.tags
}

resource "aws_cloudwatch_log_group" "job_event" {
  name              = "/aws/vendedlogs/states/${local.job_event_machine_name}"
  retention_in_days = var.retention.log_days
  tags              = local.tags
}

resource "aws_cloudwatch_log_group" "stop_run" {
  name              = "/aws/vendedlogs/states/${local.stop_run_machine_name}"
  retention_in_days = var.retention.log_days
  tags              = local.tags
}

resource "aws_sfn_state_machine" "run" {
  name     = local.run_machine_name
  type     = "STANDARD"
  role_arn = aws_iam_role.run.arn

  definition = local.definitions["run"]

  logging_configuration {
    level                  = var.logging.level
    include_execution_data = var.logging.include_execution_data
    log_destination        = "${aws_cloudwatch_log_group.run.arn}:*"
  }

  tags = local.tags

  depends_on = [aws_iam_role_policy.run]
}

resource "aws_sfn_state_machine" "job_event" {
  name       = local.job_event_machine_name
  type       = "EXPRESS"
  role_arn   = aws_iam_role.job_event.arn
  definition = local.definitions["job_event"]

  logging_configuration {
    level                  = var.logging.level
    include_execution_data = var.logging.include_execution_data
    log_destination        = "${aws_cloudwatch_log_group.job_event.arn}:*"
  }

  tags = local.tags

  depends_on = [aws_iam_role_policy.job_event]
}

resource "aws_sfn_state_machine" "stop_run" {
  name       = local.stop_run_machine_name
  type       = "STANDARD"
  role_arn   = aws_iam_role.stop_run.arn
  definition = local.definitions["stop_run"]

  logging_configuration {
    level                  = var.logging.level
    include_execution_data = var.logging.include_execution_data
    log_destination        = "${aws_cloudwatch_log_group.stop_run.arn}:*"
  }

  tags = local.tags

  depends_on = [aws_iam_role_policy.stop_run]
}

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

  run_definition = templatefile("${path.module}/../asl/run.asl.json", merge(
    { for name, function in aws_lambda_function.this : "${name}_function_arn" => function.arn },
    {
      partition                   = local.partition
      inventory_table_name        = local.inventory_name
      inventory_retention_seconds = var.retention.inventory_days * 86400
      shard_concurrency           = var.functions.shard_concurrency
    },
  ))

  job_event_definition = templatefile("${path.module}/../asl/job-event.asl.json", {
    partition            = local.partition
    inventory_table_name = local.inventory_name
  })

  stop_run_definition = templatefile("${path.module}/../asl/stop-run.asl.json", {
    partition                     = local.partition
    inventory_table_name          = local.inventory_name
    inventory_retention_seconds   = var.retention.inventory_days * 86400
    shard_concurrency             = var.functions.shard_concurrency
    bucket_name                   = local.bucket_name
    gather_leftovers_function_arn = aws_lambda_function.this["gather_leftovers"].arn
    join_shard_function_arn       = aws_lambda_function.this["join_shard"].arn
    finish_run_function_arn       = aws_lambda_function.this["finish_run"].arn
  })
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

  # Read and written again, so that the layout of the file makes no difference to a plan.
  definition = jsonencode(jsondecode(local.run_definition))

  logging_configuration {
    level                  = var.logging.level
    include_execution_data = var.logging.include_execution_data
    log_destination        = "${aws_cloudwatch_log_group.run.arn}:*"
  }

  tags = local.tags

  depends_on = [aws_iam_role_policy.run]

  lifecycle {
    precondition {
      condition     = can(jsondecode(local.run_definition))
      error_message = "asl/run.asl.json is not JSON once its placeholders are filled in."
    }
  }
}

resource "aws_sfn_state_machine" "job_event" {
  name       = local.job_event_machine_name
  type       = "EXPRESS"
  role_arn   = aws_iam_role.job_event.arn
  definition = jsonencode(jsondecode(local.job_event_definition))

  logging_configuration {
    level                  = var.logging.level
    include_execution_data = var.logging.include_execution_data
    log_destination        = "${aws_cloudwatch_log_group.job_event.arn}:*"
  }

  tags = local.tags

  depends_on = [aws_iam_role_policy.job_event]

  lifecycle {
    precondition {
      condition     = can(jsondecode(local.job_event_definition))
      error_message = "asl/job-event.asl.json is not JSON once its placeholders are filled in."
    }
  }
}

resource "aws_sfn_state_machine" "stop_run" {
  name       = local.stop_run_machine_name
  type       = "STANDARD"
  role_arn   = aws_iam_role.stop_run.arn
  definition = jsonencode(jsondecode(local.stop_run_definition))

  logging_configuration {
    level                  = var.logging.level
    include_execution_data = var.logging.include_execution_data
    log_destination        = "${aws_cloudwatch_log_group.stop_run.arn}:*"
  }

  tags = local.tags

  depends_on = [aws_iam_role_policy.stop_run]

  lifecycle {
    precondition {
      condition     = can(jsondecode(local.stop_run_definition))
      error_message = "asl/stop-run.asl.json is not JSON once its placeholders are filled in."
    }
  }
}

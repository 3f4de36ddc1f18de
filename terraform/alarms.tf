# What somebody should act on; docs/operations.md says how.
locals {
  # Of the metrics that are not AWS's: what runs used, and how long jobs wait. finish_run and asl/job.asl.json write them.
  metrics_namespace = "BedrockBatch"

  alarms = {
    run-failed = {
      description = "A run of ${var.name} has failed. Its cause, and what a redrive does, are in docs/operations.md."
      namespace   = "AWS/States"
      metric      = "ExecutionsFailed"
      dimensions  = { StateMachineArn = aws_sfn_state_machine.this["run"].arn }
    }
    run-timed-out = {
      description = "A run of ${var.name} has run out of its time. Its jobs are stopped and its answers joined."
      namespace   = "AWS/States"
      metric      = "ExecutionsTimedOut"
      dimensions  = { StateMachineArn = aws_sfn_state_machine.this["run"].arn }
    }
    run-aborted = {
      description = "Somebody has stopped a run of ${var.name}. Its jobs are stopped and its answers joined."
      namespace   = "AWS/States"
      metric      = "ExecutionsAborted"
      dimensions  = { StateMachineArn = aws_sfn_state_machine.this["run"].arn }
    }
    # A child asks Bedrock every half hour at least, so an hour has a value while a job waits.
    job-pending = {
      description = "A job of ${var.name} waits at Bedrock for more than ${local.pending_hours} hours and has not begun. Bedrock may have no capacity for its model: wait, or stop the run and start it with another model or Region."
      namespace   = local.metrics_namespace
      metric      = "JobPendingHours"
      dimensions  = { Installation = var.name }
      period      = 3600
      threshold   = local.pending_hours
    }
    undelivered-events = {
      description = "An event could not be delivered: a rule, role or topic of ${var.name} is broken. See the queue's messages."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = aws_sqs_queue.undelivered.name }
    }
    job-event-failed = {
      description = "The end of a job of ${var.name} was not noted; its run notices it late."
      namespace   = "AWS/States"
      metric      = "ExecutionsFailed"
      dimensions  = { StateMachineArn = aws_sfn_state_machine.this["job_event"].arn }
    }
    # An EXPRESS execution ends after five minutes, and a timeout is no failure to CloudWatch.
    job-event-timed-out = {
      description = "The end of a job of ${var.name} was not noted in time; its run notices it late."
      namespace   = "AWS/States"
      metric      = "ExecutionsTimedOut"
      dimensions  = { StateMachineArn = aws_sfn_state_machine.this["job_event"].arn }
    }
    stop-run-failed = {
      description = "A run of ${var.name} was stopped or failed, and its jobs may go on and be billed. Redrive the execution of stop-run."
      namespace   = "AWS/States"
      metric      = "ExecutionsFailed"
      dimensions  = { StateMachineArn = aws_sfn_state_machine.this["stop_run"].arn }
    }
    stop-run-aborted = {
      description = "Somebody stopped stop-run while it stopped the jobs of a run of ${var.name}; they may go on and be billed. Redrive the execution of stop-run."
      namespace   = "AWS/States"
      metric      = "ExecutionsAborted"
      dimensions  = { StateMachineArn = aws_sfn_state_machine.this["stop_run"].arn }
    }
  }

  pending_hours = try(var.alarms.job_pending_hours, 24)

  # A throttle now and then is normal, and the state machines try again. Half an hour of them in a row slows runs down.
  throttle_periods = 6
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = { for name, alarm in local.alarms : name => merge({ period = 300, threshold = 0 }, alarm) if var.alarms != null }

  alarm_name          = "${local.prefix}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = "Maximum"
  period              = each.value.period
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.alarms.topic_arn]
  tags                = local.tags
}

resource "aws_cloudwatch_metric_alarm" "throttled" {
  count = var.alarms == null ? 0 : 1

  alarm_name          = "${local.prefix}-functions-throttled"
  alarm_description   = "Lambda has throttled functions of ${var.name} for half an hour, and runs are slow. Lower functions.shard_concurrency, or raise the account's concurrency or functions.reserved_concurrency."
  evaluation_periods  = local.throttle_periods
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.alarms.topic_arn]
  tags                = local.tags

  metric_query {
    id          = "all"
    label       = "Throttles of all functions"
    expression  = "SUM(METRICS())"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = local.function_names

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/Lambda"
        metric_name = "Throttles"
        dimensions  = { FunctionName = metric_query.value }
        period      = 300
        stat        = "Sum"
      }
    }
  }
}

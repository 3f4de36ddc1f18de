# What somebody should act on; docs/operations.md says how.
locals {
  # Of the metrics that are not AWS's: what runs used, and how long jobs wait. finish_run and asl/job.asl.json write them.
  metrics_namespace = "BedrockBatch"

  alarms = {
    run-failed = {
      description = "A run of ${var.name} has failed. Its jobs are stopped and its answers joined. `bedrock-batch list --name ${var.name} --status FAILED` shows the run, and `bedrock-batch status RUN --name ${var.name}` says why it failed and what to do."
      namespace   = "AWS/States"
      metric      = "ExecutionsFailed"
      dimensions  = { StateMachineArn = aws_sfn_state_machine.this["run"].arn }
    }
    run-timed-out = {
      description = "A run of ${var.name} has run out of its time. Its jobs are stopped and its answers joined. `bedrock-batch list --name ${var.name} --status TIMED_OUT` shows the run. A redrive within 14 days continues it."
      namespace   = "AWS/States"
      metric      = "ExecutionsTimedOut"
      dimensions  = { StateMachineArn = aws_sfn_state_machine.this["run"].arn }
    }
    run-aborted = {
      description = "Somebody has stopped a run of ${var.name}. Its jobs are stopped and its answers joined. If it was a mistake, `bedrock-batch list --name ${var.name} --status ABORTED` shows the run, and `bedrock-batch redrive RUN --name ${var.name}` continues it."
      namespace   = "AWS/States"
      metric      = "ExecutionsAborted"
      dimensions  = { StateMachineArn = aws_sfn_state_machine.this["run"].arn }
    }
    # A child asks Bedrock every half hour at least, so an hour has a value while a job waits.
    job-pending = {
      description = "A job of ${var.name} has waited at Bedrock for more than ${local.pending_hours} hours and has not begun. Nothing is broken, and waiting is free: Bedrock may have no capacity for the model. Wait, or stop the run and start a new one with another model or in another Region."
      namespace   = local.metrics_namespace
      metric      = "JobPendingHours"
      dimensions  = { Installation = var.name }
      period      = 3600
      threshold   = local.pending_hours
    }
    undelivered-events = {
      description = "EventBridge could not deliver an event of ${var.name}. Jobs of a stopped run may go on and be billed. Read the messages of the queue ${local.queue_name}: they name the rule and the error. docs/operations.md says what to do (Events that were not delivered)."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = aws_sqs_queue.undelivered.name }
    }
    job-event-failed = {
      description = "The start or the end of a job of ${var.name} was not noted. Its run notices the end up to half an hour late. If the alarm comes again, the log of the state machine job-event says why."
      namespace   = "AWS/States"
      metric      = "ExecutionsFailed"
      dimensions  = { StateMachineArn = aws_sfn_state_machine.this["job_event"].arn }
    }
    # An EXPRESS execution ends after five minutes, and a timeout is no failure to CloudWatch.
    job-event-timed-out = {
      description = "The start or the end of a job of ${var.name} was not noted in time. Its run notices the end up to half an hour late. If the alarm comes again, the log of the state machine job-event says why."
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

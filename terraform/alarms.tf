# Problems that nobody would notice, because they do not fail a run.
locals {
  alarms = var.alarms == null ? {} : {
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
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${local.prefix}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.alarms.topic_arn]
  tags                = local.tags
}

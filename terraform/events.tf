locals {
  queue_name = "${local.prefix}-undelivered-events"

  rule_names = { for name in ["job_event", "stop_run", "run_end", "run_success"] : name => "${local.prefix}-${replace(name, "_", "-")}" }
  rule_arns = {
    for name, rule_name in local.rule_names :
    name => "arn:${local.partition}:events:${local.region}:${local.account}:rule/${rule_name}"
  }
}

# --- That a job began to run is noted; its end wakes the execution that waits for it

resource "aws_cloudwatch_event_rule" "job_event" {
  name        = local.rule_names["job_event"]
  description = "Batch jobs of ${var.name} that began to run or ended"
  tags        = local.tags

  event_pattern = jsonencode({
    source      = ["aws.bedrock"]
    detail-type = ["Batch Inference Job State Change"]
    detail = {
      batchJobName = [{ prefix = "${var.name}-" }]
      status       = ["InProgress", "Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired"]
    }
  })
}

resource "aws_cloudwatch_event_target" "job_event" {
  rule     = aws_cloudwatch_event_rule.job_event.name
  arn      = aws_sfn_state_machine.this["job_event"].arn
  role_arn = aws_iam_role.events.arn

  # An event that is hours late is of no use: by then the waiting execution has asked Bedrock itself.
  retry_policy {
    maximum_event_age_in_seconds = 3600
    maximum_retry_attempts       = 20
  }

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }

  depends_on = [aws_iam_role_policy.events]
}

# --- A run that was stopped, failed or timed out leaves jobs behind: they are stopped

resource "aws_cloudwatch_event_rule" "stop_run" {
  name        = local.rule_names["stop_run"]
  description = "Runs of ${var.name} that failed, timed out or were stopped"
  tags        = local.tags

  event_pattern = jsonencode({
    source      = ["aws.states"]
    detail-type = ["Step Functions Execution Status Change"]
    detail = {
      stateMachineArn = [aws_sfn_state_machine.this["run"].arn]
      status          = ["ABORTED", "FAILED", "TIMED_OUT"]
    }
  })
}

resource "aws_cloudwatch_event_target" "stop_run" {
  rule     = aws_cloudwatch_event_rule.stop_run.name
  arn      = aws_sfn_state_machine.this["stop_run"].arn
  role_arn = aws_iam_role.events.arn

  # Only what the machine reads: an event carries the run's whole input and output too.
  input_transformer {
    input_paths = {
      arn   = "$.detail.executionArn"
      name  = "$.detail.name"
      start = "$.detail.startDate"
    }
    input_template = "{\"detail\": {\"executionArn\": <arn>, \"name\": <name>, \"startDate\": <start>}}"
  }

  # However late: jobs of a stopped run cost money for days.
  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }

  depends_on = [aws_iam_role_policy.events]
}

# --- What both rules may start

data "aws_iam_policy_document" "events_trust" {
  statement {
    sid     = "OnlyTheseRules"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [local.rule_arns["job_event"], local.rule_arns["stop_run"]]
    }
  }
}

resource "aws_iam_role" "events" {
  name                 = "${local.role_names.events}-${local.region}"
  description          = "Lets the event rules of ${var.name} start their state machines"
  path                 = var.roles.path
  assume_role_policy   = data.aws_iam_policy_document.events_trust.json
  permissions_boundary = var.roles.permissions_boundary_arn
  tags                 = local.tags
}

data "aws_iam_policy_document" "events" {
  statement {
    sid       = "StartMachines"
    actions   = ["states:StartExecution"]
    resources = [aws_sfn_state_machine.this["job_event"].arn, aws_sfn_state_machine.this["stop_run"].arn]
  }
}

resource "aws_iam_role_policy" "events" {
  name   = "work"
  role   = aws_iam_role.events.id
  policy = data.aws_iam_policy_document.events.json
}

# --- Events that could not be delivered

data "aws_iam_policy_document" "undelivered" {
  statement {
    sid     = "OnlyTheseRules"
    actions = ["sqs:SendMessage"]
    # In the policy of a queue, the queue itself.
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = values(local.rule_arns)
    }
  }
}

resource "aws_sqs_queue" "undelivered" {
  name                      = local.queue_name
  message_retention_seconds = 14 * 86400
  sqs_managed_sse_enabled   = contains(local.encrypted, "queue") ? null : true
  kms_master_key_id         = local.key_arns.queue
  policy                    = data.aws_iam_policy_document.undelivered.json
  tags                      = local.tags
}

# --- People are notified of the end of a run

locals {
  # Step Functions' own events come even when nothing of ours works; only ours know of warnings.
  run_ends = {
    run_end     = setintersection(local.notified, ["FAILED", "TIMED_OUT", "ABORTED"])
    run_success = setintersection(local.notified, ["SUCCEEDED", "SUCCEEDED_WITH_WARNINGS"])
  }
  notified = toset(var.notifications == null ? [] : var.notifications.on)

  # What the state "Announce end" of asl/run.asl.json sends.
  end_event = { source = "bedrock-batch", detail_type = "Bedrock Batch Run Ended" }
}

resource "aws_cloudwatch_event_rule" "run_end" {
  count = length(local.run_ends.run_end) > 0 ? 1 : 0

  name        = local.rule_names["run_end"]
  description = "Runs of ${var.name} that did not end well"
  tags        = local.tags

  event_pattern = jsonencode({
    source      = ["aws.states"]
    detail-type = ["Step Functions Execution Status Change"]
    detail = {
      stateMachineArn = [aws_sfn_state_machine.this["run"].arn]
      status          = sort(local.run_ends.run_end)
    }
  })
}

resource "aws_cloudwatch_event_target" "run_end" {
  count = length(local.run_ends.run_end) > 0 ? 1 : 0

  rule = aws_cloudwatch_event_rule.run_end[0].name
  arn  = var.notifications.topic_arn

  # Name and status only: an event carries the run's whole input, and topics send mail.
  input_transformer {
    input_paths = {
      arn    = "$.detail.executionArn"
      name   = "$.detail.name"
      status = "$.detail.status"
    }
    input_template = "\"Run <name> of ${var.name} ended <status>: <arn>. Why, and what to do: bedrock-batch status <name> --name ${var.name}\""
  }

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }
}

resource "aws_cloudwatch_event_rule" "run_success" {
  count = length(local.run_ends.run_success) > 0 ? 1 : 0

  name        = local.rule_names["run_success"]
  description = "Runs of ${var.name} that have ended well"
  tags        = local.tags

  event_pattern = jsonencode({
    source      = [local.end_event.source]
    detail-type = [local.end_event.detail_type]
    detail = {
      stateMachineArn = [aws_sfn_state_machine.this["run"].arn]
      status          = sort(local.run_ends.run_success)
    }
  })
}

resource "aws_cloudwatch_event_target" "run_success" {
  count = length(local.run_ends.run_success) > 0 ? 1 : 0

  rule = aws_cloudwatch_event_rule.run_success[0].name
  arn  = var.notifications.topic_arn

  input_transformer {
    input_paths = {
      name     = "$.detail.name"
      report   = "$.detail.report"
      status   = "$.detail.status"
      warnings = "$.detail.warnings"
    }
    input_template = "\"Run <name> of ${var.name} ended <status> (warnings: <warnings>): <report>\""
  }

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }
}

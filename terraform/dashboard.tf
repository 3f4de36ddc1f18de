# One page that shows how the installation does; docs/operations.md explains it.
locals {
  outcomes = ["Succeeded", "Truncated", "Invalid", "Failed", "Missing", "Skipped"]

  run_dimensions          = ["StateMachineArn", local.machine_arns["run"]]
  installation_dimensions = ["Installation", var.name]

  widgets = [
    {
      title = "Runs"
      stat  = "Sum"
      metrics = [
        for name in ["Started", "Succeeded", "Failed", "TimedOut", "Aborted"] :
        concat(["AWS/States", "Executions${name}"], local.run_dimensions)
      ]
    },
    {
      title   = "Hours that jobs have waited at Bedrock"
      stat    = "Maximum"
      metrics = [concat([local.metrics_namespace, "JobPendingHours"], local.installation_dimensions)]
    },
    {
      title   = "Rows by outcome, when runs end"
      stat    = "Sum"
      metrics = [for name in local.outcomes : concat([local.metrics_namespace, "Rows${name}"], local.installation_dimensions)]
    },
    {
      title   = "Tokens, when runs end"
      stat    = "Sum"
      metrics = [for name in ["InputTokens", "OutputTokens"] : concat([local.metrics_namespace, name], local.installation_dimensions)]
    },
    {
      title   = "Cost of runs in USD, at the prices of their inputs"
      stat    = "Sum"
      metrics = [concat([local.metrics_namespace, "CostUSD"], local.installation_dimensions)]
    },
    {
      title = "Errors of functions"
      stat  = "Sum"
      metrics = [
        for name in values(local.function_names) : ["AWS/Lambda", "Errors", "FunctionName", name]
      ]
    },
    {
      title = "Throttles of functions"
      stat  = "Sum"
      metrics = [
        for name in values(local.function_names) : ["AWS/Lambda", "Throttles", "FunctionName", name]
      ]
    },
    {
      title   = "Throttled state transitions of runs"
      stat    = "Sum"
      metrics = [concat(["AWS/States", "ExecutionThrottled"], local.run_dimensions)]
    },
    {
      title   = "Undelivered events"
      stat    = "Maximum"
      metrics = [["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", local.queue_name]]
    },
  ]

  # Each is half a page wide. The list of runs, below them, takes the whole width.
  dashboard = {
    widgets = concat(
      [
        for index, widget in local.widgets : {
          type   = "metric"
          x      = index % 2 * 12
          y      = floor(index / 2) * 6
          width  = 12
          height = 6
          properties = {
            title   = widget.title
            region  = local.region
            stat    = widget.stat
            period  = 3600
            metrics = widget.metrics
          }
        }
      ],
      [{
        type   = "log"
        x      = 0
        y      = ceil(length(local.widgets) / 2) * 6
        width  = 24
        height = 8
        properties = {
          title  = "Runs that have ended"
          region = local.region
          view   = "table"
          query  = "SOURCE '${local.function_log_groups["finish_run"]}' | ${local.ended_runs_query}"
        }
      }],
    )
  }

  # As in docs/operations.md.
  ended_runs_query = "filter message = \"metrics\" | fields @timestamp, run_id, status, rows, unanswered, input_tokens, output_tokens, cost_usd | sort @timestamp desc | dedup run_id | limit 50"
}

resource "aws_cloudwatch_dashboard" "this" {
  count = var.dashboard ? 1 : 0

  dashboard_name = "${local.prefix}-${local.region}"
  dashboard_body = jsonencode(local.dashboard)
}

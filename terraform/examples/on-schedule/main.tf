module "batch" {
  source = "../.."

  name    = "reviews"
  models  = ["amazon.nova-lite-v1:0"]
  prompts = { sentiment = "Is this review positive or negative? Answer with one word.\n\n{review}" }
}

resource "aws_scheduler_schedule" "nightly" {
  #checkov:skip=CKV_AWS_297:AWS encrypts the input with a key of its own. It names a table and holds no secret.

  name                         = "reviews-nightly"
  schedule_expression          = "cron(30 2 * * ? *)"
  schedule_expression_timezone = "Europe/Berlin"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = module.batch.run_state_machine_arn
    role_arn = aws_iam_role.scheduler.arn

    input = jsonencode({
      s3_uri          = "s3://${module.batch.runs_bucket_name}/nightly/"
      model_id        = "amazon.nova-lite-v1:0"
      prompt_id       = "sentiment"
      job_name_prefix = "nightly"
      limits          = { budget_usd = 20 }
      price           = { input = 0.03, output = 0.12 }
    })

    # A try whose answer was lost may have started a run, so each further try may start a second one.
    retry_policy {
      maximum_retry_attempts = 2
    }
  }
}

data "aws_caller_identity" "current" {}

resource "aws_iam_role" "scheduler" {
  name = "reviews-nightly"

  # Without the condition, schedules of other accounts could name this role.
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "scheduler.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "start" {
  role = aws_iam_role.scheduler.id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "states:StartExecution", Resource = module.batch.run_state_machine_arn }]
  })
}

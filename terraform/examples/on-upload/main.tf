module "batch" {
  source = "../.."

  name    = "reviews"
  models  = ["amazon.nova-lite-v1:0"]
  prompts = { sentiment = "Is this review positive or negative? Answer with one word.\n\n{review}" }
}

# Without this, S3 sends EventBridge no events of the bucket.
resource "aws_s3_bucket_notification" "runs" {
  bucket      = module.batch.runs_bucket_name
  eventbridge = true
}

# Not below `reviews/`: what runs write there would start runs.
resource "aws_cloudwatch_event_rule" "uploads" {
  name = "reviews-uploads"

  event_pattern = jsonencode({
    source      = ["aws.s3"]
    detail-type = ["Object Created"]
    detail = {
      bucket = { name = [module.batch.runs_bucket_name] }
      object = { key = [{ wildcard = "inbox/*.csv" }] }
    }
  })
}

resource "aws_cloudwatch_event_target" "start" {
  rule     = aws_cloudwatch_event_rule.uploads.name
  arn      = module.batch.run_state_machine_arn
  role_arn = aws_iam_role.events.arn

  input_transformer {
    input_paths = { bucket = "$.detail.bucket.name", key = "$.detail.object.key" }

    # jsonencode would write < and > as \u003c and \u003e, and EventBridge would not find its places.
    input_template = <<-EOT
      {
        "s3_uri": "s3://<bucket>/<key>",
        "model_id": "amazon.nova-lite-v1:0",
        "prompt_id": "sentiment",
        "limits": {"budget_usd": 20},
        "price": {"input": 0.03, "output": 0.12}
      }
    EOT
  }
}

resource "aws_iam_role" "events" {
  name = "reviews-uploads"

  # Without the condition, rules of other accounts could name this role.
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "events.amazonaws.com" }
      Condition = { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.uploads.arn } }
    }]
  })
}

resource "aws_iam_role_policy" "start" {
  role = aws_iam_role.events.id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "states:StartExecution", Resource = module.batch.run_state_machine_arn }]
  })
}

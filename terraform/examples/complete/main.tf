# Every input of the module once. Not a recommendation: leave out what you have no reason to set.
module "batch" {
  source = "../.."

  name = local.name

  models = [
    "amazon.nova-lite-v1:0",
    "us.anthropic.claude-haiku-4-5-20251001-v1:0",
  ]

  prompts = {
    sentiment = file("${path.module}/prompts/sentiment.txt")
    topic     = "Name the topic of this review in one or two words.\n\n{review}"
  }

  inputs = {
    buckets      = ["company-data-lake"]
    locations    = ["s3://company-archive/reviews/"]
    kms_key_arns = ["arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"]
  }

  # By way of its last setting: so the settings are made before the module, and are taken away after it, if at all.
  bucket = {
    name   = aws_s3_bucket_policy.runs.bucket
    prefix = local.prefix
  }

  # In a bucket of the module's own, output_days and report_days too.
  retention = {
    work_days      = local.work_days
    inventory_days = 180
    log_days       = 90
  }

  encryption = {
    kms_key_arn = aws_kms_key.this.arn
    covers      = ["data", "logs", "functions", "queue", "workflows"]
  }

  package = {
    code_path  = var.code_path
    layer_path = var.layer_path
  }

  functions = {
    shard_concurrency    = 20
    reserved_concurrency = { prepare_shard = 20, join_shard = 20 }
    memory_mb            = { join_shard = 3008 }
  }

  network = {
    subnet_ids         = var.subnet_ids
    security_group_ids = var.security_group_ids
    jobs               = true
  }

  logging = {
    level   = "ALL"
    tracing = true
  }

  notifications = {
    topic_arn = aws_sns_topic.runs.arn
    on        = ["SUCCEEDED", "SUCCEEDED_WITH_WARNINGS", "FAILED", "TIMED_OUT", "ABORTED"]
  }

  alarms = {
    topic_arn         = aws_sns_topic.runs.arn
    job_pending_hours = 12
  }

  dashboard = true

  roles = {
    path                     = "/bedrock-batch/"
    permissions_boundary_arn = var.permissions_boundary_arn
  }

  force_destroy = var.force_destroy

  tags = {
    team = "reviews"
  }
}

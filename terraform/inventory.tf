locals {
  # From the name and not from the table, which comes last.
  inventory_name = "${local.prefix}-inventory"
  inventory_arn  = "arn:${local.partition}:dynamodb:${local.region}:${local.account}:table/${local.inventory_name}"
}

# The state of every run and every job: `run/<run_id>` and `job/<job_name>`.
#
# It is created last but for what is in it (installation.tf), so a destroy begins with these. While force_destroy is false
# DynamoDB refuses to delete them, and then nothing else has been touched.
resource "aws_dynamodb_table" "inventory" {
  name                        = local.inventory_name
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "pk"
  deletion_protection_enabled = !var.force_destroy
  tags                        = local.tags

  attribute {
    name = "pk"
    type = "S"
  }

  attribute {
    name = "run_id"
    type = "S"
  }

  attribute {
    name = "status"
    type = "S"
  }

  attribute {
    name = "updated_at"
    type = "S"
  }

  # Provider 6 prefers `key_schema` to hash_key and range_key of an index; 5.100 does not know it.
  global_secondary_index {
    name            = "by_run"
    hash_key        = "run_id"
    range_key       = "pk"
    projection_type = "ALL"
  }

  global_secondary_index {
    name            = "by_status"
    hash_key        = "status"
    range_key       = "updated_at"
    projection_type = "ALL"
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  dynamic "server_side_encryption" {
    for_each = contains(local.encrypted, "data") ? [1] : []

    content {
      enabled     = true
      kms_key_arn = local.key_arns.data
    }
  }

  # Everything that nothing else in the module depends on. tests/terraform holds that nothing is missing.
  depends_on = [
    aws_cloudwatch_dashboard.this,
    aws_cloudwatch_event_target.job_event,
    aws_cloudwatch_event_target.run_end,
    aws_cloudwatch_event_target.run_success,
    aws_cloudwatch_event_target.stop_run,
    aws_cloudwatch_metric_alarm.this,
    aws_cloudwatch_metric_alarm.throttled,
    aws_iam_role_policy.service,
    aws_s3_bucket_lifecycle_configuration.runs,
    aws_s3_bucket_logging.runs,
    aws_s3_bucket_ownership_controls.runs,
    aws_s3_bucket_policy.runs,
  ]

  lifecycle {
    precondition {
      condition     = local.origin == local.made_as
      error_message = <<-EOT
        This installation was made as ${jsonencode(local.made_as)} and cannot become ${jsonencode(local.origin)}: its runs would be deleted, or left without their settings.
        Check the provider's Region and account. For another name, Region, bucket or prefix make a second installation, with a module block of its own.
        To change this one all the same, take what must stay out of the state (`terraform state rm`), and apply with `-replace` for terraform_data.origin.
      EOT
    }
  }
}

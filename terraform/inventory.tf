# The state of every run and every job: `run/<run_id>` and `job/<job_name>`.
resource "aws_dynamodb_table" "inventory" {
  name                        = "${local.prefix}-inventory"
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
    for_each = var.encryption == null ? [] : [var.encryption]

    content {
      enabled     = true
      kms_key_arn = server_side_encryption.value.kms_key_arn
    }
  }
}

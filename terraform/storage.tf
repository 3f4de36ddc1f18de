locals {
  bucket_name = var.bucket == null ? one(aws_s3_bucket.runs[*].id) : var.bucket.name
  bucket_arn  = "arn:${local.partition}:s3:::${local.bucket_name}"

  # Below the module's name, so that two installations can share a bucket.
  config_prefix = "config/${var.name}"
}

resource "aws_s3_bucket" "runs" {
  count = var.bucket == null ? 1 : 0

  bucket        = "${local.prefix}-runs-${local.account}-${local.region}"
  force_destroy = var.force_destroy
  tags          = local.tags
}

resource "aws_s3_bucket_versioning" "runs" {
  count = var.bucket == null ? 1 : 0

  bucket = aws_s3_bucket.runs[0].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_public_access_block" "runs" {
  count = var.bucket == null ? 1 : 0

  bucket                  = aws_s3_bucket.runs[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "runs" {
  count = var.bucket == null ? 1 : 0

  bucket = aws_s3_bucket.runs[0].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "runs" {
  count = var.bucket == null ? 1 : 0

  bucket = aws_s3_bucket.runs[0].id

  rule {
    bucket_key_enabled = var.encryption != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.encryption == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.encryption == null ? null : var.encryption.kms_key_arn
    }
  }
}

data "aws_iam_policy_document" "runs_bucket" {
  count = var.bucket == null ? 1 : 0

  statement {
    sid       = "RefusePlainHttp"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.runs[0].arn, "${aws_s3_bucket.runs[0].arn}/*"]

    principals {
      type = "*"
      # Nobody is exempt from a refusal.
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "runs" {
  count = var.bucket == null ? 1 : 0

  bucket = aws_s3_bucket.runs[0].id
  policy = data.aws_iam_policy_document.runs_bucket[0].json

  # S3 refuses two changes of a bucket's access at once.
  depends_on = [aws_s3_bucket_public_access_block.runs]
}

resource "aws_s3_bucket_lifecycle_configuration" "runs" {
  count = var.bucket == null && var.retention.runs_days != null ? 1 : 0

  bucket = aws_s3_bucket.runs[0].id

  rule {
    id     = "delete-old-runs"
    status = "Enabled"

    filter {
      prefix = "runs/"
    }

    expiration {
      days = var.retention.runs_days
    }

    noncurrent_version_expiration {
      noncurrent_days = 7
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.runs]
}

# What the functions need to know of this installation; plan_run reads it at the start of every run.
resource "aws_s3_object" "settings" {
  bucket       = local.bucket_name
  key          = "${local.config_prefix}/settings.json"
  content_type = "application/json"

  content = jsonencode({
    name             = var.name
    models           = sort(var.models)
    prompts          = var.prompts
    service_role_arn = aws_iam_role.service.arn
    kms_key_arn      = var.encryption == null ? null : var.encryption.kms_key_arn
    tags             = var.tags
  })

  depends_on = [
    aws_s3_bucket_server_side_encryption_configuration.runs,
    aws_s3_bucket_versioning.runs,
  ]
}

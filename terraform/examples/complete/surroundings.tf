# What the module is given: a bucket, a key and a topic of your own.
data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  name      = "reviews"
  prefix    = "teams/nlp/"
  work_days = 60
}

resource "aws_s3_bucket" "runs" {
  #checkov:skip=CKV_AWS_18:Where access logs go is the choice of the bucket's owner.
  #checkov:skip=CKV_AWS_144:Where a second copy of the tables belongs is the choice of the bucket's owner.
  #checkov:skip=CKV2_AWS_62:Nothing here starts with an upload. The example on-upload shows how.

  bucket        = "reviews-runs-${data.aws_caller_identity.current.account_id}"
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_versioning" "runs" {
  bucket = aws_s3_bucket.runs.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_public_access_block" "runs" {
  bucket                  = aws_s3_bucket.runs.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# With a bucket of your own, what is deleted and when is yours to set. Claims and configuration must stay.
resource "aws_s3_bucket_lifecycle_configuration" "runs" {
  bucket = aws_s3_bucket.runs.id

  # As the module does it in a bucket of its own: never before work_days, as the runs need it until then.
  rule {
    id     = "delete-old-work"
    status = "Enabled"

    filter {
      prefix = "${local.prefix}${local.name}/work/"
    }

    expiration {
      days = local.work_days
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }
  }

  rule {
    id     = "housekeeping"
    status = "Enabled"

    filter {
      prefix = ""
    }

    expiration {
      expired_object_delete_marker = true
    }

    noncurrent_version_expiration {
      noncurrent_days = 30
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.runs]
}

data "aws_iam_policy_document" "bucket" {
  statement {
    sid       = "RefusePlainHttp"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.runs.arn, "${aws_s3_bucket.runs.arn}/*"]

    principals {
      type        = "*"
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
  bucket = aws_s3_bucket.runs.id
  policy = data.aws_iam_policy_document.bucket.json

  depends_on = [
    aws_s3_bucket_lifecycle_configuration.runs,
    aws_s3_bucket_public_access_block.runs,
    aws_s3_bucket_server_side_encryption_configuration.runs,
    aws_s3_bucket_versioning.runs,
  ]
}

# The module says what it needs of the key, and knows nothing of the key for that: neither waits for the other.
data "aws_iam_policy_document" "key" {
  #checkov:skip=CKV_AWS_109:In the policy of a key, the star is the key itself, and the account must be able to change it.
  #checkov:skip=CKV_AWS_111:In the policy of a key, the star is the key itself.
  #checkov:skip=CKV_AWS_356:In the policy of a key, the star is the key itself.

  source_policy_documents = [module.batch.key_policy_json]

  statement {
    sid       = "Administrators"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root"]
    }
  }
}

resource "aws_kms_key" "this" {
  description         = "Runs of batch inference"
  enable_key_rotation = true
  policy              = data.aws_iam_policy_document.key.json
}

# With a bucket of your own, its encryption is yours to set.
resource "aws_s3_bucket_server_side_encryption_configuration" "runs" {
  bucket = aws_s3_bucket.runs.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.this.arn
    }
  }
}

resource "aws_sns_topic" "runs" {
  name              = "reviews-runs"
  kms_master_key_id = aws_kms_key.this.arn
}

data "aws_iam_policy_document" "topic" {
  # No condition: EventBridge supplies no condition keys to a topic, so a statement with one would allow nothing.
  statement {
    sid       = "EventRulesAndAlarms"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.runs.arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com", "cloudwatch.amazonaws.com"]
    }
  }
}

resource "aws_sns_topic_policy" "runs" {
  arn    = aws_sns_topic.runs.arn
  policy = data.aws_iam_policy_document.topic.json
}

locals {
  # Not by the name of a given bucket, which may be unknown until the apply: nothing could be counted by it.
  own_bucket = var.bucket == null ? true : var.bucket.access_log != null

  bucket_name = local.own_bucket ? one(aws_s3_bucket.runs[*].id) : var.bucket.name
  bucket_arn  = "arn:${local.partition}:s3:::${local.bucket_name}"

  # Everything of this installation lies below it, so that several can share a bucket:
  #   config/   settings and code
  #   claims/   one object for each run that has begun: its name is taken
  #   work/     what runs work with
  #   output/   the tables
  #   reports/  the reports
  root = "${local.own_bucket ? "" : var.bucket.prefix}${var.name}"

  root_arn = "${local.bucket_arn}/${local.root}"

  # Days until objects of each kind are deleted from the module's own bucket. Without claims, a name could be used twice.
  kept_days = { for kind, days in {
    work    = var.retention.work_days
    output  = var.retention.output_days
    reports = var.retention.report_days
  } : kind => days if days != null }

  # Where jobs reach the bucket, as Bedrock wants it.
  job_network = try(var.network.jobs, false) ? {
    subnet_ids         = sort(var.network.subnet_ids)
    security_group_ids = sort(var.network.security_group_ids)
  } : null

  # Jobs are made by the state machine and not by the provider, so its default tags are handed on.
  job_tags = merge(data.aws_default_tags.current.tags, var.tags)
  refused_tags = [
    for key, value in local.job_tags : "${key} = ${value}"
    if !can(regex("^[a-zA-Z0-9 ._:/=+@-]{1,128}$", key)) || !can(regex("^[a-zA-Z0-9 ._:/=+@-]{0,256}$", value)) || startswith(lower(key), "aws:")
  ]
}

resource "aws_s3_bucket" "runs" {
  #checkov:skip=CKV_AWS_18:`bucket.access_log` sets it.
  #checkov:skip=CKV_AWS_144:Where a second copy of the tables belongs is the owner's choice; the rest can be made again.
  #checkov:skip=CKV2_AWS_62:The module needs no events of objects. The example on-upload shows how to turn them on.

  count = local.own_bucket ? 1 : 0

  bucket        = "${local.prefix}-runs-${local.account}-${local.region}"
  force_destroy = var.force_destroy
  tags          = local.tags
}

resource "aws_s3_bucket_versioning" "runs" {
  count = local.own_bucket ? 1 : 0

  bucket = aws_s3_bucket.runs[0].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_public_access_block" "runs" {
  count = local.own_bucket ? 1 : 0

  bucket                  = aws_s3_bucket.runs[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "runs" {
  count = local.own_bucket ? 1 : 0

  bucket = aws_s3_bucket.runs[0].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "runs" {
  count = local.own_bucket ? 1 : 0

  bucket = aws_s3_bucket.runs[0].id

  rule {
    bucket_key_enabled = contains(local.encrypted, "data")

    apply_server_side_encryption_by_default {
      sse_algorithm     = local.key_arns.data == null ? "AES256" : "aws:kms"
      kms_master_key_id = local.key_arns.data
    }
  }
}

data "aws_iam_policy_document" "runs_bucket" {
  count = local.own_bucket ? 1 : 0

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
  count = local.own_bucket ? 1 : 0

  bucket = aws_s3_bucket.runs[0].id
  policy = data.aws_iam_policy_document.runs_bucket[0].json

  # S3 refuses two changes of a bucket's access at once.
  depends_on = [aws_s3_bucket_public_access_block.runs]
}

resource "aws_s3_bucket_logging" "runs" {
  for_each = { for log in [try(var.bucket.access_log, null)] : "own" => log if log != null }

  bucket        = aws_s3_bucket.runs[0].id
  target_bucket = each.value.bucket
  target_prefix = each.value.prefix
}

resource "aws_s3_bucket_lifecycle_configuration" "runs" {
  count = local.own_bucket ? 1 : 0

  bucket = aws_s3_bucket.runs[0].id

  # What nobody sees and S3 bills: versions that were overwritten or deleted, uploads that were never completed.
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

  dynamic "rule" {
    for_each = local.kept_days

    content {
      id     = "delete-old-${rule.key}"
      status = "Enabled"

      filter {
        prefix = "${local.root}/${rule.key}/"
      }

      expiration {
        days = rule.value
      }

      # What runs work with is deleted for good. Where two rules differ, S3 keeps to the shorter time.
      dynamic "noncurrent_version_expiration" {
        for_each = rule.key == "work" ? [1] : []

        content {
          noncurrent_days = 1
        }
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.runs]
}

# What the functions need to know of this installation; plan_run reads it at the start of every run.
resource "aws_s3_object" "settings" {
  bucket       = local.bucket_name
  key          = "${local.root}/config/settings.json"
  content_type = "application/json"
  kms_key_id   = local.key_arns.data

  content = jsonencode({
    contract         = 1 # CONTRACT of bedrock_batch/contracts/version.py
    name             = var.name
    root             = local.root
    models           = sort(var.models)
    prompts          = var.prompts
    service_role_arn = aws_iam_role.service.arn
    kms_key_arn      = local.key_arns.data
    tags             = local.job_tags
    work_days        = var.retention.work_days
    network          = local.job_network
  })

  # S3 takes ten tags on an object and fifty on everything else, so objects go without the provider's default ones.
  override_provider {
    default_tags {
      tags = {}
    }
  }

  depends_on = [
    aws_s3_bucket_server_side_encryption_configuration.runs,
    aws_s3_bucket_versioning.runs,
  ]

  lifecycle {
    precondition {
      condition     = length(local.refused_tags) == 0
      error_message = "Bedrock refuses jobs with these tags, of `tags` and of the provider's default_tags: ${join(", ", local.refused_tags)}. A key may have 1-128 and a value 0-256 letters (a-z, A-Z), digits, spaces or . _ : / = + @ -. Change them, or give the module a provider without them."
    }

    precondition {
      condition     = length(local.job_tags) <= 47
      error_message = "`tags` and the provider's default_tags are ${length(local.job_tags)} together. A Bedrock job takes 50, and three are the module's: leave some out, or give the module a provider with fewer default_tags."
    }
  }
}

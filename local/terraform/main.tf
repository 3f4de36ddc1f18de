# The module as it is, applied to the local AWS.
terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }
}

provider "aws" {
  region     = "us-east-1"
  access_key = "test"
  secret_key = "test"

  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  # A call that the engine does not know should fail, not be tried for minutes.
  max_retries = 2

  default_tags {
    tags = var.default_tags
  }

  endpoints {
    cloudwatch = var.endpoint_url
    dynamodb   = var.endpoint_url
    events     = var.endpoint_url
    iam        = var.endpoint_url
    kms        = var.endpoint_url
    lambda     = var.endpoint_url
    logs       = var.endpoint_url
    s3         = var.endpoint_url
    sfn        = var.endpoint_url
    sns        = var.endpoint_url
    sqs        = var.endpoint_url
    sts        = var.endpoint_url
  }
}

locals {
  # Absolute, because the provider reads the files, and that of the tests runs in another folder.
  zips = var.package.s3 == null ? {
    code_path  = coalesce(var.package.code_path, abspath("../../build/code.zip"))
    layer_path = coalesce(var.package.layer_path, abspath("../../build/local/layer.zip"))
  } : { code_path = null, layer_path = null }
}

# Stands for whatever a module block may depend on: with another revision, a plan has a change of it pending.
resource "terraform_data" "revision" {
  count = var.revision == null ? 0 : 1

  input = var.revision
}

# Its policy allows what the module asks for, and its administration by the account.
data "aws_iam_policy_document" "key" {
  count = var.encrypted ? 1 : 0

  source_policy_documents = [module.batch.key_policy_json]

  statement {
    sid = "Administrators"
    actions = [
      "kms:CreateGrant",
      "kms:DescribeKey",
      "kms:EnableKeyRotation",
      "kms:Get*",
      "kms:List*",
      "kms:Put*",
      "kms:ScheduleKeyDeletion",
      "kms:TagResource",
      "kms:UntagResource",
    ]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::${data.aws_caller_identity.current.account_id}:root"]
    }
  }
}

data "aws_caller_identity" "current" {}

resource "aws_kms_key" "this" {
  count = var.encrypted ? 1 : 0

  deletion_window_in_days = 7
  enable_key_rotation     = true
  policy                  = data.aws_iam_policy_document.key[0].json
}

module "batch" {
  source = "../../terraform"

  name          = var.name
  models        = var.models
  prompts       = var.prompts
  inputs        = var.inputs
  bucket        = var.bucket
  package       = merge(local.zips, { s3 = var.package.s3 })
  functions     = merge(var.functions, { architecture = var.architecture })
  logging       = var.logging
  notifications = var.notifications
  alarms        = var.alarms
  dashboard     = var.dashboard
  roles         = var.roles
  force_destroy = var.force_destroy
  network       = var.network
  encryption    = var.encrypted ? { kms_key_arn = aws_kms_key.this[0].arn, covers = ["data", "logs", "functions", "queue", "workflows"] } : null

  depends_on = [terraform_data.revision]
}

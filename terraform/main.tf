data "aws_partition" "current" {}

# For the provider's Region. aws_region has no attribute for it that both majors of the provider take: `name` and `id`
# are deprecated in 6, and `region` does not exist in 5.100.
data "aws_service" "s3" {
  service_id = "s3"
}

data "aws_caller_identity" "current" {}

data "aws_default_tags" "current" {}

# What the installation was made as. Names are made from this, and not from the data sources themselves: Terraform does
# not read those at plan while anything that the module block depends on has a change pending, and an unknown name
# would replace the bucket, the roles and all that hangs on them.
resource "terraform_data" "origin" {
  input = local.origin

  lifecycle {
    ignore_changes = [input]
  }
}

locals {
  origin = {
    name      = var.name
    bucket    = local.own_bucket ? "the module's own" : "given"
    given     = local.own_bucket ? "" : var.bucket.name
    prefix    = local.own_bucket ? "" : var.bucket.prefix
    region    = data.aws_service.s3.region
    account   = data.aws_caller_identity.current.account_id
    partition = data.aws_partition.current.partition
  }

  # Installations of earlier versions had no prefix, and did not note which bucket they were given.
  made_as = merge({ given = local.origin.given, prefix = "" }, terraform_data.origin.input)

  partition = terraform_data.origin.input.partition
  region    = terraform_data.origin.input.region
  account   = terraform_data.origin.input.account

  prefix = var.name
  tags   = merge({ "bedrock-batch" = var.name }, var.tags)
}

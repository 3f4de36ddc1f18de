# The zips. Only what changes them needs them: without the files a plan leaves the code as it is, and destroy, import
# and drift checks work.
locals {
  zips = {
    code  = coalesce(var.package.code_path, "${path.module}/../build/code.zip")
    layer = coalesce(var.package.layer_path, "${path.module}/../build/layer.zip")
  }

  missing_zips = [for kind, path in local.zips : "package.${kind}_path (${path})" if !fileexists(path)]
  zips_remedy  = "`make package` in a checkout of the same version builds build/code.zip and build/layer.zip. When the module's source is a git address, copy both into your own repository and set package.code_path and package.layer_path to them, as \"$${path.root}/build/code.zip\"."
}

# Remembers that there have been zips, as the first apply is not possible without.
resource "terraform_data" "packaged" {
  input = length(local.missing_zips) == 0

  lifecycle {
    ignore_changes = [input]

    postcondition {
      condition     = self.input
      error_message = "There is no file at ${join(" and ", local.missing_zips)}. ${local.zips_remedy}"
    }
  }
}

check "package" {
  assert {
    condition     = length(local.missing_zips) == 0 || !terraform_data.packaged.input
    error_message = "There is no file at ${join(" and ", local.missing_zips)}, so an apply leaves the functions' code as it is. That is right for a drift check. With a new version of the module it is not: its functions and its state machines belong together. ${local.zips_remedy}"
  }
}

# Both zips are uploaded to S3: the layer is near the 50 MB that may be uploaded directly, and the provider uploads
# functions one after the other when it sends them itself.
resource "aws_s3_object" "package" {
  for_each = local.zips

  bucket = local.bucket_name
  key    = "${local.root}/config/${each.key}.zip"
  source = each.value

  kms_key_id = local.key_arns.data

  # A new digest means a new upload. It is here because the provider keeps a content type that is not set, which it
  # does not do with source_hash.
  content_type = try("application/zip; sha256=${filesha256(each.value)}", null)

  # S3 takes ten tags on an object and fifty on everything else, so objects go without the provider's default ones.
  override_provider {
    default_tags {
      tags = {}
    }
  }

  # Objects take their encryption and versions from the bucket as it is when they are written.
  depends_on = [
    aws_s3_bucket_server_side_encryption_configuration.runs,
    aws_s3_bucket_versioning.runs,
    terraform_data.packaged,
  ]
}

# With another zip the old version is deleted. Published functions that have it keep it: Lambda holds a copy until no
# function refers to it.
resource "aws_lambda_layer_version" "libraries" {
  layer_name               = "${local.prefix}-libraries"
  description              = "pyarrow and the other libraries of the functions that touch rows"
  s3_bucket                = aws_s3_object.package["layer"].bucket
  s3_key                   = aws_s3_object.package["layer"].key
  source_code_hash         = try(filebase64sha256(local.zips.layer), null)
  compatible_runtimes      = ["python3.13"]
  compatible_architectures = ["arm64"]
}

# Where the functions' code and libraries come from: zips on this machine, which the installation uploads, or those that
# `make publish` has put into a bucket that all installations read.
locals {
  # Written by `make release`. Its zips are those that the sources of this commit build; between releases it names none.
  release = jsondecode(file("${path.module}/release.json"))

  from_s3 = var.package.s3 != null
  kinds   = var.package.layer_arn == null ? ["code", "layer"] : ["code"]

  # The zips in package.s3. A name is null where no release has such a zip.
  published = { for kind in local.kinds : kind => lookup(local.release.zips, kind == "code" ? "code" : "layer-${var.functions.architecture}", null) if local.from_s3 }
  keys      = { for kind, zip in local.published : kind => zip == null ? null : "${var.package.s3.prefix}${zip.key}" }

  # The zips on this machine, and what stands on their labels.
  zips = { for kind, path in {
    code  = coalesce(var.package.code_path, "${path.module}/../build/code.zip")
    layer = coalesce(var.package.layer_path, "${path.module}/../build/layer.zip")
  } : kind => path if !local.from_s3 && contains(local.kinds, kind) }

  missing_zips = [for kind, path in local.zips : "package.${kind}_path (${path})" if !fileexists(path)]
  found_zips   = { for kind, path in local.zips : kind => path if fileexists(path) }

  label_paths = { for kind, path in local.found_zips : kind => "${trimsuffix(path, ".zip")}.json" }
  labels      = { for kind, path in local.label_paths : kind => jsondecode(file(path)) if can(jsondecode(file(path)).version) }

  refused_zips = concat(
    [for kind, path in local.found_zips : "package.${kind}_path (${path}) has no label ${local.label_paths[kind]}, so nobody knows which version it is." if !contains(keys(local.labels), kind)],
    [for kind, label in local.labels : "package.${kind}_path (${local.zips[kind]}) is of version ${label.version}, and the module is ${local.release.version}." if label.version != local.release.version],
    [for kind, label in local.labels : "package.${kind}_path (${local.zips[kind]}) is not the zip that its label describes." if try(label.sha256, "") != filebase64sha256(local.zips[kind])],
    [for kind, label in local.labels : "package.${kind}_path (${local.zips[kind]}) is for ${label.architecture}, and functions.architecture is ${var.functions.architecture}." if try(label.architecture, var.functions.architecture) != var.functions.architecture],
  )

  zips_remedy = "`make package` in a checkout of the same version builds build/code.zip and build/layer.zip, each with its label (.json); for x86_64 add ARCHITECTURE=x86_64. When the module's source is a git address, set package.s3 to the place where `make publish` has put the zips, or copy zips and labels into your own repository and set package.code_path and package.layer_path to them, as \"$${path.root}/build/code.zip\"."

  # What Lambda reads. Without the zips of this machine the hashes are null, and the code stays as it is.
  objects = { for kind in local.kinds : kind => {
    bucket = local.from_s3 ? var.package.s3.bucket : aws_s3_object.package[kind].bucket
    key    = local.from_s3 ? local.keys[kind] : aws_s3_object.package[kind].key
    sha256 = local.from_s3 ? try(local.published[kind].sha256, null) : try(filebase64sha256(local.zips[kind]), null)
  } }

  layer_arn = var.package.layer_arn == null ? one(aws_lambda_layer_version.libraries[*].arn) : var.package.layer_arn
}

# A list and not the object itself: reading an object that is gone would also stop a destroy. Its name carries version
# and hash, so one of another version has another name.
data "aws_s3_objects" "published" {
  for_each = { for kind, key in local.keys : kind => key if key != null }

  bucket = var.package.s3.bucket
  prefix = each.value
}

# Remembers that there have been zips, as the first apply is not possible without. Whatever is wrong with them is refused
# here, before anything else is planned; in a destroy and in a drift check Terraform makes a warning of it.
resource "terraform_data" "packaged" {
  input = length(local.missing_zips) == 0

  lifecycle {
    ignore_changes = [input]

    precondition {
      condition     = length(local.refused_zips) == 0
      error_message = "${join(" ", local.refused_zips)} ${local.zips_remedy}"
    }

    precondition {
      condition     = alltrue([for key in values(local.keys) : key != null])
      error_message = "package.s3 needs a release of the module, and this commit is none: nobody has published zips of its sources. Let the module's source end with ?ref=v and a version, or build zips of this commit and set package.code_path and package.layer_path."
    }

    precondition {
      condition     = alltrue([for list in data.aws_s3_objects.published : contains(list.keys, list.prefix)])
      error_message = "package.s3: bucket ${try(var.package.s3.bucket, "")} does not have ${join(", ", [for list in data.aws_s3_objects.published : list.prefix if !contains(list.keys, list.prefix)])}. Module and zips must be of the same version, ${local.release.version}: `make publish` in a checkout of it puts them there."
    }

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

# The zips of this machine go through S3: the layer has more than the 50 MB that may be uploaded directly, and the
# provider uploads functions one after the other when it sends them itself.
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
  count = var.package.layer_arn == null ? 1 : 0

  layer_name               = "${local.prefix}-libraries"
  description              = "pyarrow and the other libraries of the functions that touch rows"
  s3_bucket                = local.objects.layer.bucket
  s3_key                   = local.objects.layer.key
  source_code_hash         = local.objects.layer.sha256
  compatible_runtimes      = ["python3.13"]
  compatible_architectures = [var.functions.architecture]

  depends_on = [terraform_data.packaged]
}

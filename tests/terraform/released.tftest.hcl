# The module of a release: tests/terraform/test_release.py puts this file into one, and
# the names of its zips into the mocks. Between releases there are no zips to name.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  package = { s3 = { bucket = "artifacts", prefix = "bedrock-batch/" } }
}

run "from_s3" {
  command = plan

  assert {
    condition     = alltrue([for one in aws_lambda_function.this : [one.s3_bucket, one.s3_key, one.source_code_hash] == ["artifacts", "bedrock-batch/${local.release.zips.code.key}", local.release.zips.code.sha256]])
    error_message = "The functions read their code from there."
  }

  assert {
    condition     = [for one in aws_lambda_layer_version.libraries : [one.s3_bucket, one.s3_key, one.source_code_hash]] == [["artifacts", "bedrock-batch/${local.release.zips.layer-arm64.key}", local.release.zips.layer-arm64.sha256]]
    error_message = "The layer is made from there."
  }

  assert {
    condition     = length(aws_s3_object.package) == 0
    error_message = "Nothing is uploaded."
  }
}

run "for_x86_64" {
  command = plan

  variables {
    functions = { architecture = "x86_64" }
  }

  assert {
    condition     = [for one in aws_lambda_layer_version.libraries : [one.s3_key, one.source_code_hash]] == [["bedrock-batch/${local.release.zips.layer-x86_64.key}", local.release.zips.layer-x86_64.sha256]]
    error_message = "It is the layer of the architecture."
  }
}

run "with_a_layer_of_yours" {
  command = plan

  variables {
    package = {
      s3        = { bucket = "artifacts", prefix = "bedrock-batch/" }
      layer_arn = "arn:aws:lambda:us-east-1:123456789012:layer:libraries:7"
    }
  }

  assert {
    condition     = keys(data.aws_s3_objects.published) == ["code"] && length(aws_lambda_layer_version.libraries) == 0
    error_message = "Only the code is looked for."
  }
}

run "of_another_version" {
  command = plan

  override_data {
    target = data.aws_s3_objects.published
    values = { keys = ["bedrock-batch/code-0.1.9-0123456789ab.zip", "bedrock-batch/layer-0.1.9-arm64-0123456789ab.zip"] }
  }

  expect_failures = [terraform_data.packaged]
}

# Where code and libraries come from, and what is refused.

mock_provider "aws" {
  source = "./tests/mocks"
}

# --- Zips on this machine: they are there to be uploaded. Once they are, plans do without.

run "first_plan_without_zips" {
  command = plan

  variables {
    package = { code_path = "tests/fixtures/none.zip", layer_path = "tests/fixtures/package.zip" }
  }

  expect_failures = [terraform_data.packaged]
}

run "zip_without_a_label" {
  command = plan

  variables {
    package = { code_path = "tests/fixtures/labels/none.zip", layer_path = "tests/fixtures/package.zip" }
  }

  expect_failures = [terraform_data.packaged]
}

run "zip_of_another_version" {
  command = plan

  variables {
    package = { code_path = "tests/fixtures/labels/version.zip", layer_path = "tests/fixtures/package.zip" }
  }

  expect_failures = [terraform_data.packaged]
}

run "zip_that_its_label_does_not_describe" {
  command = plan

  variables {
    package = { code_path = "tests/fixtures/labels/content.zip", layer_path = "tests/fixtures/package.zip" }
  }

  expect_failures = [terraform_data.packaged]
}

run "layer_of_another_architecture" {
  command = plan

  variables {
    functions = { architecture = "x86_64" }
  }

  expect_failures = [terraform_data.packaged]
}

run "first_apply" {
  command = apply

  assert {
    condition     = { for kind, object in aws_s3_object.package : kind => object.content_type } == { for kind in ["code", "layer"] : kind => "application/zip; sha256=${filesha256("tests/fixtures/package.zip")}" }
    error_message = "A zip with another content is uploaded again."
  }

  assert {
    condition     = alltrue([for function in aws_lambda_function.this : function.source_code_hash == filebase64sha256("tests/fixtures/package.zip")])
    error_message = "A zip with another content is deployed."
  }

  assert {
    condition     = alltrue([for function in aws_lambda_function.this : function.architectures == tolist(["arm64"])]) && aws_lambda_layer_version.libraries[0].compatible_architectures == toset(["arm64"])
    error_message = "Functions and layer are for the same architecture."
  }
}

run "later_plan_without_zips" {
  command = plan

  variables {
    package = { code_path = "tests/fixtures/none.zip", layer_path = "tests/fixtures/none.zip" }
  }

  expect_failures = [check.package] # a warning, outside of tests
}

run "layer_of_yours" {
  command = plan

  variables {
    package = { code_path = "tests/fixtures/package.zip", layer_arn = "arn:aws:lambda:us-east-1:123456789012:layer:libraries:7" }
  }

  assert {
    condition     = toset(flatten([for function in aws_lambda_function.this : function.layers])) == toset(["arn:aws:lambda:us-east-1:123456789012:layer:libraries:7"]) && toset(keys(aws_s3_object.package)) == toset(["code"]) && length(aws_lambda_layer_version.libraries) == 0
    error_message = "It is used as it is, and no layer is made or uploaded."
  }
}

# --- Zips in S3. Those of a release are tested with a release: tests/terraform/test_release.py.

run "zips_in_s3_of_a_commit_that_is_no_release" {
  command = plan

  variables {
    package = { s3 = { bucket = "artifacts" } }
  }

  override_data {
    target = data.aws_s3_objects.published
    values = { keys = [] }
  }

  expect_failures = [terraform_data.packaged]
}

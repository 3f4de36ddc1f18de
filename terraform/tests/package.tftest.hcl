# The zips are there to be uploaded. Once they are, plans do without.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name   = "reviews"
  models = ["amazon.nova-lite-v1:0"]
}

run "first_plan_without_zips" {
  command = plan

  variables {
    package = { code_path = "tests/fixtures/none.zip", layer_path = "tests/fixtures/package.zip" }
  }

  expect_failures = [terraform_data.packaged]
}

run "first_apply" {
  command = apply

  variables {
    package = { code_path = "tests/fixtures/package.zip", layer_path = "tests/fixtures/package.zip" }
  }

  assert {
    condition     = { for kind, object in aws_s3_object.package : kind => object.content_type } == { for kind in ["code", "layer"] : kind => "application/zip; sha256=${filesha256("tests/fixtures/package.zip")}" }
    error_message = "A zip with another content is uploaded again."
  }

  assert {
    condition     = alltrue([for function in aws_lambda_function.this : function.source_code_hash == filebase64sha256("tests/fixtures/package.zip")])
    error_message = "A zip with another content is deployed."
  }
}

run "later_plan_without_zips" {
  command = plan

  variables {
    package = { code_path = "tests/fixtures/none.zip", layer_path = "tests/fixtures/none.zip" }
  }

  expect_failures = [check.package] # a warning, outside of tests
}

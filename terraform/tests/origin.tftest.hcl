# What an installation was made as, it stays.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "made" {
  command = apply
}

run "in_another_region" {
  command = plan

  override_data {
    target = data.aws_service.s3
    values = { region = "eu-west-1" }
  }

  expect_failures = [aws_dynamodb_table.inventory]
}

run "in_another_account" {
  command = plan

  override_data {
    target = data.aws_caller_identity.current
    values = { account_id = "210987654321" }
  }

  expect_failures = [aws_dynamodb_table.inventory]
}

run "under_another_name" {
  command = plan

  variables {
    name = "tickets"
  }

  expect_failures = [aws_dynamodb_table.inventory]
}

run "in_a_bucket_that_is_given" {
  command = plan

  variables {
    bucket = { name = "my-bucket" }
  }

  expect_failures = [aws_dynamodb_table.inventory]
}

run "with_other_settings" {
  command = plan

  variables {
    models        = ["amazon.nova-pro-v1:0"]
    retention     = { work_days = 60, output_days = 60 }
    encryption    = { kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/ours" }
    force_destroy = true
  }

  assert {
    condition     = output.runs_bucket_name == run.made.runs_bucket_name && output.role_arns["service"] == run.made.role_arns["service"]
    error_message = "All else may change."
  }
}

run "made_with_a_prefix" {
  command   = apply
  state_key = "prefix"

  variables {
    bucket = { name = "shared", prefix = "teams/" }
  }
}

run "with_another_prefix" {
  command   = plan
  state_key = "prefix"

  variables {
    bucket = { name = "shared", prefix = "teams/nlp/" }
  }

  expect_failures = [aws_dynamodb_table.inventory]
}

run "without_its_prefix" {
  command   = plan
  state_key = "prefix"

  variables {
    bucket = { name = "shared" }
  }

  expect_failures = [aws_dynamodb_table.inventory]
}

run "in_another_bucket" {
  command   = plan
  state_key = "prefix"

  variables {
    bucket = { name = "other", prefix = "teams/" }
  }

  expect_failures = [aws_dynamodb_table.inventory]
}

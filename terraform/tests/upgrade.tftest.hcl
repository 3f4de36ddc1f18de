# An installation of an earlier version goes on: its bucket, table, roles, functions and machines stay.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "made" {
  command   = apply
  state_key = "own"

  module {
    source = "./tests/fixtures/made_without_a_prefix"
  }
}

run "upgraded" {
  command   = plan
  state_key = "own"

  assert {
    condition = {
      buckets   = aws_s3_bucket.runs[*].id
      table     = aws_dynamodb_table.inventory.id
      service   = aws_iam_role.service.id
      roles     = merge({ for name, role in aws_iam_role.function : name => role.id if name != "claim_run" }, { for name, role in aws_iam_role.machine : name => role.id })
      functions = { for name, function in aws_lambda_function.this : name => function.id if name != "claim_run" }
      machines  = { for name, machine in aws_sfn_state_machine.this : name => machine.id }
    } == run.made.ids
    error_message = "What would be made anew has no id in a plan."
  }

  assert {
    condition     = aws_s3_object.settings.key == "reviews/config/settings.json"
    error_message = "Only the objects get other keys."
  }
}

run "made_in_a_given_bucket" {
  command   = apply
  state_key = "given"

  variables {
    bucket = "shared"
  }

  module {
    source = "./tests/fixtures/made_without_a_prefix"
  }
}

run "upgraded_in_a_given_bucket" {
  command   = plan
  state_key = "given"

  variables {
    bucket = { name = "shared" }
  }

  assert {
    condition     = aws_dynamodb_table.inventory.id == run.made_in_a_given_bucket.ids.table && local.root == "reviews"
    error_message = "It stays in the bucket, without a prefix."
  }
}

run "upgraded_with_a_prefix" {
  command   = plan
  state_key = "given"

  variables {
    bucket = { name = "shared", prefix = "teams/" }
  }

  expect_failures = [aws_dynamodb_table.inventory]
}

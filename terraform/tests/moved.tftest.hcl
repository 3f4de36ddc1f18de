# What was made under another address stays: a plan that made it anew would not know its id.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name   = "reviews"
  models = ["amazon.nova-lite-v1:0"]
  package = {
    code_path  = "tests/fixtures/package.zip"
    layer_path = "tests/fixtures/package.zip"
  }
}

run "machines_by_name" {
  command   = apply
  state_key = "moved"

  module {
    source = "./tests/fixtures/machines_by_name"
  }
}

run "machines_by_map" {
  command   = plan
  state_key = "moved"

  assert {
    condition = {
      log_groups = { for name, group in aws_cloudwatch_log_group.machine : name => group.id }
      roles      = { for name, role in aws_iam_role.machine : name => role.id }
      policies   = { for name, policy in aws_iam_role_policy.machine : name => policy.id }
      machines   = { for name, machine in aws_sfn_state_machine.this : name => machine.id }
    } == run.machines_by_name.ids
    error_message = "Log groups, roles, policies and machines stay."
  }
}

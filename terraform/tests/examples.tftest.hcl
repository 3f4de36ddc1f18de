# The examples, applied as they stand, but for the zips, which nobody has built yet.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "minimal" {
  module {
    source = "./examples/minimal"
  }

  assert {
    condition = [
      for value in [output.run_state_machine_arn, output.stop_run_state_machine_arn, output.runs_bucket_name, output.output_uri, output.inventory_table_name, output.undelivered_events_queue_url] :
      value != ""
    ] == [true, true, true, true, true, true]
    error_message = "The example gives what the commands of docs/operations.md need."
  }
}

run "complete" {
  module {
    source = "./examples/complete"
  }

  variables {
    code_path                = "tests/fixtures/package.zip"
    layer_path               = "tests/fixtures/package.zip"
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
    subnet_ids               = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
    security_group_ids       = ["sg-0123456789abcdef0"]
  }

  assert {
    condition = [
      for rule in aws_s3_bucket_lifecycle_configuration.runs.rule : "${one(rule.expiration).days} s3://${aws_s3_bucket.runs.id}/${trimsuffix(one(rule.filter).prefix, "work/")}output/" if rule.id == "delete-old-work"
    ] == ["60 ${output.output_uri}"]
    error_message = "The example's own rule deletes what runs work with, below the root."
  }

  assert {
    condition     = length(output.role_arns) == 14
    error_message = "The example passes on the functions' roles."
  }

  assert {
    condition = [
      for s in data.aws_iam_policy_document.topic.statement : length(s.condition) if contains(s.actions, "sns:Publish")
    ] == [0]
    error_message = "AWS: \"You can't use Condition blocks in Amazon SNS topic policies for EventBridge\". Nobody would get a message."
  }
}

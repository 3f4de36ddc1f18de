# How long things are kept, by kind.

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

run "each_kind_by_its_own_days" {
  command = apply

  variables {
    retention = { work_days = 45, output_days = 400, report_days = 1000, inventory_days = 45 }
  }

  assert {
    condition = jsonencode({
      for rule in aws_s3_bucket_lifecycle_configuration.runs[0].rule : rule.id => [
        one(rule.filter).prefix, one(rule.expiration).days, one(rule.noncurrent_version_expiration[*].noncurrent_days), rule.status
      ]
      }) == jsonencode({
      housekeeping       = ["", 0, 30, "Enabled"]
      delete-old-work    = ["reviews/work/", 45, 1, "Enabled"]
      delete-old-output  = ["reviews/output/", 400, null, "Enabled"]
      delete-old-reports = ["reviews/reports/", 1000, null, "Enabled"]
    })
    error_message = "Work, output and reports have a rule each; claims and configuration have none."
  }

  assert {
    condition     = local.run_timeout_seconds == 31 * 86400 && local.placeholders.inventory_retention_seconds == 45 * 86400
    error_message = "A run ends 14 days before its files go; its state stays as long as they."
  }

  assert {
    condition     = jsondecode(aws_s3_object.settings.content).work_days == 45
    error_message = "The functions refuse a redrive that comes later."
  }
}

run "the_shortest" {
  command = plan

  variables {
    retention = { work_days = 30, output_days = 30, report_days = 30, inventory_days = 30 }
  }

  assert {
    condition     = local.run_timeout_seconds == 16 * 86400
    error_message = "A job takes a week at most; two rounds fit into the shortest run."
  }
}

run "longer_than_step_functions_runs" {
  command = plan

  variables {
    retention = { work_days = 3650 }
  }

  assert {
    condition     = local.run_timeout_seconds == 365 * 86400
    error_message = "Step Functions ends an execution after a year."
  }

  assert {
    condition     = local.placeholders.inventory_retention_seconds == 3650 * 86400
    error_message = "The state of a run outlives its work."
  }
}

run "in_a_bucket_that_is_given" {
  command   = apply
  state_key = "given"

  variables {
    bucket    = { name = "shared", prefix = "teams/" }
    retention = { work_days = 60 }
  }

  assert {
    condition     = jsondecode(aws_s3_object.settings.content).work_days == 60 && local.run_timeout_seconds == 46 * 86400
    error_message = "work_days counts, although the rules are the owner's."
  }
}

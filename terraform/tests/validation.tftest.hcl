# Wrong inputs are refused by the variable they are in. Each run gets one wrong value for as many variables as
# possible, because a run costs a second and a value a line.

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

run "wrong_values_1" {
  command = plan

  variables {
    # name too long
    name = "a23456789-123456789-12345"
    # no models
    models = []
    # prompt id with a space
    prompts = { "my prompt" = "Say {a}." }
    # input bucket as a uri
    inputs = { buckets = ["s3://data-lake/reviews"] }
    # inventory retention too short
    retention = { inventory_days = 29 }
    # key as an alias
    encryption = { kms_key_arn = "arn:aws:kms:us-east-1:123456789012:alias/ours" }
    # shard concurrency of zero
    functions = { shard_concurrency = 0 }
    # logging level unknown
    logging = { level = "INFO" }
    # notification on nothing
    notifications = { topic_arn = "arn:aws:sns:us-east-1:123456789012:runs", on = [] }
    # role path without slashes
    role_path = "bedrock"
  }

  expect_failures = [
    var.name,
    var.models,
    var.prompts,
    var.inputs,
    var.retention,
    var.encryption,
    var.functions,
    var.logging,
    var.notifications,
    var.role_path,
  ]
}

run "wrong_values_2" {
  command = plan

  variables {
    # name with capitals
    name = "Reviews"
    # model without a provider
    models = ["nova-lite"]
    # blank prompt
    prompts = { blank = " \n" }
    # input key as an alias
    inputs = { kms_key_arns = ["arn:aws:kms:us-east-1:123456789012:alias/lake"] }
    # runs retention too short
    retention = { runs_days = 7 }
    # reserved concurrency of no function
    functions = { reserved_concurrency = { join_shards = 4 } }
    # notification on unknown status
    notifications = { topic_arn = "arn:aws:sns:us-east-1:123456789012:runs", on = ["RUNNING"] }
  }

  expect_failures = [
    var.name,
    var.models,
    var.prompts,
    var.inputs,
    var.retention,
    var.functions,
    var.notifications,
  ]
}

run "wrong_values_3" {
  command = plan

  variables {
    # name starting with a digit
    name = "1reviews"
    # model arn of another kind
    models = ["arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abc123"]
    # any secret
    inputs = { secret_arns = ["arn:aws:secretsmanager:us-east-1:123456789012:secret:*"] }
    # log retention unknown
    retention = { log_days = 10 }
    # reserved concurrency of zero
    functions = { reserved_concurrency = { join_shard = 0 } }
  }

  expect_failures = [
    var.name,
    var.models,
    var.inputs,
    var.retention,
    var.functions,
  ]
}

run "wrong_values_4" {
  command = plan

  variables {
    # bucket as an arn (not beside a wrong retention, which is only looked at when the bucket is right)
    bucket = { name = "arn:aws:s3:::my-bucket" }
    # name ending in a hyphen
    name = "reviews-"
    # memory too small
    functions = { memory_mb = { join_shard = 64 } }
    # tag of AWS's own
    tags = { "AWS:team" = "reviews" }
  }

  expect_failures = [
    var.bucket,
    var.name,
    var.functions,
    var.tags,
  ]
}

run "wrong_values_5" {
  command = plan

  variables {
    # name with two hyphens
    name = "my--reviews"
    # memory of no function
    functions = { memory_mb = { join = 1024 } }
    # topic by its name
    notifications = { topic_arn = "reviews-runs" }
    alarms        = { topic_arn = "reviews-runs" }
    # policy by its name
    permissions_boundary_arn = "developers"
    # tag that Bedrock refuses
    tags = { team = "Überprüfung" }
  }

  expect_failures = [
    var.name,
    var.functions,
    var.notifications,
    var.alarms,
    var.permissions_boundary_arn,
    var.tags,
  ]
}

run "runs_retention_in_a_bucket_of_ones_own" {
  command = plan

  variables {
    bucket    = { name = "my-bucket" }
    retention = { runs_days = 60 }
  }

  expect_failures = [var.retention]
}

run "more_tags_than_a_job_takes" {
  command = plan

  variables {
    tags = { for number in range(48) : "tag-${number}" => "" }
  }

  expect_failures = [var.tags]
}

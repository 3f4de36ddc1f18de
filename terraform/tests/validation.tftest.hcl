# Wrong inputs are refused by the variable they are in. Each run gets one wrong value for as many variables as
# possible, because a run costs a second and a value a line. `make test` runs this file beside variables.tf alone, without
# the provider: what a precondition of a resource refuses belongs into another file.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "wrong_values_1" {
  command = plan

  variables {
    # two places for the code
    package = { s3 = { bucket = "artifacts" }, code_path = "tests/fixtures/package.zip" }
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
    # no subnets
    network = { subnet_ids = [], security_group_ids = ["sg-0123456789abcdef0"] }
    # role path without slashes
    roles = { path = "bedrock" }
  }

  expect_failures = [
    var.package,
    var.name,
    var.models,
    var.prompts,
    var.inputs,
    var.retention,
    var.encryption,
    var.functions,
    var.logging,
    var.notifications,
    var.network,
    var.roles,
  ]
}

run "wrong_values_2" {
  command = plan

  variables {
    # two places for the layer
    package = { s3 = { bucket = "artifacts" }, layer_path = "tests/fixtures/package.zip" }
    # name with capitals
    name = "Reviews"
    # model without a provider
    models = ["nova-lite"]
    # blank prompt
    prompts = { blank = " \n" }
    # input key as an alias
    inputs = { kms_key_arns = ["arn:aws:kms:us-east-1:123456789012:alias/lake"] }
    # work retention too short
    retention = { work_days = 29 }
    # key for what it does not cover
    encryption = { kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/ours", covers = ["data", "secrets"] }
    # subnets by their names
    network = { subnet_ids = ["private-a"], security_group_ids = ["sg-0123456789abcdef0"] }
    # hours that Bedrock never waits
    alarms = { topic_arn = "arn:aws:sns:us-east-1:123456789012:alarms", job_pending_hours = 200 }
    # reserved concurrency of no function
    functions = { reserved_concurrency = { join_shards = 4 } }
    # notification on unknown status
    notifications = { topic_arn = "arn:aws:sns:us-east-1:123456789012:runs", on = ["RUNNING"] }
  }

  expect_failures = [
    var.package,
    var.name,
    var.models,
    var.prompts,
    var.inputs,
    var.retention,
    var.encryption,
    var.functions,
    var.network,
    var.alarms,
    var.notifications,
  ]
}

run "wrong_values_3" {
  command = plan

  variables {
    # a layer of yours, and a zip of one
    package = { layer_arn = "arn:aws:lambda:us-east-1:123456789012:layer:libraries:7", layer_path = "tests/fixtures/package.zip" }
    # name starting with a digit
    name = "1reviews"
    # model arn of another kind
    models = ["arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abc123"]
    # any secret
    inputs = { secret_arns = ["arn:aws:secretsmanager:us-east-1:123456789012:secret:*"] }
    # log retention unknown
    retention = { log_days = 10 }
    # key for nothing
    encryption = { kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/ours", covers = [] }
    # more security groups than Lambda takes
    network = { subnet_ids = ["subnet-0123456789abcdef0"], security_group_ids = [for number in range(6) : "sg-0123456${number}"] }
    # hours that are not measured
    alarms = { topic_arn = "arn:aws:sns:us-east-1:123456789012:alarms", job_pending_hours = 0.5 }
    # reserved concurrency of zero
    functions = { reserved_concurrency = { join_shard = 0 } }
  }

  expect_failures = [
    var.package,
    var.name,
    var.models,
    var.inputs,
    var.retention,
    var.encryption,
    var.functions,
    var.network,
    var.alarms,
  ]
}

run "wrong_values_4" {
  command = plan

  variables {
    # artefacts as a uri
    package = { s3 = { bucket = "s3://artifacts/bedrock-batch" } }
    # bucket as an arn (not beside a wrong retention, which is only looked at when the bucket is right)
    bucket = { name = "arn:aws:s3:::my-bucket" }
    # name ending in a hyphen
    name = "reviews-"
    # location without a slash at its end
    inputs = { locations = ["s3://lake/reviews"] }
    # memory too small
    functions = { memory_mb = { join_shard = 64 } }
    # tag of AWS's own
    tags = { "AWS:team" = "reviews" }
  }

  expect_failures = [
    var.package,
    var.bucket,
    var.name,
    var.inputs,
    var.functions,
    var.tags,
  ]
}

run "wrong_values_5" {
  command = plan

  variables {
    # artefacts below a name that is no folder
    package = { s3 = { bucket = "artifacts", prefix = "bedrock-batch" } }
    # name with two hyphens
    name = "my--reviews"
    # an attribute of earlier versions
    retention = { runs_days = 60 }
    # prefix that Bedrock refuses
    bucket = { name = "shared", prefix = "team=nlp/" }
    # location with a wildcard
    inputs = { locations = ["s3://lake/*/"] }
    # memory of no function
    functions = { memory_mb = { join = 1024 } }
    # topic by its name
    notifications = { topic_arn = "reviews-runs" }
    alarms        = { topic_arn = "reviews-runs" }
    # policy by its name
    roles = { permissions_boundary_arn = "developers" }
    # tag that Bedrock refuses
    tags = { team = "Überprüfung" }
  }

  expect_failures = [
    var.package,
    var.name,
    var.bucket,
    var.inputs,
    var.functions,
    var.notifications,
    var.alarms,
    var.roles,
    var.tags,
  ]
}

run "wrong_bucket_1" {
  command = plan

  variables {
    # neither a name nor an access log
    bucket = {}
  }

  expect_failures = [var.bucket]
}

run "wrong_bucket_2" {
  command = plan

  variables {
    # an access log of a bucket that is given
    bucket = { name = "shared", access_log = { bucket = "logs" } }
  }

  expect_failures = [var.bucket]
}

run "wrong_bucket_3" {
  command = plan

  variables {
    # an access log by its uri
    bucket = { access_log = { bucket = "s3://logs/reviews/" } }
  }

  expect_failures = [var.bucket]
}

run "wrong_values_6" {
  command = plan

  variables {
    # a layer without the number of its version
    package = { layer_arn = "arn:aws:lambda:us-east-1:123456789012:layer:libraries" }
    # architecture as wheels call it
    functions = { architecture = "aarch64" }
  }

  expect_failures = [
    var.package,
    var.functions,
  ]
}

# --- Wrong prefixes, locations and retentions: a bucket and a retention do not go together

run "wrong_prefix_1" {
  command = plan

  variables {
    # prefix without a slash at its end
    bucket = { name = "shared", prefix = "teams/nlp" }
    # location without a slash
    inputs = { locations = ["s3://lake/", "s3://lake/reviews"] }
  }

  expect_failures = [var.bucket, var.inputs]
}

run "wrong_prefix_2" {
  command = plan

  variables {
    # prefix with a slash at its beginning
    bucket = { name = "shared", prefix = "/teams/nlp/" }
    # location without a scheme
    inputs = { locations = ["lake/reviews/"] }
  }

  expect_failures = [var.bucket, var.inputs]
}

run "wrong_prefix_3" {
  command = plan

  variables {
    # prefix that is a slash
    bucket = { name = "shared", prefix = "/" }
    # location without a bucket
    inputs = { locations = ["s3:///reviews/"] }
  }

  expect_failures = [var.bucket, var.inputs]
}

run "wrong_prefix_4" {
  command = plan

  variables {
    # prefix with two slashes
    bucket = { name = "shared", prefix = "teams//nlp/" }
    # location with a star
    inputs = { locations = ["s3://lake/*"] }
  }

  expect_failures = [var.bucket, var.inputs]
}

run "wrong_prefix_5" {
  command = plan

  variables {
    # prefix with two slashes at its end
    bucket = { name = "shared", prefix = "teams/nlp//" }
    # location with a star in its bucket
    inputs = { locations = ["s3://lake-*/reviews/"] }
  }

  expect_failures = [var.bucket, var.inputs]
}

run "wrong_prefix_6" {
  command = plan

  variables {
    # prefix with a dot for a name
    bucket = { name = "shared", prefix = "teams/./nlp/" }
    # location with a question mark
    inputs = { locations = ["s3://lake/review?/"] }
  }

  expect_failures = [var.bucket, var.inputs]
}

run "wrong_prefix_7" {
  command = plan

  variables {
    # prefix with two dots for a name
    bucket = { name = "shared", prefix = "../nlp/" }
    # location with a variable
    inputs = { locations = ["s3://lake/$${aws:username}/"] }
  }

  expect_failures = [var.bucket, var.inputs]
}

run "wrong_prefix_8" {
  command = plan

  variables {
    # prefix with an equals sign
    bucket = { name = "shared", prefix = "team=nlp/" }
    # location with a line break
    inputs = { locations = ["s3://lake/reviews/\n"] }
  }

  expect_failures = [var.bucket, var.inputs]
}

run "wrong_prefix_9" {
  command = plan

  variables {
    # prefix with a colon
    bucket = { name = "shared", prefix = "teams:nlp/" }
    # location as an arn
    inputs = { locations = ["arn:aws:s3:::lake/reviews/"] }
  }

  expect_failures = [var.bucket, var.inputs]
}

run "wrong_prefix_10" {
  command = plan

  variables {
    # prefix with a plus
    bucket = { name = "shared", prefix = "teams+nlp/" }
    # location with capitals in its bucket
    inputs = { locations = ["s3://Lake/reviews/"] }
  }

  expect_failures = [var.bucket, var.inputs]
}

run "wrong_prefix_11" {
  command = plan

  variables {
    # prefix with a space
    bucket = { name = "shared", prefix = "my teams/" }
    # location too long
    inputs = { locations = ["s3://lake/${join("", [for number in range(101) : "abcd/"])}"] }
  }

  expect_failures = [var.bucket, var.inputs]
}

run "wrong_prefix_12" {
  command = plan

  variables {
    # prefix with a star
    bucket = { name = "shared", prefix = "teams*/" }
  }

  expect_failures = [var.bucket]
}

run "wrong_prefix_13" {
  command = plan

  variables {
    # prefix with another alphabet
    bucket = { name = "shared", prefix = "équipe/" }
  }

  expect_failures = [var.bucket]
}

run "wrong_prefix_14" {
  command = plan

  variables {
    # prefix as a uri
    bucket = { name = "shared", prefix = "s3://shared/teams/" }
  }

  expect_failures = [var.bucket]
}

run "wrong_prefix_15" {
  command = plan

  variables {
    # prefix with a line break
    bucket = { name = "shared", prefix = "teams/\n" }
  }

  expect_failures = [var.bucket]
}

run "wrong_prefix_16" {
  command = plan

  variables {
    # prefix too long
    bucket = { name = "shared", prefix = "${join("", [for number in range(20) : "abcd/"])}a/" }
  }

  expect_failures = [var.bucket]
}

run "wrong_retention_1" {
  command = plan

  variables {
    # retention of half a day
    retention = { work_days = 30.5 }
  }

  expect_failures = [var.retention]
}

run "wrong_retention_2" {
  command = plan

  variables {
    # retention of output for half a day
    retention = { output_days = 90.5 }
  }

  expect_failures = [var.retention]
}

run "wrong_retention_3" {
  command = plan

  variables {
    # retention of output below thirty days
    retention = { work_days = 30, output_days = 29 }
  }

  expect_failures = [var.retention]
}

run "wrong_retention_4" {
  command = plan

  variables {
    # retention of output shorter than of work
    retention = { output_days = 89 }
  }

  expect_failures = [var.retention]
}

run "wrong_retention_5" {
  command = plan

  variables {
    # retention of reports shorter than of work
    retention = { report_days = 89 }
  }

  expect_failures = [var.retention]
}

run "wrong_retention_6" {
  command = plan

  variables {
    # retention of the inventory shorter than of work
    retention = { inventory_days = 89 }
  }

  expect_failures = [var.retention]
}

run "wrong_retention_7" {
  command = plan

  variables {
    # retention of the inventory left behind
    retention = { work_days = 365, inventory_days = 364 }
  }

  expect_failures = [var.retention]
}

run "wrong_retention_8" {
  command = plan

  variables {
    # retention of zero days
    retention = { report_days = 0 }
  }

  expect_failures = [var.retention]
}

run "wrong_retention_9" {
  command = plan

  variables {
    # retention by the attribute of earlier versions
    retention = { runs_days = 60 }
  }

  expect_failures = [var.retention]
}

run "wrong_retention_10" {
  command = plan

  variables {
    # output days in a bucket of ones own
    bucket    = { name = "my-bucket" }
    retention = { output_days = 90 }
  }

  expect_failures = [var.retention]
}

run "wrong_retention_11" {
  command = plan

  variables {
    # report days in a bucket of ones own
    bucket    = { name = "my-bucket" }
    retention = { report_days = 90 }
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

# What the key covers, and what its policy must allow.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

run "everything" {
  command = plan

  variables {
    encryption = { kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/ours", covers = ["data", "logs", "functions", "queue", "workflows"] }
    roles      = { path = "/bedrock/" }
    logging    = { tracing = true }
  }

  assert {
    condition = toset(concat(
      [for group in concat(values(aws_cloudwatch_log_group.function), values(aws_cloudwatch_log_group.machine)) : group.kms_key_id],
      [for function in aws_lambda_function.this : function.kms_key_arn],
      [for function in aws_lambda_function.this : one(function.environment).variables.KMS_KEY_ARN],
      [for machine in aws_sfn_state_machine.this : one(machine.encryption_configuration).kms_key_id],
      [for object in concat(values(aws_s3_object.package), [aws_s3_object.settings]) : object.kms_key_id],
      [aws_sqs_queue.undelivered.kms_master_key_id, one(aws_dynamodb_table.inventory.server_side_encryption).kms_key_arn],
    )) == toset(["arn:aws:kms:us-east-1:123456789012:key/ours"])
    error_message = "The key encrypts all of it, and all writes of objects name it."
  }

  assert {
    condition = {
      for name, document in data.aws_iam_policy_document.every_machine : name => one([
        for s in document.statement : toset(one(s.condition).values) if s.sid == "UseKeyOfMachines"
      ])
      } == {
      run       = toset(["arn:aws:states:us-east-1:123456789012:stateMachine:reviews-run", "arn:aws:states:us-east-1:123456789012:stateMachine:reviews-run/*"])
      job_event = toset(["arn:aws:states:us-east-1:123456789012:stateMachine:reviews-job-event", "arn:aws:states:us-east-1:123456789012:stateMachine:reviews-job-event/*", "arn:aws:states:us-east-1:123456789012:stateMachine:reviews-run", "arn:aws:states:us-east-1:123456789012:stateMachine:reviews-run/*"])
      stop_run  = toset(["arn:aws:states:us-east-1:123456789012:stateMachine:reviews-stop-run", "arn:aws:states:us-east-1:123456789012:stateMachine:reviews-stop-run/*", "arn:aws:states:us-east-1:123456789012:stateMachine:reviews-run", "arn:aws:states:us-east-1:123456789012:stateMachine:reviews-run/*"])
    }
    error_message = "A machine decrypts its own executions and those of runs."
  }

  assert {
    condition = jsonencode({
      for s in data.aws_iam_policy_document.key.statement : s.sid => sort(flatten([for p in s.principals : p.identifiers]))
      }) == jsonencode({
      RolesOfTheModule        = ["arn:aws:iam::123456789012:root"]
      LogGroupsOfTheModule    = ["logs.us-east-1.amazonaws.com"]
      LogsOfEncryptedMachines = ["delivery.logs.amazonaws.com"]
      UndeliveredEvents       = ["events.amazonaws.com"]
      NotificationsAndAlarms  = ["cloudwatch.amazonaws.com", "events.amazonaws.com"]
    })
    error_message = "The key's policy allows the module's roles and the services that encrypt for it."
  }

  assert {
    condition = alltrue([for s in data.aws_iam_policy_document.key.statement : length(s.condition) == 1]) && toset(one(one([
      for s in data.aws_iam_policy_document.key.statement : s.condition if s.sid == "RolesOfTheModule"
      ])).values) == toset([
      for role in concat(values(aws_iam_role.function), values(aws_iam_role.machine), [aws_iam_role.service, aws_iam_role.events]) : "arn:aws:iam::123456789012:role/bedrock/${role.name}"
    ])
    error_message = "Everything in the key's policy has a condition; the first names all roles, by the names that they get."
  }

  assert {
    condition = toset(one(one([
      for s in data.aws_iam_policy_document.key.statement : s.condition if s.sid == "LogGroupsOfTheModule"
      ])).values) == toset([
      for group in concat(values(aws_cloudwatch_log_group.function), values(aws_cloudwatch_log_group.machine)) : "arn:aws:logs:us-east-1:123456789012:log-group:${group.name}"
    ])
    error_message = "The key's policy names all log groups, by the names that they get."
  }

  assert {
    condition = alltrue([for function in aws_lambda_function.this : one(function.tracing_config).mode == "Active"]) && alltrue([
      for machine in aws_sfn_state_machine.this : one(machine.tracing_configuration).enabled
      ]) && alltrue([
      for document in concat(values(data.aws_iam_policy_document.function), values(data.aws_iam_policy_document.every_machine)) :
      contains([for s in document.statement : s.sid], "Trace")
    ])
    error_message = "Functions and machines are traced, and their roles may write traces."
  }
}

run "environments_alone" {
  command = plan

  variables {
    encryption = { kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/ours", covers = ["functions"] }
  }

  assert {
    condition = alltrue([
      for document in data.aws_iam_policy_document.function : one([for s in document.statement : s.actions if s.sid == "UseKey"]) == toset(["kms:Decrypt"])
      ]) && alltrue([
      for document in concat([data.aws_iam_policy_document.service, data.aws_iam_policy_document.job_event], values(data.aws_iam_policy_document.maps), values(data.aws_iam_policy_document.every_machine)) :
      length([for s in document.statement : s if length(setintersection(s.actions, ["kms:Decrypt", "kms:GenerateDataKey"])) > 0]) == 0
    ])
    error_message = "Functions decrypt their environments; nobody else may use the key."
  }

  assert {
    condition = (
      jsondecode(aws_s3_object.settings.content).kms_key_arn == null && length(aws_dynamodb_table.inventory.server_side_encryption) == 0
      && length(aws_lambda_function.this["claim_run"].environment) == 0 && aws_sqs_queue.undelivered.sqs_managed_sse_enabled
    )
    error_message = "Data, queue and logs are left to AWS's keys."
  }
}

run "access_log" {
  command = plan

  variables {
    bucket = { access_log = { bucket = "company-access-logs", prefix = "reviews/" } }
  }

  assert {
    condition = length(aws_s3_bucket.runs) == 1 && one([
      for log in aws_s3_bucket_logging.runs : "${log.target_bucket} ${log.target_prefix}"
    ]) == "company-access-logs reviews/"
    error_message = "The bucket is the module's own, and S3 logs the access to it elsewhere."
  }

  assert {
    condition     = contains([for s in data.aws_iam_policy_document.start.statement : s.sid], "UploadTables") && contains([for s in data.aws_iam_policy_document.function["plan_run"].statement : s.sid], "ListInputs")
    error_message = "It is a place for inputs, as without an access log."
  }
}

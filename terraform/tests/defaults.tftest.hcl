# What one gets who sets only what must be set.

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

run "defaults" {
  command = apply

  # --- storage

  assert {
    condition     = aws_s3_bucket.runs[0].bucket == "reviews-runs-123456789012-us-east-1"
    error_message = "The bucket's name tells installation, account and Region."
  }

  assert {
    condition     = !aws_s3_bucket.runs[0].force_destroy && aws_dynamodb_table.inventory.deletion_protection_enabled
    error_message = "Nothing that holds runs may be destroyed by default."
  }

  assert {
    condition     = one(aws_s3_bucket_versioning.runs[0].versioning_configuration).status == "Enabled"
    error_message = "The bucket keeps versions."
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.runs[0].block_public_acls,
      aws_s3_bucket_public_access_block.runs[0].block_public_policy,
      aws_s3_bucket_public_access_block.runs[0].ignore_public_acls,
      aws_s3_bucket_public_access_block.runs[0].restrict_public_buckets,
    ])
    error_message = "Nothing of the bucket may be public."
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.runs[0].rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "Without a key of one's own, S3 encrypts with its own."
  }

  assert {
    condition = {
      for rule in aws_s3_bucket_lifecycle_configuration.runs[0].rule : rule.id => {
        prefix  = one(rule.filter).prefix
        days    = one(rule.expiration).days
        markers = one(rule.expiration).expired_object_delete_marker
        old     = one(rule.noncurrent_version_expiration).noncurrent_days
        uploads = one(rule.abort_incomplete_multipart_upload).days_after_initiation
      }
    } == { housekeeping = { prefix = "", days = 0, markers = true, old = 30, uploads = 7 } }
    error_message = "Runs are kept until somebody decides otherwise; what nobody sees of them is not."
  }

  assert {
    condition = {
      for sid in ["ReadInputs", "ListInputs", "DecryptInputs", "ReadHubTokens"] : sid => [
        for name, document in data.aws_iam_policy_document.function : name if contains([for s in document.statement : s.sid], sid)
      ]
    } == { ReadInputs = ["plan_run", "prepare_shard"], ListInputs = [], DecryptInputs = [], ReadHubTokens = [] }
    error_message = "Two functions read inputs, from the runs bucket alone, and no function reads secrets."
  }
  assert {
    condition     = one(data.aws_iam_policy_document.runs_bucket[0].statement).effect == "Deny" && one(one(data.aws_iam_policy_document.runs_bucket[0].statement).condition).variable == "aws:SecureTransport"
    error_message = "Plain HTTP is refused."
  }

  assert {
    condition     = aws_s3_object.settings.key == "config/reviews/settings.json" && aws_s3_object.package["layer"].key == "config/reviews/layer.zip"
    error_message = "Configuration lies below the installation's name."
  }

  assert {
    condition     = { for s in data.aws_iam_policy_document.service.statement : s.sid => s.actions if s.sid == "WriteOutput" } == { WriteOutput = toset(["s3:GetObject", "s3:PutObject"]) }
    error_message = "Bedrock may read what it has written."
  }

  # --- inventory

  assert {
    condition     = aws_dynamodb_table.inventory.name == "reviews-inventory" && aws_dynamodb_table.inventory.hash_key == "pk" && aws_dynamodb_table.inventory.billing_mode == "PAY_PER_REQUEST"
    error_message = "The inventory is keyed by pk and paid by request."
  }

  assert {
    condition     = { for index in aws_dynamodb_table.inventory.global_secondary_index : index.name => [index.hash_key, index.range_key] } == { by_run = ["run_id", "pk"], by_status = ["status", "updated_at"] }
    error_message = "The inventory is searched by run and by status."
  }

  assert {
    condition     = one(aws_dynamodb_table.inventory.ttl).attribute_name == "expires_at" && one(aws_dynamodb_table.inventory.point_in_time_recovery).enabled
    error_message = "Entries expire, and the table can be brought back."
  }

  assert {
    condition     = length(aws_dynamodb_table.inventory.server_side_encryption) == 0
    error_message = "Without a key of one's own, DynamoDB encrypts with its own."
  }

  # --- functions

  assert {
    condition     = toset(keys(aws_lambda_function.this)) == toset(["plan_run", "prepare_shard", "review_run", "gather_leftovers", "pool_leftovers", "answer_on_demand", "join_shard", "finish_run"])
    error_message = "There are eight functions."
  }

  assert {
    condition = alltrue([
      for name, function in aws_lambda_function.this :
      function.handler == "bedrock_batch.handlers.${name}.handler" && function.function_name == "reviews-${replace(name, "_", "-")}"
    ])
    error_message = "One name down the stack: function, handler, file."
  }

  assert {
    condition = alltrue([
      for function in aws_lambda_function.this :
      function.runtime == "python3.13" && function.architectures == tolist(["arm64"]) && function.reserved_concurrent_executions == -1
    ])
    error_message = "Functions run Python 3.13 on arm64 and reserve nothing."
  }

  assert {
    condition     = { for name, function in aws_lambda_function.this : name => function.memory_size } == { plan_run = 3008, prepare_shard = 1769, review_run = 512, gather_leftovers = 1024, pool_leftovers = 1024, answer_on_demand = 512, join_shard = 2048, finish_run = 1024 }
    error_message = "Functions that touch rows have more memory than those that count."
  }

  assert {
    condition     = max([for function in aws_lambda_function.this : function.memory_size]...) <= 3008
    error_message = "New accounts are refused a function of more than 3008 MB."
  }

  assert {
    condition     = [for name, function in aws_lambda_function.this : name if can(function.environment[0].variables.SETTINGS_URI)] == ["plan_run"]
    error_message = "Only plan_run needs to know where the settings are; the rest comes with the event."
  }

  assert {
    condition = {
      for name, function in aws_lambda_function.this : name => sort(keys(function.environment[0].variables))
      if length(function.environment) > 0
      } == {
      join_shard    = tolist(["ARROW_DEFAULT_MEMORY_POOL", "MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "OPENBLAS_NUM_THREADS"])
      plan_run      = tolist(["ARROW_DEFAULT_MEMORY_POOL", "MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "OPENBLAS_NUM_THREADS", "SETTINGS_URI"])
      prepare_shard = tolist(["ARROW_DEFAULT_MEMORY_POOL", "MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "OPENBLAS_NUM_THREADS"])
    }
    error_message = "Functions that touch rows keep the memory they have freed; the others have no other variables."
  }

  assert {
    condition     = alltrue([for name, group in aws_cloudwatch_log_group.function : group.retention_in_days == 30 && group.name == "/aws/lambda/${local.function_names[name]}"])
    error_message = "Each function's log group is the module's and forgets after 30 days."
  }

  assert {
    condition = {
      for name, document in data.aws_iam_policy_document.function : name => [
        for s in document.statement : s.resources if contains(s.actions, "bedrock:GetPrompt")
      ] if anytrue([for s in document.statement : contains(s.actions, "bedrock:GetPrompt")])
    } == { plan_run = [toset(["arn:aws:bedrock:us-east-1:123456789012:prompt/*"])] }
    error_message = "Only the plan reads prompts, and only those of this account and Region."
  }

  assert {
    condition = toset(flatten([
      for s in data.aws_iam_policy_document.function["plan_run"].statement : [for action in s.actions : action if startswith(action, "bedrock:")]
    ])) == toset(["bedrock:GetPrompt"])
    error_message = "Of Bedrock the plan may do nothing but read prompts."
  }

  # --- workflows and events

  assert {
    condition     = aws_sfn_state_machine.this["run"].name == "reviews-run" && aws_sfn_state_machine.this["run"].type == "STANDARD"
    error_message = "A run waits for tokens, so its machine is STANDARD."
  }

  assert {
    condition     = aws_sfn_state_machine.this["job_event"].name == "reviews-job-event" && aws_sfn_state_machine.this["job_event"].type == "EXPRESS"
    error_message = "Events are many and short: EXPRESS."
  }

  assert {
    condition     = aws_sfn_state_machine.this["stop_run"].name == "reviews-stop-run" && aws_sfn_state_machine.this["stop_run"].type == "STANDARD"
    error_message = "Jobs take minutes to stop, so their machine is STANDARD."
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.stop_run.event_pattern) == {
      source      = ["aws.states"]
      detail-type = ["Step Functions Execution Status Change"]
      detail = {
        stateMachineArn = [aws_sfn_state_machine.this["run"].arn]
        status          = ["ABORTED", "FAILED", "TIMED_OUT"]
      }
    }
    error_message = "Runs that did not end by themselves have jobs to stop."
  }

  assert {
    condition     = length(aws_cloudwatch_event_target.stop_run.dead_letter_config) == 1 && one(aws_cloudwatch_event_target.stop_run.retry_policy).maximum_event_age_in_seconds == 86400
    error_message = "The event that stops jobs is tried for a day and then kept."
  }

  assert {
    condition     = !strcontains(one(aws_cloudwatch_event_target.stop_run.input_transformer).input_template, "input")
    error_message = "A run's input has no business in the machine that stops it."
  }

  assert {
    condition     = toset(one([for c in one(data.aws_iam_policy_document.events_trust.statement).condition : c.values if c.variable == "aws:SourceArn"])) == toset(["arn:aws:events:us-east-1:123456789012:rule/reviews-job-event", "arn:aws:events:us-east-1:123456789012:rule/reviews-stop-run"])
    error_message = "The events role is for the two rules that start machines."
  }

  assert {
    condition     = one([for s in data.aws_iam_policy_document.maps["stop_run"].statement : s if contains(s.actions, "s3:ListBucket")]).resources == toset([local.bucket_arn])
    error_message = "The machine that stops runs looks for a run's lists of jobs, in this bucket alone."
  }

  assert {
    condition = { for s in data.aws_iam_policy_document.stop_run.statement : s.sid => s.resources if contains(["StopJobs", "SeeHowRunsEnded", "FindJobsOfRun"], s.sid) } == {
      StopJobs        = toset(["arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/*"])
      SeeHowRunsEnded = toset(["arn:aws:states:us-east-1:123456789012:execution:reviews-run:*"])
      FindJobsOfRun   = toset(["arn:aws:dynamodb:us-east-1:123456789012:table/reviews-inventory/index/by_run"])
    }
    error_message = "The machine that stops jobs may do that, and read what it needs to."
  }

  assert {
    condition = { for name, document in data.aws_iam_policy_document.maps : name => { for s in document.statement : s.sid => s.resources if contains(["StartChildren", "HandleChildren"], s.sid) } } == {
      run = {
        StartChildren  = toset(["arn:aws:states:us-east-1:123456789012:stateMachine:reviews-run"])
        HandleChildren = toset(["arn:aws:states:us-east-1:123456789012:execution:reviews-run:*", "arn:aws:states:us-east-1:123456789012:execution:reviews-run/*:*"])
      }
      stop_run = {
        StartChildren  = toset(["arn:aws:states:us-east-1:123456789012:stateMachine:reviews-stop-run"])
        HandleChildren = toset(["arn:aws:states:us-east-1:123456789012:execution:reviews-stop-run:*", "arn:aws:states:us-east-1:123456789012:execution:reviews-stop-run/*:*"])
      }
    }
    error_message = "A machine starts and handles its own children only."
  }

  assert {
    condition = toset([
      for name, document in data.aws_iam_policy_document.function : name
      if length([for s in document.statement : s if contains(s.actions, "bedrock:InvokeModel")]) > 0
    ]) == toset(["answer_on_demand"])
    error_message = "One function alone calls models."
  }

  assert {
    condition = toset([
      for name, document in data.aws_iam_policy_document.function : name
      if length([for s in document.statement : s if contains(s.actions, "bedrock:ListModelInvocationJobs")]) > 0
    ]) == toset(["review_run", "gather_leftovers"])
    error_message = "Those that start rounds count the account's jobs."
  }

  assert {
    condition     = one(aws_sfn_state_machine.this["run"].logging_configuration).level == "ERROR" && !one(aws_sfn_state_machine.this["run"].logging_configuration).include_execution_data
    error_message = "Task tokens must not get into the log by default."
  }

  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.machine : startswith(group.name, "/aws/vendedlogs/states/")])
    error_message = "Elsewhere log delivery uses up the account's resource policy."
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.job_event.event_pattern) == {
      source      = ["aws.bedrock"]
      detail-type = ["Batch Inference Job State Change"]
      detail = {
        batchJobName = [{ prefix = "reviews-" }]
        status       = ["Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired"]
      }
    }
    error_message = "The rule takes our jobs alone, in all five statuses that are an end."
  }

  assert {
    condition     = length(aws_cloudwatch_event_target.job_event.dead_letter_config) == 1 && aws_sqs_queue.undelivered.sqs_managed_sse_enabled
    error_message = "An event that cannot be delivered is kept, encrypted."
  }

  assert {
    condition     = length(aws_cloudwatch_event_rule.run_end) == 0 && length(aws_cloudwatch_event_rule.run_success) == 0
    error_message = "Without notifications nothing is published when a run ends."
  }

  # --- definitions

  assert {
    condition     = alltrue([for machine in aws_sfn_state_machine.this : jsondecode(machine.definition).QueryLanguage == "JSONata"])
    error_message = "Every definition is ASL in JSONata."
  }

  assert {
    condition     = alltrue([for machine in aws_sfn_state_machine.this : !strcontains(machine.definition, "$${")])
    error_message = "A placeholder was not filled in."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.this) == 0
    error_message = "Alarms are for those who ask for them."
  }

  assert {
    condition = jsondecode(aws_s3_object.settings.content) == {
      name             = "reviews"
      models           = ["amazon.nova-lite-v1:0"]
      prompts          = {}
      service_role_arn = "arn:aws:iam::123456789012:role/mocked"
      kms_key_arn      = null
      tags             = {}
    }
    error_message = "The settings hold what plan_run reads."
  }

  assert {
    condition     = { for name, function in aws_lambda_function.this : name => length(function.layers) } == { plan_run = 1, prepare_shard = 1, review_run = 0, gather_leftovers = 0, pool_leftovers = 0, answer_on_demand = 0, join_shard = 1, finish_run = 0 }
    error_message = "Only the functions that touch rows carry the libraries."
  }

  assert {
    condition     = one(aws_lambda_function.this["plan_run"].environment).variables.SETTINGS_URI == "s3://mocked-bucket/config/reviews/settings.json"
    error_message = "plan_run gets the address of the settings."
  }

  assert {
    condition     = output.runs_bucket_name == "mocked-bucket" && length(output.function_arns) == 8
    error_message = "Outputs name the bucket and the functions."
  }
}

# What one gets who sets only what must be set.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "defaults" {
  command = apply

  # --- storage

  assert {
    condition     = aws_s3_bucket.runs[0].bucket == "reviews-runs-123456789012-us-east-1"
    error_message = "The bucket's name has installation, account and Region."
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
    condition = jsonencode({
      for rule in aws_s3_bucket_lifecycle_configuration.runs[0].rule : rule.id => {
        prefix  = one(rule.filter).prefix
        days    = one(rule.expiration).days
        markers = one(rule.expiration).expired_object_delete_marker
        old     = one(rule.noncurrent_version_expiration[*].noncurrent_days)
        uploads = one(rule.abort_incomplete_multipart_upload[*].days_after_initiation)
      }
      }) == jsonencode({
      housekeeping    = { prefix = "", days = 0, markers = true, old = 30, uploads = 7 }
      delete-old-work = { prefix = "reviews/work/", days = 90, markers = false, old = 1, uploads = null }
    })
    error_message = "What runs work with goes after 90 days, for good; tables, reports and claims stay until somebody decides otherwise."
  }

  assert {
    condition = {
      for sid in ["ReadInputs", "ListInputs", "DecryptInputs", "ReadHubTokens"] : sid => [
        for name, document in data.aws_iam_policy_document.function : name if contains([for s in document.statement : s.sid], sid)
      ]
    } == { ReadInputs = ["plan_run", "prepare_shard"], ListInputs = ["plan_run", "prepare_shard"], DecryptInputs = [], ReadHubTokens = [] }
    error_message = "Two functions read inputs, and no function reads secrets."
  }

  assert {
    condition     = one(data.aws_iam_policy_document.runs_bucket[0].statement).effect == "Deny" && one(one(data.aws_iam_policy_document.runs_bucket[0].statement).condition).variable == "aws:SecureTransport"
    error_message = "Plain HTTP is refused."
  }

  assert {
    condition     = aws_s3_object.settings.key == "reviews/config/settings.json" && { for kind, object in aws_s3_object.package : kind => object.key } == { code = "reviews/config/code.zip", layer = "reviews/config/layer.zip" }
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
    condition     = toset(keys(aws_lambda_function.this)) == toset(["claim_run", "plan_run", "prepare_shard", "review_run", "gather_leftovers", "pool_leftovers", "answer_on_demand", "join_shard", "finish_run"])
    error_message = "There are nine functions."
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
    condition     = { for name, function in aws_lambda_function.this : name => function.memory_size } == { claim_run = 256, plan_run = 3008, prepare_shard = 1769, review_run = 512, gather_leftovers = 1024, pool_leftovers = 1024, answer_on_demand = 512, join_shard = 2048, finish_run = 1024 }
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
      finish_run    = tolist(["INVENTORY_TABLE_NAME"])
      join_shard    = tolist(["ARROW_DEFAULT_MEMORY_POOL", "MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "OPENBLAS_NUM_THREADS"])
      plan_run      = tolist(["ARROW_DEFAULT_MEMORY_POOL", "MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "OPENBLAS_NUM_THREADS", "SETTINGS_URI"])
      prepare_shard = tolist(["ARROW_DEFAULT_MEMORY_POOL", "MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "OPENBLAS_NUM_THREADS"])
    }
    error_message = "Functions that touch rows keep the memory they have freed; besides there are only the names of two places."
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
    error_message = "Runs that failed, timed out or were stopped have jobs to stop."
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
    condition = {
      for name, document in data.aws_iam_policy_document.maps : name => [
        for s in document.statement : [s.resources, [for c in s.condition : [c.test, c.variable, c.values]]] if contains(s.actions, "s3:ListBucket")
      ]
      } == {
      run      = [[toset([local.bucket_arn]), [["StringLike", "s3:prefix", tolist(["reviews/work/*"])]]]]
      stop_run = [[toset([local.bucket_arn]), [["StringLike", "s3:prefix", tolist(["reviews/work/*", "reviews/claims/*"])]]]]
    }
    error_message = "A machine lists what runs work with; the one that stops runs sees that a run has no claim, too."
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
    ]) == toset(["review_run", "gather_leftovers", "finish_run"])
    error_message = "Those that start rounds count the account's jobs, and the report has their times."
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
    condition = {
      for s in data.aws_iam_policy_document.function["finish_run"].statement : s.sid => {
        resources  = s.resources
        conditions = { for c in s.condition : "${c.test} ${c.variable}" => toset(c.values) }
      } if s.sid == "ReadStartsOfJobs"
      } == {
      ReadStartsOfJobs = {
        resources = toset(["arn:aws:dynamodb:us-east-1:123456789012:table/reviews-inventory/index/by_run"])
        conditions = {
          "ForAllValues:StringEquals dynamodb:Attributes" = toset(["pk", "run_id", "running_at"])
          "StringEquals dynamodb:Select"                  = toset(["SPECIFIC_ATTRIBUTES"])
        }
      }
    }
    error_message = "Finish run reads when jobs began to run, and no task token."
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.job_event.event_pattern) == {
      source      = ["aws.bedrock"]
      detail-type = ["Batch Inference Job State Change"]
      detail = {
        batchJobName = [{ prefix = "reviews-" }]
        status       = ["InProgress", "Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired"]
      }
    }
    error_message = "The rule takes our jobs alone: when they begin to run, and in all five statuses that are an end."
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
      contract         = 1
      name             = "reviews"
      root             = "reviews"
      models           = ["amazon.nova-lite-v1:0"]
      prompts          = {}
      service_role_arn = "arn:aws:iam::123456789012:role/mocked"
      kms_key_arn      = null
      network          = null
      tags             = {}
      work_days        = 90
    }
    error_message = "The settings hold what plan_run reads."
  }

  assert {
    condition     = { for name, function in aws_lambda_function.this : name => length(function.layers) } == { claim_run = 0, plan_run = 1, prepare_shard = 1, review_run = 0, gather_leftovers = 0, pool_leftovers = 0, answer_on_demand = 0, join_shard = 1, finish_run = 0 }
    error_message = "Only the functions that touch rows carry the libraries."
  }

  assert {
    condition     = one(aws_lambda_function.this["plan_run"].environment).variables.SETTINGS_URI == "s3://mocked-bucket/reviews/config/settings.json"
    error_message = "plan_run gets the address of the settings."
  }

  # --- who reads and writes what

  assert {
    condition = {
      for name, document in data.aws_iam_policy_document.function : name => {
        for s in document.statement : s.sid => sort([for arn in s.resources : trimprefix(arn, "arn:aws:s3:::mocked-bucket/")]) if contains(["ReadRuns", "WriteRuns"], s.sid)
      }
      } == {
      claim_run        = { ReadRuns = tolist(["reviews/claims/*"]), WriteRuns = tolist(["reviews/claims/*"]) }
      plan_run         = { ReadRuns = tolist(["reviews/config/*", "reviews/work/*"]), WriteRuns = tolist(["reviews/work/*"]) }
      prepare_shard    = { ReadRuns = tolist(["reviews/work/*"]), WriteRuns = tolist(["reviews/work/*"]) }
      review_run       = { ReadRuns = tolist(["reviews/reports/*", "reviews/work/*"]), WriteRuns = tolist(["reviews/reports/*", "reviews/work/*"]) }
      gather_leftovers = { ReadRuns = tolist(["reviews/reports/*", "reviews/work/*"]), WriteRuns = tolist(["reviews/reports/*", "reviews/work/*"]) }
      pool_leftovers   = { ReadRuns = tolist(["reviews/work/*"]), WriteRuns = tolist(["reviews/work/*"]) }
      answer_on_demand = { ReadRuns = tolist(["reviews/work/*"]), WriteRuns = tolist(["reviews/work/*"]) }
      join_shard       = { ReadRuns = tolist(["reviews/output/*", "reviews/work/*"]), WriteRuns = tolist(["reviews/output/*", "reviews/work/*"]) }
      finish_run       = { ReadRuns = tolist(["reviews/reports/*", "reviews/work/*"]), WriteRuns = tolist(["reviews/reports/*"]) }
    }
    error_message = "A function reads and writes the kinds of keys that it works with. Nothing but Terraform writes below config/."
  }

  assert {
    condition = {
      for s in concat(data.aws_iam_policy_document.maps["run"].statement, data.aws_iam_policy_document.run.statement, data.aws_iam_policy_document.stop_run.statement) :
      s.sid => s.resources if anytrue([for action in s.actions : startswith(action, "s3:") && action != "s3:ListBucket"])
      } == {
      ReadItemsAndWriteResults = toset(["arn:aws:s3:::mocked-bucket/reviews/work/*"])
      ReadClaims               = toset(["arn:aws:s3:::mocked-bucket/reviews/claims/*"])
    }
    error_message = "The machines work on what runs work with; the one that stops runs reads claims."
  }

  assert {
    condition = {
      for s in data.aws_iam_policy_document.service.statement : s.sid => [s.resources, [for c in s.condition : c.variable]] if contains(["ReadInput", "WriteOutput", "ListBucket"], s.sid)
      } == {
      ReadInput   = [toset(["arn:aws:s3:::mocked-bucket/reviews/work/*/input/*"]), ["aws:ResourceAccount"]]
      WriteOutput = [toset(["arn:aws:s3:::mocked-bucket/reviews/work/*/raw/*"]), ["aws:ResourceAccount"]]
      ListBucket  = [toset(["arn:aws:s3:::mocked-bucket"]), ["aws:ResourceAccount"]]
    }
    error_message = "Bedrock reads inputs of jobs and writes raw answers; which prefixes it lists is not documented."
  }

  # --- versions

  assert {
    condition     = alltrue([for function in aws_lambda_function.this : function.publish])
    error_message = "Every change of a function publishes a version."
  }

  assert {
    condition = alltrue([
      sort(distinct(regexall("arn:aws:lambda:[^\"]+", aws_sfn_state_machine.this["run"].definition))) == tolist(["arn:aws:lambda:us-east-1:123456789012:function:mocked:7"]),
      !strcontains(aws_sfn_state_machine.this["stop_run"].definition, "arn:aws:lambda"),
    ])
    error_message = "A run calls the versions that it was applied with, and stop-run those that the run's claim names."
  }

  assert {
    condition = {
      for machine, statements in { run = data.aws_iam_policy_document.run.statement, stop_run = data.aws_iam_policy_document.stop_run.statement } :
      machine => sort(flatten([for s in statements : [for arn in s.resources : arn] if contains(s.actions, "lambda:InvokeFunction")]))
      } == {
      run      = sort([for name in keys(local.functions) : "arn:aws:lambda:us-east-1:123456789012:function:reviews-${replace(name, "_", "-")}:*"])
      stop_run = tolist(["arn:aws:lambda:us-east-1:123456789012:function:reviews-finish-run:*", "arn:aws:lambda:us-east-1:123456789012:function:reviews-gather-leftovers:*", "arn:aws:lambda:us-east-1:123456789012:function:reviews-join-shard:*"])
    }
    error_message = "The machines may call every version of their functions, as a run keeps its own, and nothing else."
  }

  # --- how long a run may go on

  assert {
    condition     = local.placeholders.root == "reviews" && local.run_timeout_seconds == 76 * 86400
    error_message = "A run ends 14 days before its files go, so that it can be redriven."
  }

  assert {
    condition = one(aws_cloudwatch_event_target.stop_run.input_transformer) == {
      input_paths    = tomap({ arn = "$.detail.executionArn", name = "$.detail.name", start = "$.detail.startDate" })
      input_template = "{\"detail\": {\"executionArn\": <arn>, \"name\": <name>, \"startDate\": <start>}}"
    }
    error_message = "The machine that stops a run gets its start, as a number: two runs of one name begin at two times."
  }

  assert {
    condition     = output.output_uri == "s3://mocked-bucket/reviews/output/"
    error_message = "Tables are found."
  }

  assert {
    condition     = output.runs_bucket_name == "mocked-bucket" && toset(values(output.function_arns)) == toset(["arn:aws:lambda:us-east-1:123456789012:function:mocked"]) && length(output.function_arns) == 9
    error_message = "Outputs name the bucket and the functions, without a version."
  }
}

# Optional features, switched on. (defaults.tftest.hcl has them switched off.)

mock_provider "aws" {
  source = "./tests/mocks"
}

run "bucket_of_ones_own" {
  command = plan

  variables {
    bucket = { name = "my-bucket" }
  }

  assert {
    condition = length(concat(
      aws_s3_bucket.runs, aws_s3_bucket_versioning.runs, aws_s3_bucket_public_access_block.runs, aws_s3_bucket_ownership_controls.runs,
      aws_s3_bucket_server_side_encryption_configuration.runs, aws_s3_bucket_policy.runs, aws_s3_bucket_lifecycle_configuration.runs,
    )) == 0
    error_message = "A bucket that the module is given stays as it is."
  }

  assert {
    condition     = aws_s3_object.settings.bucket == "my-bucket" && output.runs_bucket_name == "my-bucket"
    error_message = "Everything goes to the bucket that was given."
  }

  assert {
    condition     = contains(one([for s in data.aws_iam_policy_document.function["join_shard"].statement : s.resources if s.sid == "WriteRuns"]), "arn:aws:s3:::my-bucket/reviews/output/*")
    error_message = "The roles name the bucket that was given."
  }
}

run "longest_prefix" {
  command = plan

  variables {
    bucket = { name = "shared", prefix = "${join("", [for number in range(19) : "abcd/"])}A.-_/" }
  }

  assert {
    condition     = length(local.root) == 100 + length("reviews")
    error_message = "100 characters are enough."
  }
}

run "longest_name" {
  command = plan

  variables {
    name = "a23456789-123456789-1234"
  }

  override_data {
    target = data.aws_service.s3
    values = { region = "ap-southeast-2" }
  }

  assert {
    condition = alltrue([
      for role in concat(values(aws_iam_role.function), values(aws_iam_role.machine), [aws_iam_role.service, aws_iam_role.events]) :
      length(role.name) <= 64
    ])
    error_message = "IAM role names end at 64 characters."
  }

  assert {
    condition     = length(aws_s3_bucket.runs[0].bucket) <= 63
    error_message = "Bucket names end at 63 characters."
  }
}

run "all_switched_on" {
  command = apply

  variables {
    inputs = {
      buckets      = ["data-lake"]
      kms_key_arns = ["arn:aws:kms:us-east-1:123456789012:key/lake"]
      secret_arns  = ["arn:aws:secretsmanager:us-east-1:123456789012:secret:hub-AbCdEf"]
    }
    encryption = { kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/ours" }
    retention  = { work_days = 60, output_days = 400, inventory_days = 365, log_days = 7 }
    functions = {
      shard_concurrency    = 77
      reserved_concurrency = { join_shard = 10 }
      memory_mb            = { join_shard = 4096 }
    }
    logging       = { level = "ALL", include_execution_data = true }
    notifications = { topic_arn = "arn:aws:sns:us-east-1:123456789012:runs" }
    alarms        = { topic_arn = "arn:aws:sns:us-east-1:123456789012:alarms", job_pending_hours = 6 }
    dashboard     = true
    roles         = { path = "/bedrock/", permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary" }
    force_destroy = true
    tags          = { team = "reviews" }
  }

  assert {
    condition = {
      for sid in ["ReadInputs", "ListInputs", "DecryptInputs", "ReadHubTokens"] : sid => {
        for name, document in data.aws_iam_policy_document.function : name => [
          for s in document.statement : { actions = s.actions, resources = s.resources } if s.sid == sid
        ] if contains([for s in document.statement : s.sid], sid)
      }
      } == {
      for sid, statement in {
        # The module's own bucket is a place for inputs too.
        ReadInputs    = { actions = toset(["s3:GetObject"]), resources = toset(["arn:aws:s3:::${output.runs_bucket_name}/reviews/*", "arn:aws:s3:::${output.runs_bucket_name}/*", "arn:aws:s3:::data-lake/*"]) }
        ListInputs    = { actions = toset(["s3:ListBucket"]), resources = toset(["arn:aws:s3:::${output.runs_bucket_name}", "arn:aws:s3:::data-lake"]) }
        DecryptInputs = { actions = toset(["kms:Decrypt"]), resources = toset(["arn:aws:kms:us-east-1:123456789012:key/lake"]) }
        ReadHubTokens = { actions = toset(["secretsmanager:GetSecretValue"]), resources = toset(["arn:aws:secretsmanager:us-east-1:123456789012:secret:hub-AbCdEf"]) }
      } : sid => { plan_run = [statement], prepare_shard = [statement] }
    }
    error_message = "Plan run and Prepare shard read inputs, list their buckets, decrypt them and read the named secret; no other function does."
  }

  assert {
    condition = {
      for name, document in data.aws_iam_policy_document.function : name => toset(flatten([
        for s in document.statement : s.resources if length(setintersection(s.actions, ["s3:GetObject", "s3:ListBucket", "kms:Decrypt", "secretsmanager:GetSecretValue"])) > 0
      ])) if !contains(["plan_run", "prepare_shard"], name)
      } == {
      for name, kinds in {
        claim_run        = ["claims"], review_run = ["work", "reports"], gather_leftovers = ["work", "reports"], pool_leftovers = ["work"],
        answer_on_demand = ["work"], join_shard = ["work", "output"], finish_run = ["work", "reports"],
      } :
      name => toset(concat(
        ["arn:aws:s3:::${output.runs_bucket_name}", "arn:aws:kms:us-east-1:123456789012:key/ours"],
        [for kind in kinds : "arn:aws:s3:::${output.runs_bucket_name}/reviews/${kind}/*"],
      ))
    }
    error_message = "All other functions read what runs wrote and nothing else, whatever their statements are called."
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.runs[0].rule).apply_server_side_encryption_by_default).kms_master_key_id == "arn:aws:kms:us-east-1:123456789012:key/ours" && one(aws_s3_bucket_server_side_encryption_configuration.runs[0].rule).bucket_key_enabled
    error_message = "The bucket encrypts with the key, by way of a bucket key."
  }

  assert {
    condition     = one(aws_dynamodb_table.inventory.server_side_encryption).kms_key_arn == "arn:aws:kms:us-east-1:123456789012:key/ours"
    error_message = "The inventory encrypts with the key."
  }

  assert {
    condition = alltrue([
      for document in concat(
        values(data.aws_iam_policy_document.function),
        values(data.aws_iam_policy_document.maps), # of run and stop_run
        [data.aws_iam_policy_document.service, data.aws_iam_policy_document.job_event],
      ) :
      length([for s in document.statement : s if s.sid == "UseKey" && s.resources == toset(["arn:aws:kms:us-east-1:123456789012:key/ours"])]) == 1
    ])
    error_message = "Every role that meets encrypted data may use the key."
  }

  assert {
    condition = {
      for rule in aws_s3_bucket_lifecycle_configuration.runs[0].rule : rule.id => [one(rule.filter).prefix, one(rule.expiration).days]
    } == { housekeeping = ["", 0], delete-old-work = ["reviews/work/", 60], delete-old-output = ["reviews/output/", 400] }
    error_message = "What was asked for is deleted, and nothing else is; the housekeeping goes on."
  }

  assert {
    condition     = alltrue([for group in concat(values(aws_cloudwatch_log_group.function), values(aws_cloudwatch_log_group.machine)) : group.retention_in_days == 7])
    error_message = "Every log group keeps events for 7 days."
  }

  assert {
    condition     = strcontains(aws_sfn_state_machine.this["run"].definition, "31536000")
    error_message = "365 days are 31536000 seconds."
  }

  assert {
    condition     = strcontains(aws_sfn_state_machine.this["run"].definition, "{% 77 %}")
    error_message = "The Distributed Maps over shards run 77 at once."
  }

  assert {
    condition     = aws_lambda_function.this["join_shard"].reserved_concurrent_executions == 10 && aws_lambda_function.this["prepare_shard"].reserved_concurrent_executions == -1
    error_message = "Only the named function reserves."
  }

  assert {
    condition     = aws_lambda_function.this["join_shard"].memory_size == 4096 && aws_lambda_function.this["prepare_shard"].memory_size == 1769
    error_message = "Only the named function changes its memory."
  }

  assert {
    condition     = alltrue([for machine in aws_sfn_state_machine.this : one(machine.logging_configuration).level == "ALL" && one(machine.logging_configuration).include_execution_data])
    error_message = "Every machine logs as asked."
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.run_end[0].event_pattern).detail.status == ["ABORTED", "FAILED", "TIMED_OUT"]
    error_message = "By default all bad ends are published, as Step Functions reports them."
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.run_success[0].event_pattern) == {
      source      = ["bedrock-batch"]
      detail-type = ["Bedrock Batch Run Ended"]
      detail      = { stateMachineArn = [aws_sfn_state_machine.this["run"].arn], status = ["SUCCEEDED_WITH_WARNINGS"] }
    }
    error_message = "By default good ends are published where there are warnings, as this module's machine announces them."
  }

  assert {
    condition = alltrue([
      for target in [aws_cloudwatch_event_target.run_end[0], aws_cloudwatch_event_target.run_success[0]] :
      target.arn == "arn:aws:sns:us-east-1:123456789012:runs"
    ])
    error_message = "The topic gets both events."
  }

  assert {
    condition = alltrue([
      for role in concat(values(aws_iam_role.function), values(aws_iam_role.machine), [aws_iam_role.service, aws_iam_role.events]) :
      role.permissions_boundary == "arn:aws:iam::123456789012:policy/boundary" && role.path == "/bedrock/"
    ])
    error_message = "Every role has the boundary and the path."
  }

  assert {
    condition     = aws_s3_bucket.runs[0].force_destroy && !aws_dynamodb_table.inventory.deletion_protection_enabled
    error_message = "force_destroy frees the bucket and the table."
  }

  assert {
    condition     = aws_sfn_state_machine.this["run"].tags == tomap({ bedrock-batch = "reviews", team = "reviews" })
    error_message = "Tags are the caller's and the module's own."
  }

  assert {
    condition = {
      for key, alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name => one(values(alarm.dimensions))
      } == {
      reviews-run-failed          = aws_sfn_state_machine.this["run"].arn
      reviews-run-timed-out       = aws_sfn_state_machine.this["run"].arn
      reviews-run-aborted         = aws_sfn_state_machine.this["run"].arn
      reviews-job-pending         = "reviews"
      reviews-undelivered-events  = aws_sqs_queue.undelivered.name
      reviews-job-event-failed    = aws_sfn_state_machine.this["job_event"].arn
      reviews-job-event-timed-out = aws_sfn_state_machine.this["job_event"].arn
      reviews-stop-run-failed     = aws_sfn_state_machine.this["stop_run"].arn
      reviews-stop-run-aborted    = aws_sfn_state_machine.this["stop_run"].arn
    }
    error_message = "Each alarm watches the queue or the machine that it is named after."
  }

  assert {
    condition = jsonencode({
      for key, alarm in aws_cloudwatch_metric_alarm.this : key => [alarm.namespace, alarm.metric_name, alarm.period, alarm.threshold] if alarm.period != 300 || alarm.threshold != 0
    }) == jsonencode({ job-pending = ["BedrockBatch", "JobPendingHours", 3600, 6] })
    error_message = "A job that waits for more than six hours is an alarm; of everything else, one is enough."
  }

  assert {
    condition = {
      for query in aws_cloudwatch_metric_alarm.throttled[0].metric_query : query.id => one(query.metric[*].dimensions.FunctionName) if !coalesce(query.return_data, false)
    } == { for name in keys(local.functions) : name => "reviews-${replace(name, "_", "-")}" }
    error_message = "One alarm adds up the throttles of all functions."
  }

  assert {
    condition = alltrue([
      for widget in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : widget.x + widget.width <= 24 && widget.properties.region == "us-east-1"
    ]) && aws_cloudwatch_dashboard.this[0].dashboard_name == "reviews-us-east-1"
    error_message = "The dashboard is a JSON document whose widgets fit the page."
  }

  assert {
    condition = {
      for key, alarm in aws_cloudwatch_metric_alarm.this : key => alarm.metric_name if alarm.namespace == "AWS/States"
      } == {
      run-failed          = "ExecutionsFailed"
      run-timed-out       = "ExecutionsTimedOut"
      run-aborted         = "ExecutionsAborted"
      job-event-failed    = "ExecutionsFailed"
      job-event-timed-out = "ExecutionsTimedOut"
      stop-run-failed     = "ExecutionsFailed"
      stop-run-aborted    = "ExecutionsAborted"
    }
    error_message = "CloudWatch counts an EXPRESS execution that lasts five minutes as timed out, and one that was stopped as aborted, not as failed."
  }

  assert {
    condition     = alltrue([for alarm in concat(values(aws_cloudwatch_metric_alarm.this), aws_cloudwatch_metric_alarm.throttled) : alarm.alarm_actions == toset(["arn:aws:sns:us-east-1:123456789012:alarms"])])
    error_message = "Every alarm publishes to the topic."
  }

  assert {
    condition     = jsondecode(aws_s3_object.settings.content).tags == { team = "reviews" }
    error_message = "Jobs have the caller's tags."
  }
}

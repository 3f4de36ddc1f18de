output "run_state_machine_arn" {
  description = "Start runs here: `aws stepfunctions start-execution --state-machine-arn … --name <run_id> --input '{…}'`."
  value       = aws_sfn_state_machine.this["run"].arn

  # A run needs every resource of the module. The item is created last.
  depends_on = [aws_dynamodb_table_item.installation]
}

output "job_event_state_machine_arn" {
  description = "The state machine that starts when a job begins to run and when it has ended. Look at its executions if runs notice late that jobs have ended."
  value       = aws_sfn_state_machine.this["job_event"].arn
}

output "stop_run_state_machine_arn" {
  description = "The state machine that stops the jobs of runs that were stopped or failed, and joins their answers."
  value       = aws_sfn_state_machine.this["stop_run"].arn
}

output "runs_bucket_name" {
  description = "The bucket of runs. If it is the module's own, tables may lie here too, but not below `<name>/`."
  value       = local.bucket_name
}

output "runs_bucket_arn" {
  description = "The ARN of the bucket of runs."
  value       = local.bucket_arn
}

output "output_uri" {
  description = "Output tables are in `<output_uri><run>/`, such as `s3://…/reviews/output/monday/`. Reports are beside it, at `reports/<run>/report.json`."
  value       = "s3://${local.bucket_name}/${local.root}/output/"
}

output "inventory_table_name" {
  description = "The DynamoDB table with the state of every run and job; its index by_run lists a run's jobs."
  value       = aws_dynamodb_table.inventory.name
}

output "inventory_table_arn" {
  description = "The ARN of the inventory table."
  value       = aws_dynamodb_table.inventory.arn
}

output "function_arns" {
  description = "The functions by name (plan_run, prepare_shard, …), without a version, for alarms and dashboards."
  value       = { for name, function in aws_lambda_function.this : name => function.arn }
}

output "role_arns" {
  description = "All roles of the module by name: the functions (plan_run, prepare_shard, …), the state machines (run, job_event, stop_run), `service`, which Bedrock takes, and `events`, which starts machines. plan_run and prepare_shard read inputs: name these two in the policy of a bucket or key in another account."
  value = merge(
    { for name, role in aws_iam_role.function : name => role.arn },
    { for name, role in aws_iam_role.machine : name => role.arn },
    { service = aws_iam_role.service.arn, events = aws_iam_role.events.arn },
  )
}

output "key_policy_json" {
  description = "What the policy of the key of `encryption` must allow, for any `covers`: the module's roles, CloudWatch Logs, EventBridge and CloudWatch. It needs only names, so a new key can have it. Add a statement for those who administer the key."
  value       = data.aws_iam_policy_document.key.json
}

output "undelivered_events_queue_url" {
  description = "The queue of events that were not delivered. A message in it means that a rule, a role or a topic is broken."
  value       = aws_sqs_queue.undelivered.url
}

output "client_policy_json" {
  description = "A policy for people and services that follow runs and fetch tables: what `bedrock-batch` status, watch, list, fetch and failures need."
  value       = data.aws_iam_policy_document.client.json
}

output "start_policy_json" {
  description = "A policy for those who also start, stop and redrive runs and upload tables. Attach `client_policy_json` too; docs/permissions.md says what it opens."
  value       = data.aws_iam_policy_document.start.json
}

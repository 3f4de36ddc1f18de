output "run_state_machine_arn" {
  description = "Start runs here: `aws stepfunctions start-execution --state-machine-arn … --name <run_id> --input '{…}'`."
  value       = aws_sfn_state_machine.this["run"].arn

  # A run needs all there is. The item comes last.
  depends_on = [aws_dynamodb_table_item.installation]
}

output "job_event_state_machine_arn" {
  description = "The machine that events of ended jobs start; look here when runs notice the end of jobs late."
  value       = aws_sfn_state_machine.this["job_event"].arn
}

output "stop_run_state_machine_arn" {
  description = "The machine that stops the jobs of runs that were stopped or failed, and joins what they answered."
  value       = aws_sfn_state_machine.this["stop_run"].arn
}

output "runs_bucket_name" {
  description = "The bucket of runs. Inputs may lie here, anywhere but below `<prefix><name>/`, when it is the module's own."
  value       = local.bucket_name
}

output "runs_bucket_arn" {
  description = "The ARN of the bucket of runs."
  value       = local.bucket_arn
}

output "output_uri" {
  description = "Where tables are: `<output_uri><run>/`, as `s3://…/reviews/output/monday/`. Reports are beside it, at `reports/<run>/report.json`."
  value       = "s3://${local.bucket_name}/${local.root}/output/"
}

output "inventory_table_name" {
  description = "The table that holds the state of every run and job; its index by_run lists a run's jobs."
  value       = aws_dynamodb_table.inventory.name
}

output "inventory_table_arn" {
  description = "The ARN of that table."
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
  description = "What the policy of the key of `encryption` must allow, for any `covers`: the module's roles, CloudWatch Logs, EventBridge and CloudWatch. It is made of names, so it can be the policy of a key that is made with it. Add a statement for those who administer the key."
  value       = data.aws_iam_policy_document.key.json
}

output "undelivered_events_queue_url" {
  description = "The queue of events that could not be delivered; a message here means a broken rule, role or topic."
  value       = aws_sqs_queue.undelivered.url
}

output "client_policy_json" {
  description = "A policy for people and services that follow runs and fetch tables: what `bedrock-batch` status, watch, list, fetch and failures need."
  value       = data.aws_iam_policy_document.client.json
}

output "start_policy_json" {
  description = "A policy for those who also start, stop and redrive runs and upload tables. Attach `client_policy_json` beside it; docs/permissions.md says what it opens."
  value       = data.aws_iam_policy_document.start.json
}

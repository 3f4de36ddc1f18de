output "run_state_machine_arn" {
  description = "Start runs here."
  value       = module.batch.run_state_machine_arn
}

output "stop_run_state_machine_arn" {
  description = "Its executions stop the jobs of runs that were stopped."
  value       = module.batch.stop_run_state_machine_arn
}

output "runs_bucket_name" {
  description = "Put inputs here."
  value       = module.batch.runs_bucket_name
}

output "output_uri" {
  description = "Where tables are."
  value       = module.batch.output_uri
}

output "inventory_table_name" {
  description = "The state of every run and job."
  value       = module.batch.inventory_table_name
}

output "undelivered_events_queue_url" {
  description = "Events that could not be delivered; docs/operations.md reads it."
  value       = module.batch.undelivered_events_queue_url
}

output "client_policy_json" {
  description = "For people who follow runs and fetch tables."
  value       = module.batch.client_policy_json
}

output "start_policy_json" {
  description = "For people who start, stop and redrive runs, beside the other policy."
  value       = module.batch.start_policy_json
}

output "run_state_machine_arn" {
  description = "Start runs here."
  value       = module.batch.run_state_machine_arn
}

output "stop_run_state_machine_arn" {
  description = "Its executions stop the jobs of runs that were stopped."
  value       = module.batch.stop_run_state_machine_arn
}

output "runs_bucket_name" {
  description = "The bucket of runs."
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
  description = "Events that could not be delivered; it should stay empty."
  value       = module.batch.undelivered_events_queue_url
}

output "role_arns" {
  description = "Name plan_run and prepare_shard in the policy of a bucket that runs read."
  value       = module.batch.role_arns
}

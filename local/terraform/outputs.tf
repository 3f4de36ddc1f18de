output "run_state_machine_arn" {
  description = "As the module's."
  value       = module.batch.run_state_machine_arn
}

output "job_event_state_machine_arn" {
  description = "As the module's."
  value       = module.batch.job_event_state_machine_arn
}

output "stop_run_state_machine_arn" {
  description = "As the module's."
  value       = module.batch.stop_run_state_machine_arn
}

output "runs_bucket_name" {
  description = "As the module's."
  value       = module.batch.runs_bucket_name
}

output "output_uri" {
  description = "As the module's."
  value       = module.batch.output_uri
}

output "inventory_table_name" {
  description = "As the module's."
  value       = module.batch.inventory_table_name
}

output "service_role_arn" {
  description = "As the module's."
  value       = module.batch.role_arns["service"]
}

output "function_arns" {
  description = "As the module's."
  value       = module.batch.function_arns
}

output "role_arns" {
  description = "As the module's."
  value       = module.batch.role_arns
}

output "undelivered_events_queue_url" {
  description = "As the module's."
  value       = module.batch.undelivered_events_queue_url
}

output "client_policy_json" {
  description = "As the module's."
  value       = module.batch.client_policy_json
}

output "start_policy_json" {
  description = "As the module's."
  value       = module.batch.start_policy_json
}

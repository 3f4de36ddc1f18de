output "run_state_machine_arn" {
  description = "The executions of this machine are the runs."
  value       = module.batch.run_state_machine_arn
}

output "runs_bucket_name" {
  description = "Upload files below `inbox/` here."
  value       = module.batch.runs_bucket_name
}

output "output_uri" {
  description = "Where tables are."
  value       = module.batch.output_uri
}

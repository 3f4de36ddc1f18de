output "run_state_machine_arn" {
  description = "Start runs here."
  value       = module.batch.run_state_machine_arn
}

output "function_role_arns" {
  description = "Name plan_run, prepare_shard and join_shard in the policy of a bucket that runs read."
  value       = module.batch.function_role_arns
}

output "undelivered_events_queue_url" {
  description = "Watch this queue: it should stay empty."
  value       = module.batch.undelivered_events_queue_url
}

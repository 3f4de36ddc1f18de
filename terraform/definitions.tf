# The state machines as Step Functions gets them. The files of asl/ are valid machines, each alone; the one of a job
# becomes the children of the Map `Run jobs`, in the place of the one state that stands there in the file.
locals {
  asl = {
    for name in ["run", "job", "job-event", "stop-run"] :
    name => jsondecode(templatefile("${path.module}/../asl/${name}.asl.json", local.placeholders))
  }

  run_jobs = local.asl["run"].States["Run jobs"]

  # Written as JSON again, so that the layout of a file makes no difference to a plan.
  definitions = {
    run = jsonencode(merge(local.asl["run"], {
      TimeoutSeconds = local.run_timeout_seconds

      States = merge(local.asl["run"].States, {
        "Run jobs" = merge(local.run_jobs, {
          ItemProcessor = merge(local.run_jobs.ItemProcessor, {
            StartAt = local.asl["job"].StartAt
            States  = local.asl["job"].States
          })
        })
      })
    }))
    job_event = jsonencode(local.asl["job-event"])
    stop_run  = jsonencode(local.asl["stop-run"])
  }
}

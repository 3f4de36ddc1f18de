# State of installations that were made when each machine had resources of its own: nothing is made anew.

moved {
  from = aws_cloudwatch_log_group.run
  to   = aws_cloudwatch_log_group.machine["run"]
}

moved {
  from = aws_iam_role.run
  to   = aws_iam_role.machine["run"]
}

moved {
  from = aws_iam_role_policy.run
  to   = aws_iam_role_policy.machine["run"]
}

moved {
  from = aws_sfn_state_machine.run
  to   = aws_sfn_state_machine.this["run"]
}

moved {
  from = aws_cloudwatch_log_group.job_event
  to   = aws_cloudwatch_log_group.machine["job_event"]
}

moved {
  from = aws_iam_role.job_event
  to   = aws_iam_role.machine["job_event"]
}

moved {
  from = aws_iam_role_policy.job_event
  to   = aws_iam_role_policy.machine["job_event"]
}

moved {
  from = aws_sfn_state_machine.job_event
  to   = aws_sfn_state_machine.this["job_event"]
}

moved {
  from = aws_cloudwatch_log_group.stop_run
  to   = aws_cloudwatch_log_group.machine["stop_run"]
}

moved {
  from = aws_iam_role.stop_run
  to   = aws_iam_role.machine["stop_run"]
}

moved {
  from = aws_iam_role_policy.stop_run
  to   = aws_iam_role_policy.machine["stop_run"]
}

moved {
  from = aws_sfn_state_machine.stop_run
  to   = aws_sfn_state_machine.this["stop_run"]
}

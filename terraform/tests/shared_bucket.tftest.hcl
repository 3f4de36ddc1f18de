# Installations in a bucket that is given: each stays below its own root.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  bucket = { name = "shared", prefix = "teams/nlp/" }
}

run "one_installation" {
  command = plan

  assert {
    condition     = aws_s3_object.settings.bucket == "shared" && aws_s3_object.settings.key == "teams/nlp/reviews/config/settings.json" && aws_s3_object.package["code"].key == "teams/nlp/reviews/config/code.zip"
    error_message = "Configuration lies below the root."
  }

  assert {
    condition     = jsondecode(aws_s3_object.settings.content).root == "teams/nlp/reviews" && local.placeholders.root == "teams/nlp/reviews" && output.output_uri == "s3://shared/teams/nlp/reviews/output/"
    error_message = "Functions, machines and people get the root."
  }

  # Of every policy of the module: what it says of objects, and of listings.
  assert {
    condition = alltrue(flatten([
      for document in concat(
        values(data.aws_iam_policy_document.function), values(data.aws_iam_policy_document.maps),
        [data.aws_iam_policy_document.run, data.aws_iam_policy_document.stop_run, data.aws_iam_policy_document.job_event, data.aws_iam_policy_document.service, data.aws_iam_policy_document.events],
      ) : [for s in document.statement : [for arn in s.resources : startswith(arn, "arn:aws:s3:::shared/teams/nlp/reviews/")] if anytrue([for action in s.actions : startswith(action, "s3:") && action != "s3:ListBucket"])]
    ]))
    error_message = "A role reads and writes objects below the root of its installation alone."
  }

  assert {
    condition = alltrue(flatten([
      for document in concat(
        values(data.aws_iam_policy_document.function), values(data.aws_iam_policy_document.maps),
        [data.aws_iam_policy_document.run, data.aws_iam_policy_document.stop_run, data.aws_iam_policy_document.job_event, data.aws_iam_policy_document.service, data.aws_iam_policy_document.events],
        ) : [
        for s in document.statement : [
          s.resources == toset(["arn:aws:s3:::shared"]),
          length([for c in s.condition : c if c.variable == "s3:prefix" && c.test == "StringLike"]) == 1,
          [for c in s.condition : [for prefix in c.values : startswith(prefix, "teams/nlp/reviews/")] if c.variable == "s3:prefix"],
        ] if contains(s.actions, "s3:ListBucket")
      ]
    ]))
    error_message = "A role lists keys below the root of its installation alone, Bedrock's too."
  }

  assert {
    condition = {
      for name, document in data.aws_iam_policy_document.function : name => [for s in document.statement : s.resources if s.sid == "ReadInputs"]
      if contains([for s in document.statement : s.sid], "ReadInputs")
    } == { for name in ["plan_run", "prepare_shard"] : name => [toset(["arn:aws:s3:::shared/teams/nlp/reviews/*"])] }
    error_message = "A run may read what other runs of the installation wrote, as tables, and nothing else of the bucket."
  }
}

run "another_installation" {
  command = plan

  variables {
    # Its name begins with the other's.
    name   = "reviews-2"
    inputs = { buckets = ["lake"], locations = ["s3://shared/tables/"] }
  }

  assert {
    condition     = local.root == "teams/nlp/reviews-2" && !startswith("${local.root}/", "teams/nlp/reviews/")
    error_message = "The slash behind the name keeps two installations apart."
  }

  assert {
    condition = [
      for s in data.aws_iam_policy_document.function["plan_run"].statement : sort([for arn in s.resources : arn if startswith(arn, "arn:aws:s3:::shared")]) if s.sid == "ReadInputs"
    ] == [tolist(["arn:aws:s3:::shared/tables/*", "arn:aws:s3:::shared/teams/nlp/reviews-2/*"])]
    error_message = "It reads its own root and its inputs, and nothing of the other installation."
  }

  assert {
    condition = {
      for name, document in data.aws_iam_policy_document.function : name => length([
        for s in document.statement : s if anytrue([for arn in s.resources : startswith(arn, "arn:aws:s3:::shared/teams/nlp/reviews/")])
      ]) if length(document.statement) > 0
    } == { for name in keys(local.functions) : name => 0 }
    error_message = "No function reaches the other installation."
  }
}

run "without_a_prefix" {
  command = plan

  variables {
    bucket = { name = "shared" }
  }

  assert {
    condition     = local.root == "reviews" && aws_s3_object.settings.key == "reviews/config/settings.json" && output.output_uri == "s3://shared/reviews/output/"
    error_message = "The name alone is root then."
  }

  assert {
    condition = [
      for s in data.aws_iam_policy_document.service.statement : [for c in s.condition : [c.variable, c.values]] if s.sid == "ListBucket"
    ] == [[["aws:ResourceAccount", tolist(["123456789012"])], ["s3:prefix", tolist(["reviews/*"])]]]
    error_message = "Bedrock may list the installation's objects alone in a bucket that is not the module's."
  }
}

run "no_lifecycle_rules" {
  command = plan

  assert {
    condition     = length(aws_s3_bucket_lifecycle_configuration.runs) == 0 && local.run_timeout_seconds == 76 * 86400
    error_message = "The bucket's rules are its owner's; how long runs may go on is the module's all the same."
  }
}

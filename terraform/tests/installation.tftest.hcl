# What a client finds, and what people may do.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

run "a_bucket_of_its_own" {
  command = plan

  assert {
    condition = jsondecode(aws_dynamodb_table_item.installation.item) == {
      pk                    = { S = "installation" }
      contract              = { N = "1" }
      name                  = { S = "reviews" }
      bucket                = { S = "mocked-bucket" }
      root                  = { S = "reviews" }
      run_state_machine_arn = { S = "arn:aws:states:us-east-1:123456789012:stateMachine:mocked" }
      uploads               = { S = "datasets/" }
    }
    error_message = "The item says where everything is. It has no run_id and no status, so it is in no index."
  }

  assert {
    condition     = one(data.aws_iam_policy_document.inventory[0].statement).effect == "Deny" && one(data.aws_iam_policy_document.inventory[0].statement).actions == toset(["dynamodb:DeleteItem"]) && one(one(data.aws_iam_policy_document.inventory[0].statement).condition).values == tolist(["installation"])
    error_message = "While force_destroy is false, the table refuses to delete the item, with which a destroy begins."
  }

  assert {
    condition     = length([for s in data.aws_iam_policy_document.client.statement : s if anytrue([for action in s.actions : strcontains(action, ":Put") || strcontains(action, ":Start") || strcontains(action, ":Stop") || strcontains(action, ":Update") || strcontains(action, ":Delete") || strcontains(action, "*")])]) == 0
    error_message = "Who follows runs changes nothing."
  }

  assert {
    condition     = [for s in data.aws_iam_policy_document.client.statement : s.sid if contains(s.resources, "*")] == ["ListJobs"]
    error_message = "What has a resource names it."
  }

  assert {
    condition     = [for s in data.aws_iam_policy_document.start.statement : s.sid if contains(s.resources, "*")] == []
    error_message = "What has a resource names it."
  }

  assert {
    condition     = toset(flatten([for s in data.aws_iam_policy_document.client.statement : tolist(s.resources) if contains(s.actions, "s3:GetObject")])) == toset([for kind in ["claims", "output", "reports"] : "arn:aws:s3:::mocked-bucket/reviews/${kind}/*"])
    error_message = "Prompts and raw answers lie below work/, which people need not read."
  }

  assert {
    condition     = toset(flatten([for s in data.aws_iam_policy_document.start.statement : tolist(s.resources) if contains(s.actions, "s3:PutObject")])) == toset(["arn:aws:s3:::mocked-bucket/datasets/*"])
    error_message = "Nobody writes where the answers of all runs lie."
  }
}

run "a_bucket_that_is_given" {
  command = plan

  variables {
    bucket     = { name = "shared", prefix = "teams/" }
    encryption = { kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab" }
  }

  assert {
    condition     = jsondecode(aws_dynamodb_table_item.installation.item).bucket.S == "shared" && jsondecode(aws_dynamodb_table_item.installation.item).root.S == "teams/reviews" && !can(jsondecode(aws_dynamodb_table_item.installation.item).uploads)
    error_message = "The bucket is somebody's own: no place in it is known for tables."
  }

  assert {
    condition     = toset(flatten([for s in data.aws_iam_policy_document.client.statement : tolist(s.resources) if contains(s.actions, "s3:GetObject")])) == toset([for kind in ["claims", "output", "reports"] : "arn:aws:s3:::shared/teams/reviews/${kind}/*"])
    error_message = "Who may follow the runs of one installation reads nothing of another one in the same bucket."
  }

  assert {
    condition     = length([for s in data.aws_iam_policy_document.start.statement : s if contains(s.actions, "s3:PutObject")]) == 0
    error_message = "Who may upload into a bucket of yours is yours to say."
  }

  assert {
    condition     = [for s in concat(data.aws_iam_policy_document.client.statement, data.aws_iam_policy_document.start.statement) : s.sid if anytrue([for action in s.actions : startswith(action, "kms:")])] == ["ReadWhatIsEncrypted", "WriteWhatIsEncrypted"]
    error_message = "Who reads what a key encrypts needs the key."
  }
}

run "nothing_to_keep" {
  command = plan

  variables {
    force_destroy = true
  }

  assert {
    condition     = length(aws_dynamodb_resource_policy.inventory) == 0
    error_message = "With force_destroy the item goes."
  }
}

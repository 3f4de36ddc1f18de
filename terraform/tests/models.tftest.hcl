# From model names to what IAM allows.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "model_id" {
  command = plan

  variables {
    models = ["amazon.nova-lite-v1:0", "deepseek.v3.2", "zai.glm-4.7-flash"]
  }

  assert {
    condition = local.model_arns == tolist([
      "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0",
      "arn:aws:bedrock:us-east-1::foundation-model/deepseek.v3.2",
      "arn:aws:bedrock:us-east-1::foundation-model/zai.glm-4.7-flash",
    ])
    error_message = "A model called by its own id is that model in this Region, dots in its version or not."
  }

  assert {
    condition     = length(local.profile_arns) == 0 && length(local.profile_model_arns) == 0
    error_message = "Models called by their own id open no profile and no other Region."
  }

  assert {
    condition     = contains(one([for s in data.aws_iam_policy_document.service.statement : s.resources if s.sid == "InvokeListedModels"]), "arn:aws:bedrock:us-east-1::foundation-model/deepseek.v3.2")
    error_message = "The service role may invoke the model."
  }

  assert {
    condition     = length([for s in data.aws_iam_policy_document.service.statement : s if s.sid == "InvokeModelsThroughListedProfiles"]) == 0
    error_message = "No profile, no statement for profiles."
  }

  assert {
    condition     = [for s in data.aws_iam_policy_document.function["answer_on_demand"].statement : s.resources if s.sid == "InvokeListedModels"] == [for s in data.aws_iam_policy_document.service.statement : s.resources if s.sid == "InvokeListedModels"]
    error_message = "On demand the same models may be called as by jobs."
  }
}

run "no_profile_of_ones_own" {
  command = plan

  variables {
    models = ["amazon.nova-lite-v1:0", "us.amazon.nova-2-lite-v1:0"]
  }

  assert {
    condition     = length([for s in data.aws_iam_policy_document.function["plan_run"].statement : s if s.sid == "LookUpListedProfiles"]) == 0
    error_message = "The id of a profile across Regions has the model's id: nothing is looked up."
  }
}

run "profiles_and_arns" {
  command = plan

  variables {
    models = [
      "us.anthropic.claude-haiku-4-5-20251001-v1:0",
      "us.amazon.nova-2-lite-v1:0",
      "global.amazon.nova-2-lite-v1:0",
      "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.openai.gpt-5.6-sol",
      "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0",
      "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abc123def456",
    ]
  }

  assert {
    condition = local.model_arns == tolist([
      "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abc123def456",
      "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0",
    ])
    error_message = "Models given in full are taken as they are; a profile does not open its model without the profile."
  }

  assert {
    condition = alltrue([
      for document in [data.aws_iam_policy_document.service, data.aws_iam_policy_document.function["answer_on_demand"]] :
      one([for s in document.statement : s.resources if s.sid == "InvokeListedModels"]) == toset(concat(["arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0"], local.profile_arns))
    ])
    error_message = "InvokeModel knows no custom model, so it is not allowed for one."
  }

  assert {
    condition     = contains(one([for s in data.aws_iam_policy_document.run.statement : s.resources if s.sid == "CreateJobs"]), "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abc123def456")
    error_message = "Jobs of a custom model may be created."
  }

  assert {
    condition = local.profile_arns == tolist([
      "arn:aws:bedrock:us-east-1:123456789012:inference-profile/global.amazon.nova-2-lite-v1:0",
      "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-2-lite-v1:0",
      "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-haiku-4-5-20251001-v1:0",
      "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.openai.gpt-5.6-sol",
    ])
    error_message = "Profiles are the account's, in this Region."
  }

  assert {
    condition = toset(local.profile_model_arns) == toset([
      "arn:aws:bedrock:*::foundation-model/amazon.nova-2-lite-v1:0",
      "arn:aws:bedrock:*::foundation-model/anthropic.claude-haiku-4-5-20251001-v1:0",
      "arn:aws:bedrock:*::foundation-model/openai.gpt-5.6-sol",
    ])
    error_message = "Models behind profiles are called in any Region, by their ids without the profile's prefix."
  }

  assert {
    condition     = length(local.profile_model_arns) == 3
    error_message = "Two profiles of one model need that model once."
  }

  assert {
    condition = one([
      for s in data.aws_iam_policy_document.service.statement : one(s.condition) if s.sid == "InvokeModelsThroughListedProfiles"
      ]) == {
      test     = "StringEquals"
      variable = "bedrock:InferenceProfileArn"
      values   = local.profile_arns
    }
    error_message = "Models behind profiles are invoked through these profiles only."
  }
}

run "profile_of_a_geography_that_is_new" {
  command = plan

  variables {
    models = ["arn:aws:bedrock:us-east-1:123456789012:inference-profile/mx.amazon.nova-2-lite-v1:0"]
  }

  assert {
    condition     = local.profile_model_arns == tolist(["arn:aws:bedrock:*::foundation-model/amazon.nova-2-lite-v1:0"])
    error_message = "An ARN shows that it is a profile; no list of geographies is needed."
  }
}

run "application_profile" {
  command = plan

  variables {
    models = ["arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6"]
  }

  assert {
    condition     = local.profile_arns == tolist(["arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6"]) && local.profile_model_arns == tolist(["arn:aws:bedrock:*::foundation-model/*"])
    error_message = "The ARN of an application profile does not name its model: any, but through the profile only."
  }

  assert {
    condition = one([
      for s in data.aws_iam_policy_document.service.statement : one(s.condition).values if s.sid == "InvokeModelsThroughListedProfiles"
    ]) == tolist(["arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6"])
    error_message = "Any model, but through the profile only."
  }

  assert {
    condition = {
      for name, document in data.aws_iam_policy_document.function : name => [
        for s in document.statement : s.resources if contains(s.actions, "bedrock:GetInferenceProfile")
      ] if anytrue([for s in document.statement : contains(s.actions, "bedrock:GetInferenceProfile")])
    } == { plan_run = [toset(["arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6"])] }
    error_message = "The plan asks for the model behind the listed profile, and for no other; no other function asks."
  }
}

run "govcloud" {
  command = plan

  variables {
    models = ["us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-lite-v1:0"]
  }

  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-us-gov" }
  }

  override_data {
    target = data.aws_service.s3
    values = { region = "us-gov-west-1" }
  }

  assert {
    condition = concat(local.model_arns, local.profile_arns, local.profile_model_arns) == tolist([
      "arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/amazon.nova-lite-v1:0",
      "arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:inference-profile/us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0",
      "arn:aws-us-gov:bedrock:*::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0",
    ])
    error_message = "ARNs name the partition they are in."
  }

  assert {
    condition     = local.machine_arns["run"] == "arn:aws-us-gov:states:us-gov-west-1:123456789012:stateMachine:reviews-run"
    error_message = "ARNs made from names name the partition too."
  }
}

run "arn_of_another_region" {
  command = plan

  variables {
    models = ["arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/a1b2c3d4e5f6"]
  }

  expect_failures = [aws_iam_role.service]
}

run "more_models_than_a_policy_holds" {
  command = plan

  variables {
    models = [for number in range(40) : "us.anthropic.claude-haiku-4-5-20251001-v1:${number}"]
  }

  expect_failures = [aws_iam_role.service]
}

run "more_models_than_the_policy_of_the_machine_holds" {
  command = plan

  variables {
    models = [for number in range(80) : "anthropic.claude-haiku-4-5-20251001-v1:${number}"]
  }

  expect_failures = [aws_iam_role.service]
}

run "as_many_models_as_a_policy_holds" {
  command = plan

  variables {
    models = [for number in range(24) : "us.anthropic.claude-haiku-4-5-20251001-v1:${number}"]
  }

  assert {
    condition     = length(local.profile_model_arns) == 24
    error_message = "Two dozen profiles are no trouble."
  }
}

# The provider's default tags: not on objects, which take ten, but on jobs, which the provider does not make.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

run "default_tags_reach_jobs" {
  command = plan

  variables {
    tags = { team = "reviews" }
  }

  override_data {
    target = data.aws_default_tags.current
    values = { tags = { team = "platform", cost-centre = "42" } }
  }

  assert {
    condition     = jsondecode(aws_s3_object.settings.content).tags == { team = "reviews", cost-centre = "42" }
    error_message = "Jobs have the provider's default tags, and the module's tags count more."
  }

  assert {
    condition     = alltrue([for object in concat([aws_s3_object.settings], values(aws_s3_object.package)) : length(one(one(object.override_provider).default_tags).tags) == 0])
    error_message = "Objects are written without the provider's default tags: S3 ends at ten."
  }
}

run "default_tag_that_bedrock_refuses" {
  command = plan

  override_data {
    target = data.aws_default_tags.current
    values = { tags = { team = "Überprüfung" } }
  }

  expect_failures = [aws_s3_object.settings]
}

run "more_tags_than_a_job_takes_with_the_default_ones" {
  command = plan

  variables {
    tags = { for number in range(47) : "tag-${number}" => "" }
  }

  override_data {
    target = data.aws_default_tags.current
    values = { tags = { cost-centre = "42" } }
  }

  expect_failures = [aws_s3_object.settings]
}

# What runs may read: buckets as a whole, and parts of buckets.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

run "by_prefix" {
  command = plan

  variables {
    inputs = {
      buckets   = ["archive"]
      locations = ["s3://lake/eu/reviews/", "s3://lake/eu/dt=2026-01-01/", "s3://raw", "s3://photos/", "s3://other/a b/"]
    }
  }

  assert {
    condition = {
      for name, document in data.aws_iam_policy_document.function : name => [for s in document.statement : s.resources if s.sid == "ReadInputs"]
      if contains([for s in document.statement : s.sid], "ReadInputs")
      } == {
      for name in ["plan_run", "prepare_shard"] : name => [toset([
        "arn:aws:s3:::mocked-bucket/*", "arn:aws:s3:::mocked-bucket/reviews/*", "arn:aws:s3:::archive/*", "arn:aws:s3:::raw/*", "arn:aws:s3:::photos/*",
        "arn:aws:s3:::lake/eu/reviews/*", "arn:aws:s3:::lake/eu/dt=2026-01-01/*", "arn:aws:s3:::other/a b/*",
      ])]
    }
    error_message = "Objects are read below the prefixes, or in the whole bucket where none is named."
  }

  assert {
    condition = {
      for name in ["plan_run", "prepare_shard"] : name => {
        for s in data.aws_iam_policy_document.function[name].statement : s.sid => [sort(s.resources), [for c in s.condition : [c.test, c.variable, sort(c.values)]]] if startswith(s.sid, "ListInputs")
      }
      } == {
      plan_run = {
        ListInputs          = [tolist(["arn:aws:s3:::archive", "arn:aws:s3:::mocked-bucket", "arn:aws:s3:::photos", "arn:aws:s3:::raw"]), []]
        ListInputsByPrefix0 = [tolist(["arn:aws:s3:::lake"]), [["StringLike", "s3:prefix", sort(["eu/reviews/*", "eu/dt=2026-01-01/*", "_delta_log/", ".hoodie/", "metadata/", "eu/_delta_log/", "eu/.hoodie/", "eu/metadata/"])]]]
        ListInputsByPrefix1 = [tolist(["arn:aws:s3:::other"]), [["StringLike", "s3:prefix", sort(["a b/*", "_delta_log/", ".hoodie/", "metadata/"])]]]
      }
      prepare_shard = {
        ListInputs          = [tolist(["arn:aws:s3:::archive", "arn:aws:s3:::mocked-bucket", "arn:aws:s3:::photos", "arn:aws:s3:::raw"]), []]
        ListInputsByPrefix0 = [tolist(["arn:aws:s3:::lake"]), [["StringLike", "s3:prefix", sort(["eu/reviews/*", "eu/dt=2026-01-01/*"])]]]
        ListInputsByPrefix1 = [tolist(["arn:aws:s3:::other"]), [["StringLike", "s3:prefix", tolist(["a b/*"])]]]
      }
    }
    error_message = "Listings end at the prefixes. The plan alone also lists the logs of tables that a prefix may be a part of."
  }

  assert {
    condition = {
      for name, document in data.aws_iam_policy_document.function : name => length([for s in document.statement : s if startswith(s.sid, "ListInputs")])
      if !contains(["plan_run", "prepare_shard"], name)
    } == { for name in setsubtract(keys(local.functions), ["plan_run", "prepare_shard"]) : name => 0 }
    error_message = "No other function lists inputs."
  }
}

# Functions and jobs in a VPC.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

run "functions_and_jobs" {
  command = plan

  variables {
    network = {
      subnet_ids         = ["subnet-0123456789abcdef1", "subnet-0123456789abcdef0"]
      security_group_ids = ["sg-0123456789abcdef0"]
      jobs               = true
    }
  }

  assert {
    condition = alltrue([
      for function in aws_lambda_function.this :
      one(function.vpc_config).subnet_ids == toset(["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]) && one(function.vpc_config).security_group_ids == toset(["sg-0123456789abcdef0"])
    ])
    error_message = "Every function is in the subnets, with the security group."
  }

  assert {
    condition = jsondecode(aws_s3_object.settings.content).network == {
      subnet_ids         = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
      security_group_ids = ["sg-0123456789abcdef0"]
    }
    error_message = "Jobs get the same, in one order: a plan must not change if the inputs do not."
  }

  assert {
    condition = alltrue(flatten([
      for document in concat(values(data.aws_iam_policy_document.function), data.aws_iam_policy_document.service_network) : [
        for s in document.statement : s.resources == toset([
          "arn:aws:ec2:us-east-1:123456789012:network-interface/*",
          "arn:aws:ec2:us-east-1:123456789012:security-group/sg-0123456789abcdef0",
          "arn:aws:ec2:us-east-1:123456789012:subnet/subnet-0123456789abcdef0",
          "arn:aws:ec2:us-east-1:123456789012:subnet/subnet-0123456789abcdef1",
        ]) if contains(s.actions, "ec2:CreateNetworkInterface") && s.effect != "Deny"
      ]
    ]))
    error_message = "Interfaces are made in the given subnets only, with the given security groups."
  }

  assert {
    condition = {
      for name, document in data.aws_iam_policy_document.function : name => [
        for s in document.statement : one(s.condition).values if s.sid == "NotByTheCode" && s.effect == "Deny"
      ]
    } == { for name in keys(local.functions) : name => [tolist(["arn:aws:lambda:us-east-1:123456789012:function:reviews-${replace(name, "_", "-")}"])] }
    error_message = "The code of a function may do nothing of what Lambda does with its role."
  }

  assert {
    condition = jsonencode({
      for s in data.aws_iam_policy_document.service_network[0].statement : s.sid => {
        actions    = sort(s.actions)
        conditions = sort([for c in s.condition : c.variable])
      }
      }) == jsonencode({
      SeeNetwork          = { actions = ["ec2:DescribeDhcpOptions", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"], conditions = [] }
      MakeInterfaces      = { actions = ["ec2:CreateNetworkInterface"], conditions = ["aws:RequestTag/BedrockManaged", "aws:RequestTag/BedrockModelInvocationJobArn"] }
      HandleItsInterfaces = { actions = ["ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface", "ec2:DeleteNetworkInterfacePermission"], conditions = ["ec2:ResourceTag/BedrockModelInvocationJobArn", "ec2:Subnet"] }
      TagItsInterfaces    = { actions = ["ec2:CreateTags"], conditions = ["aws:TagKeys", "ec2:CreateAction"] }
    })
    error_message = "Bedrock's role has what AWS documents for jobs in a VPC."
  }
}

run "functions_alone" {
  command = plan

  variables {
    network = { subnet_ids = ["subnet-0123456789abcdef0"], security_group_ids = ["sg-0123456789abcdef0"] }
  }

  assert {
    condition     = length(data.aws_iam_policy_document.service_network) == 0 && local.job_network == null && length(aws_lambda_function.this["claim_run"].vpc_config) == 1
    error_message = "Jobs stay outside until they are asked in."
  }
}

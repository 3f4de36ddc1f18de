# The role that Bedrock takes while it works on a job: reads the job's input, calls the model, writes the answers.
data "aws_iam_policy_document" "service_trust" {
  statement {
    sid     = "BedrockForJobsOfThisAccount"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["bedrock.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = [local.job_arns]
    }
  }
}

resource "aws_iam_role" "service" {
  name                 = "${local.role_names.service}-${local.region}"
  description          = "Lets Bedrock read the input and write the output of batch jobs of ${var.name}"
  path                 = var.roles.path
  assume_role_policy   = data.aws_iam_policy_document.service_trust.json
  permissions_boundary = var.roles.permissions_boundary_arn
  tags                 = local.tags

  lifecycle {
    precondition {
      condition     = alltrue([for arn in local.given_model_arns : split(":", arn)[3] == local.region])
      error_message = "Every ARN in models must be of the Region the module is in: a batch job can only be created where its model or profile is. Use the ARN of this Region, or the profile's id."
    }

    # Policies are not known before the first apply, so this is an estimate. This role's names profiles twice, and holds
    # some 1,500 characters beside; the machine's that runs names all once, and holds up to 3,700 beside. What `network`,
    # `encryption` and `logging` add is taken off.
    precondition {
      condition = alltrue([
        length(join("", [for arn in concat(local.model_arns, local.profile_arns, local.profile_arns, local.profile_model_arns) : jsonencode([arn])]))
        <= 8000 - (local.job_network == null ? 0 : 1400 + length(jsonencode(concat(local.subnet_arns, local.subnet_arns, local.security_group_arns)))),
        length(join("", [for arn in concat(local.model_arns, local.profile_arns, local.profile_model_arns) : jsonencode([arn])]))
        <= 6500 - (contains(local.encrypted, "workflows") ? 700 : 0) - (var.logging.tracing ? 200 : 0),
      ])
      error_message = "models names more than the policy of one role can hold: IAM ends it at 10,240 characters, some 25 profiles or 75 models. Leave out what runs do not use, or use an installation for each group of models."
    }
  }
}

data "aws_iam_policy_document" "service" {
  source_policy_documents = data.aws_iam_policy_document.service_network[*].json

  statement {
    sid       = "ReadInput"
    actions   = ["s3:GetObject"]
    resources = ["${local.root_arn}/work/*/input/*"]

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceAccount"
      values   = [local.account]
    }
  }

  statement {
    # AWS lists reading among what a job needs where it writes.
    sid       = "WriteOutput"
    actions   = ["s3:PutObject", "s3:GetObject"]
    resources = ["${local.root_arn}/work/*/raw/*"]

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceAccount"
      values   = [local.account]
    }
  }

  # Which prefixes Bedrock lists when it validates a job is not documented. So the module's own bucket it may list as a
  # whole; of a bucket of the user's it may learn the names of this installation's objects alone.
  statement {
    sid       = "ListBucket"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket_arn]

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceAccount"
      values   = [local.account]
    }

    dynamic "condition" {
      for_each = local.own_bucket ? [] : [1]

      content {
        test     = "StringLike"
        variable = "s3:prefix"
        values   = ["${local.root}/*"]
      }
    }
  }

  dynamic "statement" {
    for_each = length(concat(local.invoked_model_arns, local.profile_arns)) > 0 ? [1] : []

    content {
      sid       = "InvokeListedModels"
      actions   = ["bedrock:InvokeModel"]
      resources = concat(local.invoked_model_arns, local.profile_arns)
    }
  }

  dynamic "statement" {
    for_each = length(local.profile_arns) > 0 ? [1] : []

    content {
      sid       = "InvokeModelsThroughListedProfiles"
      actions   = ["bedrock:InvokeModel"]
      resources = local.profile_model_arns

      condition {
        test     = "StringEquals"
        variable = "bedrock:InferenceProfileArn"
        values   = local.profile_arns
      }
    }
  }

  dynamic "statement" {
    for_each = contains(local.encrypted, "data") ? [local.key_arns.data] : []

    content {
      sid       = "UseKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"]
      resources = [statement.value]
    }
  }
}

# What AWS documents for jobs in a VPC. Bedrock tags the interfaces that it makes with the job's ARN.
data "aws_iam_policy_document" "service_network" {
  count = try(var.network.jobs, false) ? 1 : 0

  statement {
    sid = "SeeNetwork"
    actions = [
      "ec2:DescribeDhcpOptions",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribeSecurityGroups",
      "ec2:DescribeSubnets",
      "ec2:DescribeVpcs",
    ]
    # These actions know no resource.
    resources = ["*"]
  }

  statement {
    sid       = "MakeInterfaces"
    actions   = ["ec2:CreateNetworkInterface"]
    resources = concat([local.interface_arns], local.subnet_arns, local.security_group_arns)

    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/BedrockManaged"
      values   = ["true"]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:RequestTag/BedrockModelInvocationJobArn"
      values   = [local.job_arns]
    }
  }

  statement {
    sid = "HandleItsInterfaces"
    actions = [
      "ec2:CreateNetworkInterfacePermission",
      "ec2:DeleteNetworkInterface",
      "ec2:DeleteNetworkInterfacePermission",
    ]
    # AWS documents these two conditions in the place of a resource.
    resources = ["*"]

    condition {
      test     = "ArnEquals"
      variable = "ec2:Subnet"
      values   = local.subnet_arns
    }

    condition {
      test     = "ArnLike"
      variable = "ec2:ResourceTag/BedrockModelInvocationJobArn"
      values   = [local.job_arns]
    }
  }

  statement {
    sid       = "TagItsInterfaces"
    actions   = ["ec2:CreateTags"]
    resources = [local.interface_arns]

    condition {
      test     = "StringEquals"
      variable = "ec2:CreateAction"
      values   = ["CreateNetworkInterface"]
    }

    condition {
      test     = "ForAllValues:StringEquals"
      variable = "aws:TagKeys"
      values   = ["BedrockManaged", "BedrockModelInvocationJobArn"]
    }
  }
}

resource "aws_iam_role_policy" "service" {
  name   = "work"
  role   = aws_iam_role.service.id
  policy = data.aws_iam_policy_document.service.json
}

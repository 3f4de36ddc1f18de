# What the key of `encryption` encrypts, and what its policy must allow.
locals {
  # Known before the apply, which the key's ARN need not be: blocks are counted by these.
  encrypted = var.encryption == null ? [] : tolist(var.encryption.covers)

  key_arns = {
    for kind in ["data", "logs", "functions", "queue", "workflows"] :
    kind => contains(local.encrypted, kind) ? var.encryption.kms_key_arn : null
  }

  # Without the Region, which each of them has at its end.
  role_names = merge(local.function_names, local.machine_names, {
    for name in ["service", "events"] : name => "${local.prefix}-${name}"
  })

  # Step Functions encrypts with the machine as context; the second form is that of the children of a Distributed Map.
  # job_event wakes children of run, and stop_run reads how its executions ended.
  encryption_contexts = {
    for name in keys(local.machines) : name => flatten([
      for machine in distinct([name, "run"]) : [local.machine_arns[machine], "${local.machine_arns[machine]}/*"]
    ])
  }
}

# From names alone, and from nothing that knows the key or a bucket that is encrypted with it: so this can be the policy
# of a key that is made beside the module, and the module can be given that key. Therefore it asks the data sources and
# not terraform_data.origin. It allows what any value of `encryption.covers` needs.
locals {
  key_region    = data.aws_service.s3.region
  key_account   = data.aws_caller_identity.current.account_id
  key_partition = data.aws_partition.current.partition
}

data "aws_iam_policy_document" "key" {
  # KMS refuses a policy that names a role which does not exist yet. A condition may.
  statement {
    sid       = "RolesOfTheModule"
    actions   = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:DescribeKey"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${local.key_partition}:iam::${local.key_account}:root"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:PrincipalArn"
      values = [
        for name in values(local.role_names) : "arn:${local.key_partition}:iam::${local.key_account}:role${var.roles.path}${name}-${local.key_region}"
      ]
    }
  }

  statement {
    sid       = "LogGroupsOfTheModule"
    actions   = ["kms:Decrypt", "kms:Encrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["logs.${local.key_region}.${data.aws_partition.current.dns_suffix}"]
    }

    condition {
      test     = "ArnEquals"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values = [
        for name in concat(values(local.function_log_groups), values(local.machine_log_groups)) :
        "arn:${local.key_partition}:logs:${local.key_region}:${local.key_account}:log-group:${name}"
      ]
    }
  }

  # What an encrypted machine logs is encrypted on its way to the log group too.
  statement {
    sid       = "LogsOfEncryptedMachines"
    actions   = ["kms:Decrypt"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["delivery.logs.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "kms:EncryptionContext:SourceArn"
      values   = ["arn:${local.key_partition}:logs:${local.key_region}:${local.key_account}:*"]
    }
  }

  # EventBridge and CloudWatch name no rule and no alarm to a topic, so what they write to is the condition: the queue of
  # undelivered events, and topics of this account, which may be encrypted with the same key.
  statement {
    sid       = "UndeliveredEvents"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "kms:EncryptionContext:aws:sqs:arn"
      values   = ["arn:${local.key_partition}:sqs:${local.key_region}:${local.key_account}:${local.queue_name}"]
    }
  }

  statement {
    sid       = "NotificationsAndAlarms"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com", "events.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:sns:topicArn"
      values   = ["arn:${local.key_partition}:sns:${local.key_region}:${local.key_account}:*"]
    }
  }
}

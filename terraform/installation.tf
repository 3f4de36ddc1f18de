# How a client finds the installation when it knows the name alone: one item of the inventory.
#
# The last that is made, so a destroy begins with it. While force_destroy is false the table refuses to delete it, and
# then nothing else has been touched: the bucket, above all, still has its policy, its access block and its versions.
resource "aws_dynamodb_table_item" "installation" {
  table_name = aws_dynamodb_table.inventory.name
  hash_key   = aws_dynamodb_table.inventory.hash_key

  item = jsonencode(merge(
    {
      pk                    = { S = "installation" }
      contract              = { N = "1" } # CONTRACT of bedrock_batch_client/installation.py
      name                  = { S = var.name }
      bucket                = { S = local.bucket_name }
      root                  = { S = local.root }
      run_state_machine_arn = { S = aws_sfn_state_machine.this["run"].arn }
    },
    # A bucket of yours is yours: the client writes no tables into it.
    local.own_bucket ? { uploads = { S = local.uploads_prefix } } : {},
  ))

  depends_on = [aws_dynamodb_resource_policy.inventory]
}

# Terraform deletes an item before its table, and the table's own protection comes too late for the item.
resource "aws_dynamodb_resource_policy" "inventory" {
  count = var.force_destroy ? 0 : 1

  resource_arn = aws_dynamodb_table.inventory.arn
  policy       = data.aws_iam_policy_document.inventory[0].json
}

data "aws_iam_policy_document" "inventory" {
  count = var.force_destroy ? 0 : 1

  statement {
    sid       = "KeepInstallation"
    effect    = "Deny"
    actions   = ["dynamodb:DeleteItem"]
    resources = [local.inventory_arn]

    principals {
      type = "*"
      # Nobody is exempt from a refusal.
      identifiers = ["*"]
    }

    condition {
      test     = "ForAllValues:StringEquals"
      variable = "dynamodb:LeadingKeys"
      values   = ["installation"]
    }
  }
}

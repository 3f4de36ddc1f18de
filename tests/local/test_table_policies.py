"""A table's resource policy refuses what it denies, whoever asks."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import ACCOUNT, Aws

ARN = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/inventory"


def policy(*keys: str) -> str:
    statement: dict[str, Any] = {
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": "dynamodb:DeleteItem",
        "Resource": ARN,
        "Condition": {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": list(keys)}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_the_items_that_a_policy_names_cannot_be_deleted(aws: Aws) -> None:
    table = {"TableName": "inventory"}
    aws.dynamodb.create_table(
        **table,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    aws.dynamodb.put_resource_policy(ResourceArn=ARN, Policy=policy("kept"))
    for name in ("kept", "other"):
        aws.dynamodb.put_item(**table, Item={"pk": {"S": name}})
    with pytest.raises(ClientError, match="AccessDenied.*explicit deny in a resource-based policy"):
        aws.dynamodb.delete_item(**table, Key={"pk": {"S": "kept"}})
    aws.dynamodb.delete_item(**table, Key={"pk": {"S": "other"}})
    assert [item["pk"]["S"] for item in aws.dynamodb.scan(**table)["Items"]] == ["kept"]
    aws.dynamodb.put_item(**table, Item={"pk": {"S": "kept"}, "new": {"S": "yes"}})
    aws.dynamodb.delete_resource_policy(ResourceArn=ARN)
    aws.dynamodb.delete_item(**table, Key={"pk": {"S": "kept"}})
    assert aws.dynamodb.scan(**table)["Items"] == []

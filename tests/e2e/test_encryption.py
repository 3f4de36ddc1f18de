"""One key encrypts everything, in a bucket whose policy refuses every write without that key."""

import json
from collections.abc import Iterator

import pytest

from tests.e2e.batch import Batch

pytestmark = pytest.mark.e2e


@pytest.fixture
def strict(batch: Batch) -> Iterator[str]:
    """The key. Meanwhile the bucket's policy is as docs/encryption.md has it."""
    table = batch.dynamodb.describe_table(TableName=batch.outputs["inventory_table_name"])["Table"]
    key = str(table["SSEDescription"]["KMSMasterKeyArn"])
    before = batch.s3.get_bucket_policy(Bucket=batch.bucket)["Policy"]
    refusal = {
        "Sid": "RefuseOtherEncryption",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{batch.bucket}/*",
        "Condition": {
            "StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"},
            "ArnNotEquals": {"aws:PrincipalArn": [batch.outputs["role_arns"][name] for name in ("run", "stop_run")]},
        },
    }
    policy = json.loads(before)
    batch.s3.put_bucket_policy(
        Bucket=batch.bucket, Policy=json.dumps(policy | {"Statement": [*policy["Statement"], refusal]})
    )
    yield key
    batch.s3.put_bucket_policy(Bucket=batch.bucket, Policy=before)


def test_a_run_writes_with_the_key_only(batch: Batch, strict: str) -> None:
    headers = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": strict}
    rows = "".join(f"{number},nice {number}\n" for number in range(120))
    batch.s3.put_object(Bucket=batch.bucket, Key="datasets/strict.csv", Body=f"id,review\n{rows}".encode(), **headers)
    ended = batch.run(
        "strict",
        {
            "s3_uri": f"s3://{batch.bucket}/datasets/strict.csv",
            "model_id": "amazon.nova-lite-v1:0",
            "prompt_id": "review",
        },
    )
    assert (ended.status, ended.error, ended.cause) == ("SUCCEEDED", "", "")
    written = [key for kind in ("claims", "work", "output", "reports") for key in batch.keys(f"{batch.root}/{kind}/")]
    # Step Functions leaves the results of Maps to the bucket's default, which the local S3 does not show.
    of_run = [key for key in written if "/strict" in key and "/results/" not in key]
    assert len(of_run) > 10
    heads = {key: batch.s3.head_object(Bucket=batch.bucket, Key=key) for key in of_run}
    assert {head.get("SSEKMSKeyId") for head in heads.values()} == {strict}
    (job,) = batch.bedrock.list_model_invocation_jobs(nameContains="e2e-strict")["invocationJobSummaries"]
    assert len(job["vpcConfig"]["subnetIds"]) == 2


def test_what_the_key_covers(batch: Batch, strict: str) -> None:
    machine = batch.sfn.describe_state_machine(stateMachineArn=batch.outputs["run_state_machine_arn"])
    assert machine["encryptionConfiguration"]["kmsKeyId"] == strict
    groups = batch.logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/e2e-")["logGroups"]
    assert groups and {group["kmsKeyId"] for group in groups} == {strict}

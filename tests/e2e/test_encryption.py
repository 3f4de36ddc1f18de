"""An installation in a VPC, with a key that covers everything, in a bucket whose policy refuses other writes."""

import json

import pytest

from local.process import Engine
from local.provision import LOCAL_ROOT, Deployment
from tests.e2e.batch import Batch
from tests.e2e.fixtures import MODELS, PROMPTS, RESERVED

pytestmark = [pytest.mark.e2e, pytest.mark.long]

NAME = "e2e-key"
NETWORK = {"subnet_ids": ["subnet-00000001", "subnet-00000002"], "security_group_ids": ["sg-00000001"], "jobs": True}
"""Of the VPC that every account has."""


@pytest.fixture(scope="module")
def batch(engine: Engine, terraform_points_here: None, tmp_path_factory: pytest.TempPathFactory) -> Batch:
    variables = {
        "name": NAME,
        "models": MODELS,
        "prompts": PROMPTS,
        "functions": {"reserved_concurrency": RESERVED},
        "network": NETWORK,
        "encrypted": True,
    }
    deployment = Deployment(LOCAL_ROOT, tmp_path_factory.mktemp("key"), engine.url, variables)
    batch = Batch(engine, deployment.apply())
    assert deployment.pending_changes() == []
    return batch


@pytest.fixture(scope="module")
def key(batch: Batch) -> str:
    """The key. From here on the bucket's policy is as docs/encryption.md has it."""
    table = batch.dynamodb.describe_table(TableName=batch.outputs["inventory_table_name"])["Table"]
    policy = json.loads(batch.s3.get_bucket_policy(Bucket=batch.bucket)["Policy"])
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
    statements = json.dumps(policy | {"Statement": [*policy["Statement"], refusal]})
    batch.s3.put_bucket_policy(Bucket=batch.bucket, Policy=statements)
    return str(table["SSEDescription"]["KMSMasterKeyArn"])


def test_a_run_writes_with_the_key_only(batch: Batch, key: str) -> None:
    rows = "".join(f"{number},nice {number}\n" for number in range(120))
    uri = batch.upload("strict.csv", f"id,review\n{rows}".encode())
    ended = batch.run("strict", {"s3_uri": uri, "model_id": "amazon.nova-lite-v1:0", "prompt_id": "judge"})
    assert (ended.status, ended.error, ended.cause) == ("SUCCEEDED", "", "")
    written = [key for kind in ("claims", "work", "output", "reports") for key in batch.keys(f"{batch.root}/{kind}/")]
    # Step Functions leaves the results of Maps to the bucket's default, which the local S3 does not show.
    of_run = [key for key in written if "/strict" in key and "/results/" not in key]
    assert len(of_run) > 8
    heads = {name: batch.s3.head_object(Bucket=batch.bucket, Key=name) for name in of_run}
    assert {name: head.get("SSEKMSKeyId") for name, head in heads.items()} == dict.fromkeys(of_run, key)
    (job,) = batch.bedrock.list_model_invocation_jobs(nameContains=f"{NAME}-")["invocationJobSummaries"]
    assert sorted(job["vpcConfig"]["subnetIds"]) == NETWORK["subnet_ids"]


def test_what_the_key_covers(batch: Batch, key: str) -> None:
    machine = batch.sfn.describe_state_machine(stateMachineArn=batch.outputs["run_state_machine_arn"])
    assert machine["encryptionConfiguration"]["kmsKeyId"] == key
    groups = batch.logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{NAME}-")["logGroups"]
    assert groups and {group["kmsKeyId"] for group in groups} == {key}

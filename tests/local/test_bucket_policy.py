"""A bucket policy that demands the header of a key, as docs/encryption.md has it: who writes, and how."""

import json
import re
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.aws.s3_upload import PART_BYTES
from local.process import Engine
from tests.local.conftest import ACCOUNT, ROOT, Aws

KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
BUCKET = "my-bucket"
MAY = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"], "Resource": "*"}


def documented() -> dict[str, Any]:
    """Return the statement of docs/encryption.md, for this account."""
    page = (ROOT / "docs" / "encryption.md").read_text("utf-8")
    (block,) = re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    statement: dict[str, Any] = json.loads(block.replace("123456789012", ACCOUNT))
    return statement


@pytest.fixture(scope="module", autouse=True)
def policy(guarded: Engine) -> None:
    """The bucket has the policy."""
    guarded.reset()
    aws = Aws(guarded.url)
    aws.s3.create_bucket(Bucket=BUCKET)
    aws.s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Statement": [documented()]}))


@pytest.fixture
def act_as(guarded: Engine, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes the process one of a function with this role, and gives its S3."""

    def acting(role: str, **environment: str) -> S3:
        aws = Aws(guarded.url)
        trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
        aws.iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
        aws.iam.put_role_policy(RoleName=role, PolicyName="all", PolicyDocument=json.dumps({"Statement": [MAY]}))
        session = aws.sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{role}", RoleSessionName="s")["Credentials"]
        given = {
            "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
            "AWS_SESSION_TOKEN": session["SessionToken"],
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": guarded.url,
            **environment,
        }
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        return S3(clients.client.__wrapped__("s3"))

    return acting


def test_a_function_that_knows_the_key_writes_in_every_way(act_as: Any) -> None:
    s3 = act_as("reviews-join-shard-us-east-1", KMS_KEY_ARN=KEY)
    s3.put(BUCKET, "whole", b"x")
    s3.put_json(BUCKET, "claim", {}, replaces="")
    s3.copy(BUCKET, "whole", to=(BUCKET, "copy"))
    with s3.writer(BUCKET, "parts") as out:
        out.write(b"x" * PART_BYTES)
        out.write(b"x")
    for key in ("whole", "claim", "copy", "parts"):
        assert s3._client.head_object(Bucket=BUCKET, Key=key)["SSEKMSKeyId"] == KEY


def test_a_function_that_does_not_know_it_is_refused(act_as: Any) -> None:
    s3 = act_as("reviews-plan-run-us-east-1")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put(BUCKET, "bare", b"x")


def test_the_machine_writes_results_of_maps_without_it(act_as: Any) -> None:
    act_as("reviews-run-us-east-1").put(BUCKET, "results", b"x")

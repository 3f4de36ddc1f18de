"""With IAM enforced, a TLS-only bucket can be used: loopback counts as TLS."""

import json

import pytest
from botocore.exceptions import ClientError

from local.process import Engine
from tests.local.conftest import Aws

TLS_ONLY = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": ["arn:aws:s3:::runs", "arn:aws:s3:::runs/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
READ = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::runs/in/*"}


def test_a_tls_only_bucket_denies_only_what_iam_denies(guarded: Engine) -> None:
    guarded.reset()
    aws = Aws(guarded.url)
    aws.s3.create_bucket(Bucket="runs")
    aws.s3.put_bucket_policy(Bucket="runs", Policy=json.dumps({"Version": "2012-10-17", "Statement": [TLS_ONLY]}))
    for key in ("in/a", "secret/a"):
        aws.s3.put_object(Bucket="runs", Key=key, Body=b"x")
    user = aws.as_user("s3", READ)
    assert user.get_object(Bucket="runs", Key="in/a")["Body"].read() == b"x"
    with pytest.raises(ClientError, match="AccessDenied"):
        user.get_object(Bucket="runs", Key="secret/a")

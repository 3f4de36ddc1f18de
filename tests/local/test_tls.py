"""With IAM enforced, a TLS-only bucket can be used: loopback counts as TLS."""

import json
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from local.process import start_engine
from tests.local.conftest import Aws

TLS_ONLY = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": ["arn:aws:s3:::runs", "arn:aws:s3:::runs/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
READ = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::runs/in/*"}


def test_a_tls_only_bucket_denies_only_what_iam_denies(engine_python: Path, tmp_path: Path) -> None:
    with start_engine(python=engine_python, auth=True, log=tmp_path / "engine.log") as engine:
        aws = Aws(engine.url)
        aws.s3.create_bucket(Bucket="runs")
        aws.s3.put_bucket_policy(Bucket="runs", Policy=json.dumps({"Version": "2012-10-17", "Statement": [TLS_ONLY]}))
        for key in ("in/a", "secret/a"):
            aws.s3.put_object(Bucket="runs", Key=key, Body=b"x")
        aws.iam.create_user(UserName="u")
        aws.iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=json.dumps({"Statement": [READ]}))
        key = aws.iam.create_access_key(UserName="u")["AccessKey"]
        user = boto3.client(
            "s3",
            endpoint_url=engine.url,
            region_name="us-east-1",
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
        )
        assert user.get_object(Bucket="runs", Key="in/a")["Body"].read() == b"x"
        with pytest.raises(ClientError, match="AccessDenied"):
            user.get_object(Bucket="runs", Key="secret/a")

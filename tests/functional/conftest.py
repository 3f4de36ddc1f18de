"""What functional tests share."""

import pytest

from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3


@pytest.fixture
def s3(aws: None) -> S3:
    return S3(clients.s3())

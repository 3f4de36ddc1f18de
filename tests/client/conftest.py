"""An installation in memory."""

import json
from typing import Any

import pytest

from bedrock_batch_client import installation as room
from bedrock_batch_client.api import Batch
from bedrock_batch_client.installation import Installation
from tests.client import fakes


@pytest.fixture
def services(aws: None) -> fakes.Aws:
    """What the installation's clients call."""
    return fakes.Aws()


@pytest.fixture
def at(services: fakes.Aws) -> Installation:
    return fakes.installation(services)


@pytest.fixture
def batch(at: Installation, monkeypatch: pytest.MonkeyPatch) -> Batch:
    """What commands and notebooks find by the name `reviews`."""
    monkeypatch.setattr(room, "Clients", lambda *_: at.aws)
    return Batch("reviews", region="us-east-1")


@pytest.fixture
def put(at: Installation) -> Any:
    """A function that puts an object into the bucket, as JSON where it is no text."""

    def put_object(key: str, body: Any) -> str:
        data = (
            body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        )
        at.aws.s3.put_object(Bucket=at.bucket, Key=key, Body=data)
        return key

    return put_object

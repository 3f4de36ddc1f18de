"""Fixtures that every test may use: fake credentials and an AWS in memory."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from moto import mock_aws

from bedrock_batch.aws import clients
from local.provision import ENGINE_PYTHON
from tests.e2e.fixtures import (  # noqa: F401  # made known to pytest here
    batch,
    engine,
    module,
    neighbour,
    profile,
    provider,
    terraform_points_here,
)

# The time of an example means nothing here: two cores run all tests at the same time.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

BUCKET = "test-bucket"


@pytest.fixture(scope="session")
def engine_python() -> Path:
    """The interpreter that has MiniStack."""
    python = Path(os.environ.get("BEDROCK_BATCH_ENGINE_PYTHON", ENGINE_PYTHON))
    if not python.exists():
        pytest.fail(f"There is no {python}: run make setup, or set BEDROCK_BATCH_ENGINE_PYTHON.", pytrace=False)
    return python


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty AWS account with one bucket, `test-bucket`.

    Making a client takes longer than most tests, so clients are kept. In every test, moto gives them a new account.
    """
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "2048")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        clients.s3().create_bucket(Bucket=BUCKET)
        yield

"""The local AWS for these tests: one engine per session, started through the launcher."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from local.process import Engine, start_engine

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "000000000000"


@pytest.fixture(scope="session")
def engine_python() -> Path:
    """The interpreter that has MiniStack."""
    python = Path(os.environ.get("BEDROCK_BATCH_ENGINE_PYTHON", ROOT / ".venv-engine" / "bin" / "python"))
    if not python.exists():
        pytest.fail(f"There is no {python}: run make setup, or set BEDROCK_BATCH_ENGINE_PYTHON.", pytrace=False)
    return python


@pytest.fixture(scope="session")
def engine(engine_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A running local AWS. It is shared, so a test that needs it empty calls `engine.reset()`."""
    with start_engine(python=engine_python, log=tmp_path_factory.mktemp("engine") / "engine.log") as running:
        yield running


@dataclass
class Aws:
    """Clients of a local AWS, made when first asked for."""

    url: str
    _clients: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, service: str) -> Any:
        name = service.replace("_", "-")
        if name not in self._clients:
            self._clients[name] = boto3.client(
                name,
                endpoint_url=self.url,
                region_name="us-east-1",
                aws_access_key_id="test",
                aws_secret_access_key="test",
                # the service is to refuse what is wrong, not the client
                config=Config(retries={"total_max_attempts": 1}, proxies={}, parameter_validation=False),
            )
        return self._clients[name]

    def make_role(self, name: str, *, service: str, policy: list[dict[str, Any]] | None = None, **condition: Any) -> str:
        """Create a role that `service` may assume, and return its ARN."""
        trust: dict[str, Any] = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        if condition:
            trust["Condition"] = condition
        role = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
        if policy:
            self.iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps({"Statement": policy}))
        return str(role["Role"]["Arn"])

    def make_queue(self, name: str) -> tuple[str, str]:
        """Create a queue and return its URL and ARN."""
        url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        return url, f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"

    def messages(self, url: str, *, wait_seconds: int = 0) -> list[dict[str, Any]]:
        """Take all messages that are in a queue, waiting for the first if asked to."""
        taken: list[dict[str, Any]] = []
        while True:
            found = self.sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=10,
                WaitTimeSeconds=0 if taken else wait_seconds,
                MessageAttributeNames=["All"],
            ).get("Messages", [])
            if not found:
                return taken
            taken += found
            for message in found:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


@pytest.fixture
def aws(engine: Engine) -> Aws:
    """An empty account."""
    engine.reset()
    return Aws(engine.url)

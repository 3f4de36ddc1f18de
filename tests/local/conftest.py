"""The local AWS for these tests: one engine per session, started through the launcher."""

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from local.process import Engine, start_engine
from tests.local.sfn_probe import Account, prepare

if TYPE_CHECKING:
    from tests.local.bench import Bench

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "000000000000"


@pytest.fixture(scope="session")
def engine(engine_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A running local AWS. It is shared, so a test that needs it empty calls `engine.reset()`."""
    with start_engine(python=engine_python, log=tmp_path_factory.mktemp("engine") / "engine.log") as running:
        yield running


@pytest.fixture(scope="session")
def guarded(engine_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A running local AWS that enforces IAM. It is shared, too."""
    log = tmp_path_factory.mktemp("guarded") / "engine.log"
    with start_engine(python=engine_python, auth=True, log=log) as running:
        yield running


@functools.cache
def _client(url: str, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        # The service must refuse a wrong request, not the client.
        config=Config(retries={"total_max_attempts": 1}, proxies={}, parameter_validation=False),
    )


@dataclass
class Aws:
    """A local AWS and its clients: `aws.s3`, `aws.service_quotas`, …"""

    url: str

    def __getattr__(self, service: str) -> Any:
        return _client(self.url, service.replace("_", "-"))

    def make_role(
        self, name: str, *, service: str, policy: list[dict[str, Any]] | None = None, **condition: Any
    ) -> str:
        """Create a role that `service` may assume, and return its ARN."""
        trust: dict[str, Any] = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        if condition:
            trust["Condition"] = condition
        role = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
        if policy:
            self.iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps({"Statement": policy}))
        return str(role["Role"]["Arn"])

    def as_user(self, service: str, *statements: dict[str, Any]) -> Any:
        """Return a client of a user with these statements and no more."""
        self.iam.create_user(UserName="u")
        self.iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=json.dumps({"Statement": statements}))
        key = self.iam.create_access_key(UserName="u")["AccessKey"]
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
        )

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


@pytest.fixture
def bench(engine: Engine, aws: Aws) -> "Bench":
    """A bucket, a role, a queue with all job events, and fast jobs."""
    from tests.local.bench import Bench

    aws.s3.create_bucket(Bucket="runs")
    role = aws.make_role(
        "batch",
        service="bedrock.amazonaws.com",
        StringEquals={"aws:SourceAccount": ACCOUNT},
        ArnEquals={"aws:SourceArn": f"arn:aws:bedrock:us-east-1:{ACCOUNT}:model-invocation-job/*"},
    )
    queue, queue_arn = aws.make_queue("events")
    aws.events.put_rule(Name="all", EventPattern=json.dumps({"source": ["aws.bedrock"]}))
    aws.events.put_targets(Rule="all", Targets=[{"Id": "q", "Arn": queue_arn}])
    engine.configure(seconds_per_status=0.02)
    return Bench(engine, aws, role, queue)


@pytest.fixture(scope="module")
def account(engine: Engine) -> Account:
    """The account with the table and the bucket that the probes use."""
    engine.reset()
    account = Account(engine.url)
    prepare(account)
    return account

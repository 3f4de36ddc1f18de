"""The module on the local AWS, for use like a user: upload, start an execution, wait, read the output."""

import hashlib
import io
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
from botocore.config import Config

from bedrock_batch.contracts.version import CONTRACT
from bedrock_batch.keys import run_digest
from local.process import Engine
from tests.report_schema import check

PATIENCE_SECONDS = 180


def client(engine: Engine, service: str, **more: Any) -> Any:
    """Return a client of the local AWS that may do everything."""
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    return session.client(service, endpoint_url=engine.url, **more)


def user(engine: Engine, name: str, *policies: str) -> dict[str, str]:
    """Make a user who has these policies and no others; return the variables that make a program act as that user."""
    iam = client(engine, "iam")
    iam.create_user(UserName=name)
    for number, policy in enumerate(policies):
        iam.put_user_policy(UserName=name, PolicyName=f"p{number}", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def wait_until(condition: Callable[[], Any]) -> Any:
    """Return the first true value of a condition."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, f"it does not happen within {PATIENCE_SECONDS} s"
        time.sleep(0.2)
    return value


def digest_of_call(model_id: str, body: dict[str, Any]) -> str:
    """Return the Bedrock stand-in's digest of a request. For a cross-Region profile it has the profile's model."""
    model = model_id.removeprefix("us.")
    return hashlib.sha256(f"{model}\n{json.dumps(body, sort_keys=True)}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Ended:
    """An execution that ended."""

    run_id: str
    status: str
    output: dict[str, Any]
    error: str
    cause: str


class Batch:
    """An applied module: `outputs` are those of local/terraform, `engine` is the local AWS under it."""

    def __init__(self, engine: Engine, outputs: dict[str, Any]) -> None:
        self.engine = engine
        self.outputs = outputs
        self.bucket = str(outputs["runs_bucket_name"])
        self.root = str(outputs["output_uri"]).removeprefix(f"s3://{self.bucket}/").removesuffix("/output/")
        # A fault that the run itself did not meet may hit these reads.
        patient = Config(retries={"mode": "standard", "total_max_attempts": 8})
        self.s3 = client(engine, "s3", config=patient)
        self.sfn, self.dynamodb, self.bedrock, self.logs, self.sqs = (
            client(engine, service) for service in ("stepfunctions", "dynamodb", "bedrock", "logs", "sqs")
        )

    def upload(self, key: str, body: bytes) -> str:
        """Put an object below `datasets/` of the runs bucket and return its URI."""
        self.s3.put_object(Bucket=self.bucket, Key=f"datasets/{key}", Body=body)
        return f"s3://{self.bucket}/datasets/{key}"

    def start(self, run_id: str, run_input: Any) -> str:
        """Start a run and return the execution's ARN."""
        arn: str = self.sfn.start_execution(
            stateMachineArn=self.outputs["run_state_machine_arn"], name=run_id, input=json.dumps(run_input)
        )["executionArn"]
        return arn

    def wait(self, arn: str) -> Ended:
        """Wait until an execution ends."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (execution := self.sfn.describe_execution(executionArn=arn))["status"] == "RUNNING":
            assert time.monotonic() < deadline, f"{arn} did not end within {PATIENCE_SECONDS} s"
            time.sleep(0.2)
        return Ended(
            run_id=execution["name"],
            status=execution["status"],
            output=json.loads(execution.get("output", "{}")),
            error=execution.get("error", ""),
            cause=execution.get("cause", ""),
        )

    def run(self, run_id: str, run_input: Any) -> Ended:
        return self.wait(self.start(run_id, run_input))

    def stop_of(self, **detail: Any) -> str:
        """Wait until stop-run has ended for the run that its event names so; return the execution's ARN."""

        def ended() -> str:
            machine = self.outputs["stop_run_state_machine_arn"]
            for one in self.sfn.list_executions(stateMachineArn=machine, maxResults=1000)["executions"]:
                if one["status"] != "RUNNING":
                    described = self.sfn.describe_execution(executionArn=one["executionArn"])
                    if detail.items() <= json.loads(described["input"])["detail"].items():
                        assert one["status"] == "SUCCEEDED", described
                        return str(one["executionArn"])
            return ""

        return str(wait_until(ended))

    def states(self, arn: str) -> list[str]:
        """Return the states that an execution entered, in order."""
        events = self.sfn.get_execution_history(executionArn=arn, maxResults=1000)["events"]
        return [one["stateEnteredEventDetails"]["name"] for one in events if "stateEnteredEventDetails" in one]

    def keys(self, prefix: str) -> list[str]:
        """Return the keys below a prefix of the runs bucket, in order."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return sorted(item["Key"] for page in pages for item in page.get("Contents", ()))

    def table(self, run_id: str, folder: str = "") -> pa.Table:
        """Return a run's output, its parts in order; of several models that in the folder of one."""
        keys = self.keys(f"{self.root}/output/{run_id}/{folder}")
        return pa.concat_tables([pq.read_table(io.BytesIO(self.read(key))) for key in keys])

    def report(self, run_id: str) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.read(f"{self.root}/reports/{run_id}/report.json"))
        # A test may have deployed the next contract. Its reports differ only by the contract's number.
        check(report | {"contract": CONTRACT} if report["contract"] == CONTRACT + 1 else report)
        return report

    def read(self, key: str) -> bytes:
        body: bytes = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def job_digest(self, run_id: str) -> str:
        """Return the text in the names of a run's jobs."""
        claim = json.loads(self.read(f"{self.root}/claims/{run_id}.json"))
        return run_digest(claim["execution_arn"], claim["started_at"])

    def paid_twice(self, run_id: str) -> dict[str, int]:
        """Return the requests of a run of one model that Bedrock answered more than once, by digest.

        A call on demand has no run's name, and other tests of this process call on demand too. So what the stand-in
        counted is looked up by the bodies that this run sent.
        """
        work = f"{self.root}/work/{run_id}"
        model = json.loads(self.read(f"{work}/run.json"))["input"]["model_id"]
        keys = self.keys(f"{work}/input/") + self.keys(f"{work}/raw/on-demand-")
        lines = (line for key in keys for line in self.read(key).splitlines())
        sent = {digest_of_call(model, json.loads(line)["modelInput"]) for line in lines}
        counted = self.engine.bedrock(job_name_contains=self.job_digest(run_id))["paid_twice"]
        return {digest: count for digest, count in counted.items() if digest in sent}

    def inventory(self, run_id: str) -> dict[str, dict[str, Any]]:
        """Return a run's items in the inventory, found by its index, as plain values by `pk`."""
        items = self.dynamodb.query(
            TableName=self.outputs["inventory_table_name"],
            IndexName="by_run",
            KeyConditionExpression="run_id = :run_id",
            ExpressionAttributeValues={":run_id": {"S": run_id}},
        )["Items"]
        return {item["pk"]["S"]: {name: next(iter(value.values())) for name, value in item.items()} for item in items}

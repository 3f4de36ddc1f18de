"""A workbench for tests of the Bedrock stand-in."""

import json
import time
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.process import Engine
from tests.local.conftest import Aws

NOVA = "amazon.nova-lite-v1:0"
TITAN = "amazon.titan-embed-text-v2:0"
CLAUDE = "anthropic.claude-3-haiku-20240307-v1:0"
TERMINAL = {"Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired"}


@dataclass
class Bench:
    """A bucket, a role, a queue with all job events, and a short way to run jobs."""

    engine: Engine
    aws: Aws
    role: str
    queue: str

    def put(self, bodies: list[dict[str, Any]], *, key: str = "in/a.jsonl", tail: bytes = b"\n") -> str:
        """Write an input file with record ids `r000000`, … and return its URI."""
        lines = [json.dumps({"recordId": f"r{n:06d}", "modelInput": body}) for n, body in enumerate(bodies)]
        self.aws.s3.put_object(Bucket="runs", Key=key, Body="\n".join(lines).encode() + tail)
        return f"s3://runs/{key}"

    def create(self, uri: str, *, name: str = "job", model: str = NOVA, **more: Any) -> str:
        """Create a job and return its ARN."""
        request = {
            "jobName": name,
            "modelId": model,
            "roleArn": self.role,
            "modelInvocationType": "Converse",
            "inputDataConfig": {"s3InputDataConfig": {"s3Uri": uri, "s3InputFormat": "JSONL"}},
            "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://runs/out"}},
        } | more
        return str(self.aws.bedrock.create_model_invocation_job(**request)["jobArn"])

    def get(self, arn: str) -> dict[str, Any]:
        """Return a job."""
        job: dict[str, Any] = self.aws.bedrock.get_model_invocation_job(jobIdentifier=arn)
        return job

    def end(self, arn: str) -> dict[str, Any]:
        """Wait for a job to end and return it."""
        return self.reach(arn, TERMINAL)

    def reach(self, arn: str, statuses: set[str]) -> dict[str, Any]:
        """Wait for one of these statuses and return the job."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            job = self.get(arn)
            if job["status"] in statuses:
                return job
            time.sleep(0.02)
        raise AssertionError(f"still {job['status']}")

    def run(self, bodies: list[dict[str, Any]], **more: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Run a job to its end; return it and its output lines."""
        job = self.end(self.create(self.put(bodies), **more))
        return job, self.lines(job)

    def lines(self, job: dict[str, Any], name: str = "a.jsonl.out") -> list[dict[str, Any]]:
        """Return the lines of an output file; none if it is not there."""
        key = f"out/{job['jobArn'][-12:]}/{name}"
        if key not in self.keys():
            return []
        body = self.aws.s3.get_object(Bucket="runs", Key=key)["Body"].read()
        return [json.loads(line) for line in body.split(b"\n") if line]

    def keys(self) -> list[str]:
        """Return the keys of all output files."""
        return [o["Key"] for o in self.aws.s3.list_objects_v2(Bucket="runs", Prefix="out/").get("Contents", [])]

    def statuses(self, wait_seconds: int = 2) -> list[str]:
        """Return the statuses of the received events, in the order of arrival."""
        bodies = [json.loads(m["Body"]) for m in self.aws.messages(self.queue, wait_seconds=wait_seconds)]
        return [body["detail"]["status"] for body in bodies]


def prompts(count: int = 100, **more: Any) -> list[dict[str, Any]]:
    return [
        {"messages": [{"role": "user", "content": [{"text": f"what is {n} plus {n}"}]}]} | more for n in range(count)
    ]


def error_code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def code_of(call: Any) -> str:
    """Return the error code of a call that must fail."""
    with pytest.raises(ClientError) as error:
        call()
    return error_code(error)

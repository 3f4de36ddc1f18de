"""Services in memory for the client: DynamoDB, Step Functions and Bedrock as far as it calls them.

Every call is checked against botocore's model, and counted. S3 is moto's.
"""

import functools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError
from botocore.session import get_session
from botocore.validate import ParamValidator

from bedrock_batch.aws import clients
from bedrock_batch_client.installation import Installation

BUCKET = "test-bucket"
ROOT = "teams/reviews"
TABLE = "reviews-inventory"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:reviews-run"
BEGAN = datetime(2026, 11, 29, 7, 0, tzinfo=UTC)

ITEM = {
    "pk": {"S": "installation"},
    "contract": {"N": "1"},
    "name": {"S": "reviews"},
    "bucket": {"S": BUCKET},
    "root": {"S": ROOT},
    "run_state_machine_arn": {"S": MACHINE},
    "uploads": {"S": "datasets/"},
}
"""As terraform/installation.tf writes it; test_installation.py compares."""


def error(operation: str, code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@functools.cache
def _model(service: str) -> Any:
    return get_session().get_service_model(service)


class _Exceptions:
    """The exceptions of a client's service, each a ClientError of its own class."""

    class ExecutionAlreadyExists(ClientError):
        pass

    class ExecutionNotRedrivable(ClientError):
        pass

    class ExecutionLimitExceeded(ClientError):
        pass


@dataclass
class Service:
    """One service: `calls` counts, `denied` has the operations that are refused, with the message of the refusal."""

    service: str
    calls: Counter[str] = field(default_factory=Counter)
    failing: dict[str, Exception] = field(default_factory=dict)
    exceptions: Any = _Exceptions

    def _called(self, operation: str, arguments: dict[str, Any]) -> None:
        self.calls[operation] += 1
        shape = _model(self.service).operation_model(operation).input_shape
        report = ParamValidator().validate(arguments, shape)
        assert not report.has_errors(), report.generate_report()
        if operation in self.failing:
            raise self.failing[operation]


@dataclass
class DynamoDB(Service):
    """The inventory: items by `pk`."""

    service: str = "dynamodb"
    items: dict[str, dict[str, Any]] = field(default_factory=lambda: {"installation": ITEM})

    def get_item(self, **arguments: Any) -> dict[str, Any]:
        self._called("GetItem", arguments)
        if arguments["TableName"] != TABLE:
            raise error("GetItem", "ResourceNotFoundException", "Requested resource not found")
        item = self.items.get(arguments["Key"]["pk"]["S"])
        return {"Item": item} if item else {}

    def get_paginator(self, name: str) -> "Pages":
        assert name == "query"
        return Pages(self._query)

    def _query(self, PaginationConfig: dict[str, int], **arguments: Any) -> Iterator[dict[str, Any]]:
        status = arguments["ExpressionAttributeValues"][":status"]
        found = [item for item in self.items.values() if item.get("status") == status]
        found.sort(key=lambda item: str(item["updated_at"]["S"]), reverse=not arguments["ScanIndexForward"])
        found, size = found[: PaginationConfig.get("MaxItems")], PaginationConfig["PageSize"]
        for first in range(0, len(found), size) or [0]:
            self._called("Query", arguments)
            yield {"Items": found[first : first + size]}

    def put_job(self, job: str, message: str) -> None:
        """Put the item of a job that went wrong."""
        self.items[f"job/{job}"] = {"pk": {"S": f"job/{job}"}, "message": {"S": message}}

    def put_run(self, run: str, **attributes: Any) -> None:
        """Put the item of a run; numbers become N."""
        values = {"run_id": run, "status": "RUNNING", "started_at": "2026-11-29T07:00:00.000Z"} | attributes
        values.setdefault("updated_at", values["started_at"])
        item = {name: {"N": str(value)} if isinstance(value, int) else {"S": value} for name, value in values.items()}
        self.items[f"run/{run}"] = {"pk": {"S": f"run/{run}"}, **item}


@dataclass
class States(Service):
    """Executions by name, each what DescribeExecution says."""

    service: str = "stepfunctions"
    executions: dict[str, dict[str, Any]] = field(default_factory=dict)
    state: str = "Run jobs"
    started: list[dict[str, Any]] = field(default_factory=list)

    def put(self, run: str, status: str = "RUNNING", **more: Any) -> None:
        arn = MACHINE.replace(":stateMachine:", ":execution:") + f":{run}"
        ended = {} if status == "RUNNING" else {"stopDate": BEGAN + timedelta(hours=1)}
        self.executions[arn] = {"executionArn": arn, "status": status, "startDate": BEGAN, **ended, **more}

    def start_execution(self, **arguments: Any) -> dict[str, Any]:
        self._called("StartExecution", arguments)
        self.started.append(arguments)
        self.put(arguments["name"])
        return {"executionArn": "…", "startDate": BEGAN}

    def describe_execution(self, **arguments: Any) -> dict[str, Any]:
        self._called("DescribeExecution", arguments)
        if arguments["executionArn"] not in self.executions:
            raise error("DescribeExecution", "ExecutionDoesNotExist")
        return self.executions[arguments["executionArn"]]

    def get_execution_history(self, **arguments: Any) -> dict[str, Any]:
        self._called("GetExecutionHistory", arguments)
        return {
            "events": [
                {"id": 3, "type": "MapRunStarted"},
                {"id": 2, "type": "MapStateEntered", "stateEnteredEventDetails": {"name": self.state}},
                {"id": 1, "type": "TaskStateEntered", "stateEnteredEventDetails": {"name": "Review run"}},
            ]
        }

    def stop_execution(self, **arguments: Any) -> dict[str, Any]:
        self._called("StopExecution", arguments)
        execution = self.executions[arguments["executionArn"]]
        execution |= {"status": "ABORTED", "stopDate": BEGAN + timedelta(hours=1)}
        return {"stopDate": execution["stopDate"]}

    def redrive_execution(self, **arguments: Any) -> dict[str, Any]:
        self._called("RedriveExecution", arguments)
        self.executions[arguments["executionArn"]] |= {"status": "RUNNING", "redriveDate": BEGAN + timedelta(hours=2)}
        return {"redriveDate": BEGAN}


@dataclass
class Bedrock(Service):
    """Jobs as ListModelInvocationJobs lists them: at most 1,000 a call."""

    service: str = "bedrock"
    jobs: list[dict[str, Any]] = field(default_factory=list)

    def put(self, name: str, status: str, *, total: int = 100, done: int = 0, **more: Any) -> None:
        self.jobs.append(
            {
                "jobName": name,
                "status": status,
                "submitTime": BEGAN,
                "totalRecordCount": total,
                "processedRecordCount": done,
                "successRecordCount": done,
                "errorRecordCount": 0,
                **more,
            }
        )

    def get_paginator(self, name: str) -> "Pages":
        assert name == "list_model_invocation_jobs"
        return Pages(self._list)

    def _list(self, **arguments: Any) -> Iterator[dict[str, Any]]:
        found = [job for job in self.jobs if arguments["nameContains"] in job["jobName"]]
        size = min(arguments.get("maxResults", 100), 1_000)
        for first in range(0, len(found), size) or [0]:
            self._called("ListModelInvocationJobs", arguments)
            yield {"invocationJobSummaries": found[first : first + size]}


@dataclass
class Pages:
    """A paginator."""

    paginate: Any


@dataclass
class Aws:
    """Stands for `installation.Clients`."""

    dynamodb: DynamoDB = field(default_factory=DynamoDB)
    states: States = field(default_factory=States)
    bedrock: Bedrock = field(default_factory=Bedrock)
    s3: Any = None

    def count(self) -> int:
        """Return how often the fakes were called; S3 is not counted here."""
        return sum(one.calls.total() for one in (self.dynamodb, self.states, self.bedrock))


def installation(aws: Aws, **more: Any) -> Installation:
    """Return the installation that ITEM describes."""
    values = {name: next(iter(value.values())) for name, value in ITEM.items() if name not in ("pk", "contract")}
    aws.s3 = aws.s3 or clients.s3()
    return Installation(**(values | {"table": TABLE, "aws": aws} | more))

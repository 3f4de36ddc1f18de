"""Start, find, list, stop and redrive runs."""

import json
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bedrock_batch_client.errors import Mistake, NotFound, ServiceTrouble, calling
from bedrock_batch_client.installation import Installation, plain

STATUSES = ("RUNNING", "STOPPING", "SUCCEEDED", "SUCCEEDED_WITH_WARNINGS", "FAILED", "ABORTED", "TIMED_OUT")
"""What the inventory says of a run."""

GOOD = ("SUCCEEDED", "SUCCEEDED_WITH_WARNINGS")

_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
_MOST_INPUT_BYTES = 262_144  # of Step Functions
STOP_RUN_BEGINS = timedelta(minutes=5)
"""A run that ended so long ago, and is not known to be stopping, has no stop-run that is about to begin."""


@dataclass(frozen=True, slots=True)
class Item:
    """A run in the inventory. `rows` and `job_names` are there from its plan on."""

    run: str
    status: str
    started_at: str
    ended_at: str = ""
    rows: int | None = None
    job_names: str = ""
    message: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return what `list` shows."""
        return {
            "run": self.run,
            "status": self.status,
            "started_at": self.started_at,
            "ended_at": self.ended_at or None,
            "rows": self.rows,
            "message": self.message,
        }


def new_name(now: datetime | None = None) -> str:
    """Return a name for a run: the time in UTC, and four digits, so that two runs of one second differ."""
    return f"{now or datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def start(installation: Installation, document: Mapping[str, Any], name: str | None = None) -> str:
    """Start a run and return its name. Raises Mistake where the name cannot be used."""
    if name is not None:
        check_free(installation, name)
    run = new_name() if name is None else name
    try:
        text = json.dumps(document, ensure_ascii=False, allow_nan=False)
        size = len(text.encode())
    except (TypeError, ValueError) as err:
        raise Mistake(f"The run document is not JSON: {err}") from err
    if size > _MOST_INPUT_BYTES:
        raise Mistake("The run document is larger than 256 KiB: put a long prompt on S3 and name it in prompt.s3_uri.")
    machine = installation.run_state_machine_arn
    with calling("states:StartExecution", machine):
        states = installation.aws.states
        try:
            states.start_execution(stateMachineArn=machine, name=run, input=text)
        except states.exceptions.ExecutionAlreadyExists as err:
            raise Mistake(f"The name {run!r} is used: choose another name.") from err
    return run


def check_free(installation: Installation, run: str) -> None:
    """Raise Mistake unless a text can be the name of a run, and no run is known by it."""
    if taken := item(installation, run):
        raise Mistake(
            f"The name {run!r} is used: a run of this name started at {taken.started_at}. A name is used once; "
            "leave it out, and one is made from the time."
        )


def check_name(run: str) -> None:
    """Raise Mistake unless a text can be the name of a run."""
    if not _NAME.fullmatch(run):
        raise Mistake(f"The name {run!r} may hold only letters, digits, `-` and `_`, and at most 80 of them.")


def item(installation: Installation, run: str) -> Item | None:
    """Return what the inventory has of a run, or None."""
    check_name(run)
    found = _get(installation, f"run/{run}")
    return _read(found) if found else None


def job_message(installation: Installation, job: str) -> str:
    """Return what the inventory says of a job that went wrong; empty where it says nothing, or not yet."""
    found = _get(installation, f"job/{job}")
    return str(plain(found).get("message", "")) if found else ""


def execution(installation: Installation, run: str) -> dict[str, Any] | None:
    """Return what Step Functions says of a run, or None where it does not know the run, or no longer.

    Its `cause` is a sentence, also if a function failed: then that of Step Functions is JSON.
    """
    check_name(run)
    arn = installation.execution_arn(run)
    try:
        with calling("states:DescribeExecution", arn):
            described: dict[str, Any] = installation.aws.states.describe_execution(executionArn=arn)
    except NotFound:
        return None
    return described | {"cause": _sentence(described.get("cause", ""))}


def _sentence(cause: str) -> str:
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, TypeError, KeyError):
        return cause


def list_runs(installation: Installation, *, statuses: tuple[str, ...] = STATUSES, limit: int = 20) -> list[Item]:
    """Return the latest runs in some statuses, the latest start first."""
    found: list[Item] = []
    for status in dict.fromkeys(statuses):
        with calling("dynamodb:Query", f"the index by_status of the table {installation.table}"):
            pages = installation.aws.dynamodb.get_paginator("query").paginate(
                TableName=installation.table,
                IndexName="by_status",
                KeyConditionExpression="#status = :status",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues={":status": {"S": status}},
                ScanIndexForward=False,
                PaginationConfig={"PageSize": min(limit, 100)},
            )
            found += _latest(pages, limit)
    return sorted(found, key=lambda one: one.started_at, reverse=True)[:limit]


def _latest(pages: Iterable[Mapping[str, Any]], limit: int) -> list[Item]:
    """Return the runs of one status that started last. The pages begin with the run that changed last.

    No run starts after its last change. So every run on a later page started before the last change on this page.
    """
    found: list[Item] = []
    for page in pages:
        found += map(_read, page["Items"])
        found = sorted(found, key=lambda one: one.started_at, reverse=True)[:limit]
        if len(found) == limit and page["Items"] and page["Items"][-1]["updated_at"]["S"] <= found[-1].started_at:
            break
    return found


def stop(installation: Installation, run: str) -> bool:
    """Stop a run; its jobs are stopped, and its answers kept. Returns False where it has ended already.

    Raises NotFound where there is no such run.
    """
    described = execution(installation, run)
    if described is None and item(installation, run) is None:
        raise no_run(installation, run)
    if described is None or described["status"] != "RUNNING":
        return False
    with calling("states:StopExecution", described["executionArn"]):
        installation.aws.states.stop_execution(executionArn=described["executionArn"])
    return True


def redrive(installation: Installation, run: str) -> None:
    """Go on with a run that ended badly. Raises Mistake where it cannot go on, or not yet."""
    described, known = execution(installation, run), item(installation, run)
    if described is None and known is None:
        raise no_run(installation, run)
    if described is None:
        raise Mistake(f"Step Functions does not know the run {run!r} any more, so nothing can continue it.")
    if described["status"] in ("RUNNING", "SUCCEEDED"):
        what = "goes on" if described["status"] == "RUNNING" else "has ended well"
        raise Mistake(f"The run {run!r} {what}: there is nothing to redrive.")
    recent = datetime.now(UTC) - described["stopDate"] < STOP_RUN_BEGINS
    if known and (known.status == "STOPPING" or (known.status == "RUNNING" and recent)):
        raise Mistake(
            f"The jobs of the run {run!r} are still being stopped. Wait until `status` says {described['status']}, "
            "and redrive it then."
        )
    with calling("states:RedriveExecution", described["executionArn"]):
        states = installation.aws.states
        try:
            states.redrive_execution(executionArn=described["executionArn"])
        except (states.exceptions.ExecutionNotRedrivable, states.exceptions.ExecutionLimitExceeded) as err:
            raise Mistake(f"Step Functions does not redrive the run {run!r}: {err}") from err


def is_stopping(known: Item | None, described: Mapping[str, Any] | None) -> bool:
    """Return whether a run has ended badly and stop-run has not written down its end: its jobs are being stopped."""
    status = (described or {}).get("status")
    return known is not None and known.status in ("RUNNING", "STOPPING") and status not in ("RUNNING", "SUCCEEDED")


def read_json(installation: Installation, key: str) -> dict[str, Any] | None:
    """Return a document of the bucket, or None where it is not there."""
    try:
        with calling("s3:GetObject", installation.object_arn(key)):
            body = installation.aws.s3.get_object(Bucket=installation.bucket, Key=key)["Body"].read()
    except NotFound:
        return None
    try:
        document: dict[str, Any] = json.loads(body)
    except ValueError as err:
        raise ServiceTrouble(f"s3://{installation.bucket}/{key} is not JSON: {err}") from err
    return document


def report_written_at(installation: Installation, run: str) -> datetime | None:
    """Return when the report of a run was written, or None where there is none."""
    key = installation.report_key(run)
    try:
        with calling("s3:GetObject", installation.object_arn(key)):
            head = installation.aws.s3.head_object(Bucket=installation.bucket, Key=key)
    except NotFound:
        return None
    written: datetime = head["LastModified"]
    return written


def report(installation: Installation, run: str, execution: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the report of a run's end; None while there is none, or only that of the end before a redrive."""
    redriven = execution.get("redriveDate")
    if redriven and execution["status"] not in GOOD:
        written = report_written_at(installation, run)
        if written is None or written < redriven.replace(microsecond=0):
            return None
    return read_json(installation, installation.report_key(run))


def no_run(installation: Installation, run: str) -> NotFound:
    """Return the error for a run that is not there."""
    return NotFound(f"The installation {installation.name!r} has no run {run!r}. `bedrock-batch list` shows its runs.")


def _get(installation: Installation, key: str) -> dict[str, Any] | None:
    with calling("dynamodb:GetItem", f"the table {installation.table}"):
        found: dict[str, Any] | None = installation.aws.dynamodb.get_item(
            TableName=installation.table, Key={"pk": {"S": key}}, ConsistentRead=True
        ).get("Item")
    return found


def _read(found: Mapping[str, Mapping[str, Any]]) -> Item:
    values = plain(found)
    return Item(
        run=values["run_id"],
        status=values["status"],
        started_at=values.get("started_at", ""),
        ended_at=values.get("ended_at", ""),
        rows=int(values["rows"]) if "rows" in values else None,
        job_names=values.get("job_names", ""),
        message=values.get("message", ""),
    )

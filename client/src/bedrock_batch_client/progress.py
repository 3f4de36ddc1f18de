"""How far a run is: from Step Functions, the inventory, Bedrock's own counters, and the report once there is one."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from bedrock_batch_client import runs
from bedrock_batch_client.errors import calling
from bedrock_batch_client.installation import Installation

QUEUED = ("Submitted", "Validating", "Scheduled")
"""Statuses of a job that Bedrock has not begun."""

ENDED = ("Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired")

_PAGE = 1_000
_RECENT_EVENTS = 100
_PROBLEMS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Records:
    """Bedrock's counts over all jobs of a run. A record that is sent again in a later round counts again.

    `total` is what the run sends, from its estimate; None where that is not known.
    """

    total: int | None = None
    processed: int = 0
    succeeded: int = 0
    failed: int = 0

    @property
    def part(self) -> float | None:
        """The part of the records that are done, from 0 to 1."""
        return min(1.0, self.processed / self.total) if self.total else None


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens and dollars until now. `actual` says that the report has counted them; else they are estimated."""

    actual: bool
    cost_usd: float | None
    input_tokens: int | None
    output_tokens: int | None


@dataclass(frozen=True, slots=True)
class Status:
    """A run as it stood at `seen_at`.

    `status` is one of `runs.STATUSES`: STOPPING also while stop-run is about to begin. `state` is the state that the
    execution entered last, while it goes on. `problems` are jobs that did not complete, in words.
    """

    run: str
    status: str
    seen_at: datetime
    state: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    rows: int | None = None
    jobs: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    records: Records = field(default_factory=Records)
    seconds_left: float | None = None
    spent: Spent | None = None
    outcomes: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    error: str = ""
    message: str = ""
    what_to_do: str = ""
    report: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more happens: the run has ended, and its jobs with it."""
        return self.status not in ("RUNNING", "STOPPING")

    @property
    def page(self) -> str:
        """Where `report.html` is, which people open; empty while there is no report."""
        return self.report.removesuffix(".json") + ".html" if self.report else ""

    @property
    def good(self) -> bool:
        return self.status in runs.GOOD

    @property
    def why(self) -> str:
        """The error and its message, in one line; empty where there is none."""
        return ": ".join(part for part in (self.error, self.message) if part)

    def to_json(self) -> dict[str, Any]:
        """Return the document of `status --json`."""
        spent = self.spent or Spent(False, None, None, None)
        return {
            "run": self.run,
            "status": self.status,
            "state": self.state or None,
            "seen_at": _text(self.seen_at),
            "started_at": _text(self.started_at),
            "ended_at": _text(self.ended_at),
            "rows": self.rows,
            "outcomes": dict(self.outcomes),
            "jobs": dict(self.jobs),
            "problems": list(self.problems),
            "records": asdict(self.records),
            "seconds_left": None if self.seconds_left is None else round(self.seconds_left),
            "cost_usd": spent.cost_usd,
            "input_tokens": spent.input_tokens,
            "output_tokens": spent.output_tokens,
            "estimated": not spent.actual,
            "warnings": list(self.warnings),
            "error": self.error or None,
            "message": self.message or None,
            "what_to_do": self.what_to_do or None,
            "report": self.report or None,
            "page": self.page or None,
        }


def status(installation: Installation, run: str, *, now: datetime | None = None) -> Status:
    """Return how far a run is, in at most 20 calls for 10,000 jobs. Raises NotFound where there is no such run."""
    item = runs.item(installation, run)
    execution = runs.execution(installation, run) or {}
    if item is None and not execution:
        raise runs.no_run(installation, run)
    now = now or datetime.now(UTC)
    known = item or runs.Item(run, execution["status"], "")
    goes_on = execution.get("status") == "RUNNING"
    said = "RUNNING" if goes_on else "STOPPING" if runs.is_stopping(item, execution) else _said(known, execution)
    began = execution.get("startDate") or _time(known.started_at)
    if not goes_on and (report := runs.report(installation, run, execution)):
        return _of_report(installation, known, execution, report, said, now)
    estimate = (runs.read_json(installation, installation.report_key(run, "estimate.json")) or {}) if goes_on else {}
    jobs = _jobs(installation, known.job_names)
    records = _records(jobs, estimate)
    return Status(
        run=run,
        status=said,
        seen_at=now,
        state=_state(installation, run) if goes_on else "",
        started_at=began,
        ended_at=execution.get("stopDate") or _time(known.ended_at),
        rows=known.rows,
        jobs=_by_status(jobs),
        problems=_problems(installation, jobs),
        records=records,
        seconds_left=_seconds_left(jobs, records, execution.get("redriveDate"), now) if goes_on else None,
        spent=_part_of(estimate, records.part),
        error="" if goes_on else execution.get("error", ""),
        message="" if goes_on else known.message or execution.get("cause", ""),
    )


def _said(item: runs.Item, execution: Mapping[str, Any]) -> str:
    """Return the status of a run that has ended, and its jobs with it."""
    if execution.get("status") == "SUCCEEDED" and item.status not in runs.GOOD:
        return "SUCCEEDED"
    return item.status


def _of_report(
    installation: Installation,
    item: runs.Item,
    execution: Mapping[str, Any],
    report: Mapping[str, Any],
    said: str,
    now: datetime,
) -> Status:
    """Return the status of a run that has ended: the report has the truth, and Bedrock is not asked."""
    estimate = report.get("estimate") or {}
    failed = [_problem(job["status"], job.get("message", "")) for job in report.get("failed_jobs", ())]
    spent = Spent(True, report.get("cost_usd"), report.get("input_tokens"), report.get("output_tokens"))
    return Status(
        run=item.run,
        status=said,
        seen_at=now,
        started_at=execution.get("startDate") or _time(item.started_at),
        ended_at=execution.get("stopDate") or _time(item.ended_at),
        rows=report.get("rows", item.rows),
        jobs=report.get("jobs", {}),
        problems=tuple(failed[:_PROBLEMS_SHOWN]),
        records=Records(total=estimate.get("records")),
        spent=None if report.get("dry_run") else spent,
        outcomes={name: count for name, count in report.get("outcomes", {}).items() if count},
        warnings=tuple(report.get("warnings", ())),
        error=report.get("error", "") or execution.get("error", ""),
        message=report.get("message", "") or item.message,
        what_to_do="" if said == "STOPPING" else report.get("what_to_do", ""),
        report=f"s3://{installation.bucket}/{installation.report_key(item.run)}",
    )


def _jobs(installation: Installation, names: str) -> list[dict[str, Any]]:
    """Return Bedrock's summaries of the jobs whose names begin so, 1,000 a call."""
    if not names:
        return []
    with calling("bedrock:ListModelInvocationJobs", "*"):
        pages = installation.aws.bedrock.get_paginator("list_model_invocation_jobs").paginate(
            nameContains=names, maxResults=_PAGE
        )
        return [
            job
            for page in pages
            for job in page.get("invocationJobSummaries", ())
            if job["jobName"].startswith(f"{names}-")
        ]


def _state(installation: Installation, run: str) -> str:
    """Return the name of the state that the execution entered last; empty where it is not among the latest events."""
    arn = installation.execution_arn(run)
    with calling("states:GetExecutionHistory", arn):
        events = installation.aws.states.get_execution_history(
            executionArn=arn, reverseOrder=True, maxResults=_RECENT_EVENTS, includeExecutionData=False
        )["events"]
    entered = (event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event)
    return next(entered, "")


def _records(jobs: Sequence[Mapping[str, Any]], estimate: Mapping[str, Any]) -> Records:
    processed, succeeded, failed = (
        sum(job.get(name, 0) for job in jobs)
        for name in ("processedRecordCount", "successRecordCount", "errorRecordCount")
    )
    return Records(estimate.get("records"), processed, succeeded, failed)


def _by_status(jobs: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return the numbers of jobs by status, in the order of a job's life."""
    counts = Counter(job["status"] for job in jobs)
    order = [*QUEUED, "InProgress", "Stopping", *ENDED]
    known = [name for name in order if counts[name]]
    return {name: counts[name] for name in [*known, *sorted(counts.keys() - set(order))]}


def _problems(installation: Installation, jobs: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return what became of the first jobs that did not complete. The inventory has Bedrock's words about them."""
    wrong = [job for job in jobs if job["status"] in ENDED and job["status"] != "Completed"]
    shown = sorted(wrong, key=lambda job: str(job["jobName"]))[:_PROBLEMS_SHOWN]
    return tuple(
        _problem(f"{job['status']} after {_done(job)}", runs.job_message(installation, job["jobName"])) for job in shown
    )


def _done(job: Mapping[str, Any]) -> str:
    return f"{job.get('processedRecordCount', 0):,} of {job.get('totalRecordCount', 0):,} records"


def _problem(what: str, message: str) -> str:
    return f"a job ended {what}" + (f": {message}" if message else "")


def _seconds_left(
    jobs: list[dict[str, Any]], records: Records, redriven: datetime | None, now: datetime
) -> float | None:
    """Return how long the rest takes at the pace until now; None where nothing says so.

    While jobs are queued nobody knows when Bedrock begins them. The pace counts from the first job of this drive.
    """
    if records.total is None or any(job["status"] in QUEUED for job in jobs):
        return None
    counted = [job for job in jobs if redriven is None or job["submitTime"] >= redriven]
    done = sum(job.get("processedRecordCount", 0) for job in counted)
    if not done or all(job["status"] in ENDED for job in jobs):
        return None
    elapsed: float = (now - min(job["submitTime"] for job in counted)).total_seconds()
    rest = max(0, records.total - records.processed)
    return float(rest * elapsed / done)


def _part_of(estimate: Mapping[str, Any], part: float | None) -> Spent | None:
    """Return what the done part of an estimate comes to."""
    if part is None:
        return None
    cost, *tokens = (
        None if (value := estimate.get(name)) is None else value * part
        for name in ("cost_usd", "input_tokens", "output_tokens")
    )
    return Spent(False, cost, *(None if count is None else round(count) for count in tokens))


def _time(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _text(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if moment else None

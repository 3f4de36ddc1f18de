"""List Bedrock's batch jobs; the state machines create and stop them."""

import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from bedrock_batch.contracts.job_times import JobTimes
from bedrock_batch.contracts.lines import TERMINAL_STATUSES

_LOG = logging.getLogger(__name__)

_LONGEST_JOB = timedelta(days=8)
"""A job's deadline is at most 168 hours, so older jobs have ended."""


def active_jobs(client: Any, counts: Callable[[str], bool], *, run_id: str, run_digest: str) -> int:
    """Return the number of the account's unfinished jobs, without the jobs of this run.

    Only jobs of models for which `counts` is true are counted. Without the permission to list jobs, the number is 0:
    if a quota is full, the Create waits anyway.
    """
    try:
        return sum(
            1
            for job in _jobs(client, submitTimeAfter=datetime.now(UTC) - _LONGEST_JOB)
            if job["status"] not in TERMINAL_STATUSES
            and counts(job["modelId"])
            and f"-{run_digest}-" not in job["jobName"]
        )
    except ClientError as err:
        if err.response["Error"]["Code"] != "AccessDeniedException":
            raise
        _LOG.warning("active jobs are not counted", extra={"run_id": run_id, "why": str(err)})
        return 0


def job_statuses(client: Any, run_digest: str) -> dict[str, str]:
    """Return the status of every job of a run, by the job's name."""
    return {job["jobName"]: job["status"] for job in _jobs(client, nameContains=run_digest)}


def job_times(client: Any, run_digest: str, *, run_id: str) -> dict[str, JobTimes]:
    """Return when each ended job of a run was submitted and ended, by its name.

    They are for the report alone: where Bedrock does not list them, there are none.
    """
    try:
        return {
            job["jobName"]: JobTimes(job["submitTime"], ended)
            for job in _jobs(client, nameContains=run_digest)
            # A job that was stopped may have no time of its end.
            if job["status"] in TERMINAL_STATUSES and (ended := job.get("endTime") or job.get("lastModifiedTime"))
        }
    except (BotoCoreError, ClientError) as err:
        _LOG.warning("the times of jobs are not known", extra={"run_id": run_id, "why": type(err).__name__})
        return {}


def _jobs(client: Any, **filters: Any) -> Iterator[Mapping[str, Any]]:
    pages = client.get_paginator("list_model_invocation_jobs").paginate(**filters, PaginationConfig={"PageSize": 1000})
    for page in pages:
        yield from page["invocationJobSummaries"]

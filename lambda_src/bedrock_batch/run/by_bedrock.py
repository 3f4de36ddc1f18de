"""Read Bedrock's own counts of each job, for `by_bedrock` of the report: `manifest.json.out` beside the output.

A job may have no manifest.
"""

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bedrock_batch.aws.s3 import S3, Object
from bedrock_batch.contracts.results import JobCounts, Joined
from bedrock_batch.contracts.run import Run
from bedrock_batch.run import usage

_NAME = "/manifest.json.out"
_MOST = 1 << 63
_READS = 16
"""Manifests to read at the same time. The clients keep 32 connections."""


def read_manifests(s3: S3, run: Run) -> dict[str, JobCounts]:
    """Return the counts of every job that has a manifest, by the job's name."""
    folder = run.keys.raw_folder
    items = [item for item in s3.list(run.bucket, folder) if item.key.endswith(_NAME)]

    def read(item: Object) -> tuple[str, JobCounts | None]:
        return item.key.removeprefix(folder).partition("/")[0], _counts(s3.read(run.bucket, item.key))

    with ThreadPoolExecutor(_READS) as pool:
        return {name: counts for name, counts in pool.map(read, items) if counts is not None}


def compare(joined: Iterable[Joined], manifests: Mapping[str, JobCounts]) -> dict[str, Any] | None:
    """Return the sums of Bedrock's manifests for the jobs of these shards; None if no job has a manifest.

    `differing_jobs` are the jobs whose output has another number of records.
    """
    came = {name: sum(routes.values(), JobCounts()) for name, routes in usage.by_job(joined).items()}
    compared = {name: (counts, came[name]) for name, counts in sorted(manifests.items()) if name in came}
    if not compared:
        return None
    sums = sum((counted for counted, _ in compared.values()), JobCounts())
    found = sum((found for _, found in compared.values()), JobCounts())
    differing = {
        name: {"counted": counted.records, "found": found.records}
        for name, (counted, found) in compared.items()
        if counted.records != found.records
    }
    return {"jobs": len(compared), **sums.to_json(), "found": found.to_json(), "differing_jobs": differing}


def _counts(body: bytes) -> JobCounts | None:
    """Return a manifest's counts; None if the body is not a manifest. A processed record was answered or refused."""
    try:
        manifest = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(manifest, Mapping):
        return None
    answered = _number(manifest, "successRecordCount")
    return JobCounts(
        records=answered + _number(manifest, "errorRecordCount"),
        answered=answered,
        input_tokens=_number(manifest, "inputTokenCount"),
        output_tokens=_number(manifest, "outputTokenCount"),
    )


def _number(manifest: Mapping[str, Any], name: str) -> int:
    """Return a count of a manifest, 0 if it is not a count. (Python also reads NaN and Infinity.)"""
    value = manifest.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MOST:
        return int(value)
    return 0

"""What Bedrock itself counted for each job, for `by_bedrock` of the report: `manifest.json.out` beside the output.

A job may have no manifest.
"""

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bedrock_batch.aws.s3 import S3, Object
from bedrock_batch.contracts.lines import JobCounts, Joined
from bedrock_batch.contracts.run import Run

_NAME = "/manifest.json.out"
_READS = 16
"""At the same time; the clients keep 32 connections."""


def read_manifests(s3: S3, run: Run) -> dict[str, JobCounts]:
    """Return the counts of each of a run's jobs that has a manifest, by the job's name."""
    folder = run.keys.raw_folder
    items = [item for item in s3.list(run.bucket, folder) if item.key.endswith(_NAME)]

    def read(item: Object) -> tuple[str, JobCounts | None]:
        return item.key.removeprefix(folder).partition("/")[0], _counts(s3.read(run.bucket, item.key))

    with ThreadPoolExecutor(_READS) as pool:
        return {name: counts for name, counts in pool.map(read, items) if counts is not None}


def compare(joined: Iterable[Joined], manifests: Mapping[str, JobCounts]) -> dict[str, Any] | None:
    """Return what Bedrock's manifests count for the jobs of these shards; None where no job has a manifest.

    `differing_jobs` are those whose output has more or fewer records.
    """
    came: dict[str, JobCounts] = {}
    for one in joined:
        for name, counts in one.came.items():
            came[name] = JobCounts.from_json(counts)
    compared = {name: (counts, came[name]) for name, counts in sorted(manifests.items()) if name in came}
    if not compared:
        return None
    sums = _sum(counted for counted, _ in compared.values())
    found = _sum(found for _, found in compared.values())
    differing = {
        name: {"counted": counted.records, "found": found.records}
        for name, (counted, found) in compared.items()
        if counted.records != found.records
    }
    return {"jobs": len(compared), **sums.to_json(), "found": found.to_json(), "differing_jobs": differing}


def _sum(counts: Iterable[JobCounts]) -> JobCounts:
    every = list(counts)
    return JobCounts(
        records=sum(one.records for one in every),
        input_tokens=sum(one.input_tokens for one in every),
        output_tokens=sum(one.output_tokens for one in every),
    )


def _counts(body: bytes) -> JobCounts | None:
    """Return a manifest's counts; None if the body is not a manifest. A processed record is answered or refused."""
    try:
        manifest = json.loads(body)
    except ValueError:
        return None
    if not isinstance(manifest, Mapping):
        return None
    records = _number(manifest, "successRecordCount") + _number(manifest, "errorRecordCount")
    return JobCounts(records, _number(manifest, "inputTokenCount"), _number(manifest, "outputTokenCount"))


def _number(manifest: Mapping[str, Any], name: str) -> int:
    value = manifest.get(name)
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0

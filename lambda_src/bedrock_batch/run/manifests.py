"""What Bedrock itself counted for each job: `manifest.json.out` beside the output. It may be missing."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bedrock_batch import keys
from bedrock_batch.aws.s3 import S3, Object
from bedrock_batch.contracts.lines import JobCounts

_NAME = "/manifest.json.out"
_READS = 16
"""At the same time; the clients keep 32 connections."""


def read_all(s3: S3, bucket: str, run_id: str) -> dict[str, JobCounts]:
    """Return the counts of each of a run's jobs that has a manifest, by the job's name."""
    folder = keys.raw_prefix(run_id, "").rstrip("/") + "/"
    items = [item for item in s3.list(bucket, folder) if item.key.endswith(_NAME)]

    def read(item: Object) -> tuple[str, JobCounts | None]:
        return item.key.removeprefix(folder).partition("/")[0], _counts(s3.read(bucket, item.key))

    with ThreadPoolExecutor(_READS) as pool:
        return {name: counts for name, counts in pool.map(read, items) if counts is not None}


def _counts(body: bytes) -> JobCounts | None:
    """Return a manifest's counts; None for what is none. What is processed is answered or refused."""
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

"""The table of a run, and what becomes of it while the run goes on."""

import json
from collections.abc import Iterable
from threading import Event
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.batch import Batch
from tests.soak.schedules import Schedule


def lose_source(batch: Batch, schedule: Schedule, run_id: str, over: Event) -> None:
    """Overwrite, delete or archive the run's table once jobs are planned, or records that are answered on demand.

    If the run is over by then, nothing happens.
    """
    loss, prefix = schedule.source_loss, f"runs/{run_id}/"
    if loss is None:
        return
    while not (batch.keys(f"{prefix}jobs-0") or batch.keys(f"{prefix}answers-0")):
        if over.wait(0.1):
            return
    if over.wait(loss.seconds):
        return
    item = {"Bucket": batch.bucket, "Key": source_key(run_id)}
    if loss.how == "deleted":
        batch.s3.delete_object(**item)
        return
    rows = schedule.table()
    if loss.how == "overwritten":
        batch.s3.put_object(**item, Body=lines_of([{**row, schedule.column: "another text"} for row in rows]))
        return
    batch.s3.put_object(**item, Body=lines_of(rows), StorageClass="GLACIER")
    with pytest.raises(ClientError, match="InvalidObjectState"):
        batch.s3.get_object(**item)


def source_key(run_id: str) -> str:
    """Return where a run's table lies."""
    return f"datasets/soak/{run_id}.jsonl"


def lines_of(rows: Iterable[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()

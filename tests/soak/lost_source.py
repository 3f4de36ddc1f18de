"""The table of a run, and its loss while the run goes on."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from threading import Event
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from tests.e2e.batch import Batch
from tests.soak.schedules import Schedule


def lose_source(batch: Batch, schedule: Schedule, run_id: str, over: Event) -> None:
    """Overwrite, delete or archive the run's table once jobs or on-demand answers are planned.

    If the run is over by then, nothing happens.
    """
    loss, prefix = schedule.source_loss, f"{batch.root}/work/{run_id}/"
    if loss is None:
        return
    while not (batch.keys(f"{prefix}jobs-0") or batch.keys(f"{prefix}answers-0")):
        if over.wait(0.1):
            return
    if over.wait(loss.seconds):
        return
    changed = [{**row, schedule.column: "another text"} for row in schedule.table()]
    for key, body in source_files(schedule, run_id, changed if loss.how == "overwritten" else schedule.table()).items():
        item = {"Bucket": batch.bucket, "Key": key}
        if loss.how == "deleted":
            batch.s3.delete_object(**item)
        elif loss.how == "overwritten":
            batch.s3.put_object(**item, Body=body)
        else:
            batch.s3.put_object(**item, Body=body, StorageClass="GLACIER")
            with pytest.raises(ClientError, match="InvalidObjectState"):
                batch.s3.get_object(**item)


def source_uri(schedule: Schedule, bucket: str, run_id: str) -> str:
    """Return the URI of a run's table."""
    return f"s3://{bucket}/datasets/soak/{run_id}" + (".jsonl" if schedule.form == "jsonl" else "/")


def source_files(schedule: Schedule, run_id: str, rows: Sequence[dict[str, Any]]) -> dict[str, bytes]:
    """Return the files of a table with these rows, by their keys."""
    folder, half = f"datasets/soak/{run_id}", len(rows) // 2
    if schedule.form == "jsonl":
        return {f"{folder}.jsonl": _jsonl(rows)}
    first, second = rows[:half], [dict(reversed(row.items())) for row in rows[half:]]
    if schedule.form == "folders":
        halves = [[{name: row[name] for name in row if name != "half"} for row in some] for some in (first, second)]
        return {f"{folder}/half={number}/t.jsonl": _jsonl(some) for number, some in enumerate(halves)}
    write = _csv if schedule.form == "csv" else _parquet
    return {f"{folder}/0.{schedule.form}": write(first), f"{folder}/1.{schedule.form}": write(second)}


def _jsonl(rows: Iterable[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _csv(rows: Sequence[dict[str, Any]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]), quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def _parquet(rows: Sequence[dict[str, Any]]) -> bytes:
    """Write texts with another type in each file: plain texts in the first, large ones in the second."""
    kind = pa.string() if next(iter(rows[0])) == "id" else pa.large_string()
    out = io.BytesIO()
    pq.write_table(pa.table({name: pa.array([row[name] for row in rows], kind) for name in rows[0]}), out)
    return out.getvalue()

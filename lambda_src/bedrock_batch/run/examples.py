"""The `examples` of the report, for a run that asks for them: the first record as it was sent, and some rows.

Texts of rows or prompts are in no other part of a report.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.run import Run
from bedrock_batch.run import first_record

_MOST_FILES = 50
"""Most shards to read for each model."""

_MOST_ROWS = 3
"""Most rows of each outcome."""

_MOST_TEXT = 2_000
"""Most characters of a text in the record."""


def of_run(s3: S3, runs: Sequence[Run]) -> dict[str, Any]:
    """Return a record and some rows of each model, by model where there are several."""
    found = [_of_model(s3, run) for run in runs]
    return dict(zip(runs[0].models, found, strict=True)) if runs[0].models else found[0]


def _of_model(s3: S3, run: Run) -> dict[str, Any]:
    record = next(_records(s3, run), None)
    seen: dict[str, int] = {}
    rows = []
    for row in _rows(s3, run):
        if seen.get(row["outcome"], 0) < _MOST_ROWS:
            seen[row["outcome"]] = seen.get(row["outcome"], 0) + 1
            rows.append(row)
    return {"first_record": record, "rows": rows}


def _records(s3: S3, run: Run) -> Iterator[dict[str, Any]]:
    """Yield the first record of each of a model's shards that has one."""
    keys = {item.key for item in s3.list(run.bucket, run.keys.input_folder)}
    for shard in run.numbers:
        if run.input_key(shard) in keys:
            yield first_record.read(s3, run, shard, most_text=_MOST_TEXT)


def _rows(s3: S3, run: Run) -> Iterator[dict[str, Any]]:
    keys = {item.key for item in s3.list(run.bucket, run.keys.examples_folder)}
    wanted = (run.keys.examples(shard) for shard in run.numbers)
    for key in islice((key for key in wanted if key in keys), _MOST_FILES):
        yield from s3.get_json(run.bucket, key)

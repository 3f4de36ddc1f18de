"""The `first_record` of a dry run's report: for each model the first record, as it would be sent.

It is never logged.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.run import Run
from bedrock_batch.run import estimate

_MOST_TEXT = 20_000
"""Most characters of a text in the report. A prompt is shown whole; media and very long cells are cut."""


def of_each(s3: S3, runs: Sequence[Run], prepared: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a record for each model. `prepared` are the results of the children of Prepare shards."""
    shards = estimate.prepared_shards(prepared)
    records = []
    for run in runs:
        first = min(one.shard for one in estimate.of_model(run, shards) if one.records)
        records.append(read(s3, run, first, most_text=_MOST_TEXT))
    return records


def read(s3: S3, run: Run, shard: int, *, most_text: int) -> dict[str, Any]:
    """Return the first record of a shard that has one; its texts have `most_text` characters at most."""
    record: dict[str, Any] = shortened(json.loads(next(s3.raw_lines(run.bucket, run.input_key(shard)))), most_text)
    return record


def shortened(value: Any, most: int) -> Any:
    """Return a JSON value whose texts have `most` characters at most; of others it says how long they are."""
    if isinstance(value, dict):
        return {key: shortened(member, most) for key, member in value.items()}
    if isinstance(value, list):
        return [shortened(member, most) for member in value]
    if isinstance(value, str) and len(value) > most:
        return f"{value[:most]}… ({len(value)} characters)"
    return value

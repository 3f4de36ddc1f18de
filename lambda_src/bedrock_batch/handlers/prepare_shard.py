"""Prepare shard: render one shard's rows to the JSONL that Bedrock reads."""

import json
import logging
from typing import Any

from bedrock_batch import ids
from bedrock_batch.adapters import clients, sources
from bedrock_batch.adapters.s3 import S3
from bedrock_batch.contracts import Prepared, Run, Shard, Table
from bedrock_batch.errors import TooLarge
from bedrock_batch.render import Renderer, Skipped

_LOG = logging.getLogger(__name__)
_LOG.setLevel(logging.INFO)

_BYTES_PER_TOKEN = 4


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return `contracts.Prepared`; the event is a line of `plan.jsonl`."""
    return prepare_shard(S3(clients.s3()), Shard.from_json(event)).to_json()


def prepare_shard(s3: S3, shard: Shard) -> Prepared:
    """Write the shard's `input/` file and, where rows were refused, its `skipped/` file; both only if not empty.

    The estimate of input tokens is the rendered text (prompt and cells, as escaped, without JSON structure) at
    four bytes a token. Raises TooLarge when the file passes the model's quota, and what reading raises.
    Doing it twice writes the same bytes.
    """
    run = Run.from_json(s3.get_json(shard.bucket, shard.run_key))
    schema = sources.table_schema(Table.from_json(run.table))
    renderer = Renderer(run.request, schema, shard=shard.shard, nulls=run.nulls, first_row=shard.first_row)
    skipped: list[Skipped] = []
    rows = records = text_bytes = 0
    most = run.quotas["max_file_bytes"]
    with s3.writer(shard.bucket, ids.input_key(run.run_id, shard.shard), empty=False) as out:
        for batch in sources.read_shard(s3, run, shard, columns=renderer.columns):
            rendered = renderer.render(batch, rows)
            rows += batch.num_rows
            records += rendered.records
            text_bytes += rendered.text_bytes
            skipped += rendered.skipped
            out.write(rendered.data)
            if out.size > most:
                raise TooLarge(
                    f"Shard {shard.shard} ({shard.rows} rows from row {shard.first_row + 1}) renders to more than "
                    f"the {most / 1e6:.0f} MB that a file may have. Lower max_records_per_job."
                )
    skipped_key = None
    if skipped:
        skipped_key = ids.skipped_key(run.run_id, shard.shard)
        s3.put_lines(shard.bucket, skipped_key, (skip.to_json() for skip in skipped))
    prepared = Prepared(
        shard=shard.shard,
        rows=rows,
        records=records,
        skipped=len(skipped),
        bytes=out.size,
        input_tokens_estimate=-(-text_bytes // _BYTES_PER_TOKEN),
        skipped_key=skipped_key,
    )
    _LOG.info(json.dumps({"message": "prepared", "run_id": run.run_id, **prepared.to_json()}))
    return prepared

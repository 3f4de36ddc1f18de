"""Prepare shard: render one shard's rows to the JSONL that Bedrock reads."""

import json
import logging
from typing import Any

from bedrock_batch import keys
from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import Prepared, Shard
from bedrock_batch.contracts.run import Run, Table
from bedrock_batch.errors import TooLarge
from bedrock_batch.handlers.edge import at_edge
from bedrock_batch.records import media
from bedrock_batch.records.media_attach import Attacher
from bedrock_batch.records.ready_made import renderer as renderer_of
from bedrock_batch.records.render import Skipped
from bedrock_batch.table import read
from bedrock_batch.table.schemas import unpacked

_LOG = logging.getLogger(__name__)
_LOG.setLevel(logging.INFO)

_BYTES_PER_TOKEN = 4


@at_edge
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return `Prepared`; the event is a line of `plan.jsonl`."""
    return prepare_shard(S3(clients.s3()), Shard.from_json(event)).to_json()


def prepare_shard(s3: S3, shard: Shard) -> Prepared:
    """Write the shard's `input/` file and, where rows were refused, its `skipped/` file; both only if not empty.

    The estimate of input tokens is the rendered text (prompt and cells, as escaped, without JSON structure) at
    four bytes a token; media count as the run input says. Objects that records refer to are copied beside the
    file. Raises TooLarge when the file or all of it passes the model's quota, and what reading raises. Doing it twice
    writes the same bytes.
    """
    run = Run.from_json(s3.get_json(shard.bucket, shard.run_key))
    table = Table.from_json(run.table)
    schema = unpacked(table.schema)
    input_key = run.input_key(shard.shard)
    attacher = None
    if run.media:
        schema = media.extended(schema, run.media)
        attacher = Attacher(s3, run, input_key, first_row=shard.first_row)
    most = run.quotas["max_file_bytes"]
    renderer = renderer_of(
        table,
        run.request,
        schema,
        shard=shard.shard,
        nulls=run.nulls,
        first_row=shard.first_row,
        most_bytes=most,
    )
    skipped: list[Skipped] = []
    rows = records = text_bytes = blank = 0
    with s3.writer(shard.bucket, input_key, empty=False) as out:
        columns = attacher.columns(renderer.columns) if attacher else renderer.columns
        # What the join will read of them must not fail there, when all is paid.
        kept = set(run.output.get("columns") or schema.names)
        columns = [*columns, *kept.intersection(read.declared_columns(table))]
        batches = read.read_shard(s3, run, shard, columns=columns)
        for batch in attacher.attach(batches) if attacher else batches:
            rendered = renderer.render(batch, rows)
            rows += batch.num_rows
            records += rendered.records
            text_bytes += rendered.text_bytes
            blank += rendered.blank
            skipped += rendered.skipped
            out.write(rendered.data)
            if out.size > most:
                raise TooLarge(
                    f"Shard {shard.shard} ({shard.rows} rows from row {shard.first_row + 1}) renders to more than "
                    f"the {most / 1e6:.0f} MB that a file may have. Lower max_records_per_job."
                )
        if attacher and out.size + attacher.object_bytes > run.quotas["max_job_bytes"]:
            raise TooLarge(
                f"Shard {shard.shard} ({shard.rows} rows from row {shard.first_row + 1}) refers to more than the "
                f"{run.quotas['max_job_bytes'] / 1e9:.0f} GB that a job may have. Raise media.average_bytes."
            )
    tokens = -(-text_bytes // _BYTES_PER_TOKEN)
    if attacher and run.media:
        skipped = attacher.explained(skipped)
        tokens = max(0, text_bytes - attacher.text_bytes) // _BYTES_PER_TOKEN + attacher.items * run.media["tokens"]
    skipped_key = None
    if skipped:
        skipped_key = keys.skipped_key(run.run_id, shard.shard)
        s3.put_lines(shard.bucket, skipped_key, (skip.to_json(shard.first_row) for skip in skipped))
    prepared = Prepared(
        shard=shard.shard,
        rows=rows,
        records=records,
        skipped=len(skipped),
        bytes=out.size,
        input_tokens_estimate=tokens,
        skipped_key=skipped_key,
        blank=blank,
    )
    _LOG.info(json.dumps({"message": "prepared", "run_id": run.run_id, **prepared.to_json()}))
    return prepared

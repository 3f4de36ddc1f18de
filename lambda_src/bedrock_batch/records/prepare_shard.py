"""Write the records of a shard: what Bedrock reads, and which rows are not sent."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from bedrock_batch import keys
from bedrock_batch.aws.s3 import S3
from bedrock_batch.aws.s3_upload import Writer
from bedrock_batch.contracts.lines import Prepared, Shard
from bedrock_batch.contracts.run import Run, Table
from bedrock_batch.errors import TooLarge
from bedrock_batch.records import media
from bedrock_batch.records.body_check import BodyCheck
from bedrock_batch.records.media_attach import Attacher
from bedrock_batch.records.ready_made import Renders
from bedrock_batch.records.ready_made import renderer as renderer_of
from bedrock_batch.records.render import Skipped
from bedrock_batch.table import read
from bedrock_batch.table.schemas import unpacked

_LOG = logging.getLogger(__name__)
_LOG.setLevel(logging.INFO)

_BYTES_PER_TOKEN = 4


@dataclass(slots=True)
class _Written:
    """What was written of a shard so far; `text_bytes` and `blank` are those of `Rendered`."""

    rows: int = 0
    records: int = 0
    text_bytes: int = 0
    blank: int = 0
    skipped: list[Skipped] = field(default_factory=list)


def prepare_shard(s3: S3, shard: Shard) -> Prepared:
    """Write the shard's `input/` file and, where rows were refused, its `skipped/` file; both only if not empty.

    Objects that records refer to are copied beside the file. Raises TooLarge when the file, or the file with all its
    objects, passes the model's quota, and raises what reading raises. Doing it twice writes the same bytes.
    """
    run = Run.from_json(s3.get_json(shard.bucket, shard.run_key))
    input_key = run.input_key(shard.shard)
    attacher = Attacher(s3, run, input_key, first_row=shard.first_row) if run.media else None
    with s3.writer(shard.bucket, input_key, empty=False) as out:
        written = _write(s3, run, shard, attacher, out)
        if attacher:
            _check_objects(run, shard, out.size + attacher.object_bytes)
    skipped = attacher.explained(written.skipped) if attacher else written.skipped
    skipped_key = None
    if skipped:
        skipped_key = keys.skipped_key(run.run_id, shard.shard)
        s3.put_lines(shard.bucket, skipped_key, (skip.to_json(shard.first_row) for skip in skipped))
    prepared = Prepared(
        shard=shard.shard,
        rows=written.rows,
        records=written.records,
        skipped=len(skipped),
        bytes=out.size,
        input_tokens_estimate=_tokens(run, written.text_bytes, attacher),
        skipped_key=skipped_key,
        blank=written.blank,
    )
    _LOG.info(json.dumps({"message": "prepared", "run_id": run.run_id, **prepared.to_json()}))
    return prepared


def _write(s3: S3, run: Run, shard: Shard, attacher: Attacher | None, out: Writer) -> _Written:
    """Render the shard's rows into `out`. Raises TooLarge when that passes what a file may have."""
    table = Table.from_json(run.table)
    schema = unpacked(table.schema)
    most = run.quotas["max_file_bytes"]
    renderer = renderer_of(
        table,
        run.request,
        media.extended(schema, run.media) if run.media else schema,
        shard=shard.shard,
        nulls=run.nulls,
        first_row=shard.first_row,
        most_bytes=most,
        check=BodyCheck.of(run),
    )
    written = _Written()
    for batch in _batches(s3, run, shard, renderer, attacher):
        rendered = renderer.render(batch, written.rows)
        written.rows += batch.num_rows
        written.records += rendered.records
        written.text_bytes += rendered.text_bytes
        written.blank += rendered.blank
        written.skipped += rendered.skipped
        out.write(rendered.data)
        if out.size > most:
            raise TooLarge(
                f"{_named(shard)} renders to more than the {most / 1e6:.0f} MB that a file may have. "
                "Lower max_records_per_job."
            )
    return written


def _batches(s3: S3, run: Run, shard: Shard, renderer: Renders, attacher: Attacher | None) -> Iterator[pa.RecordBatch]:
    """Return the shard's rows with the columns for the records, and those whose cells the join will check."""
    columns = attacher.columns(renderer.columns) if attacher else renderer.columns
    # What the join will read of the declared columns must not fail there, when all is paid.
    declared = read.declared_columns(Table.from_json(run.table))
    kept = run.output.get("columns") or declared
    columns = [*columns, *(name for name in declared if name in kept)]
    batches = read.read_shard(s3, run, shard, columns=columns)
    return attacher.attach(batches) if attacher else batches


def _check_objects(run: Run, shard: Shard, job_bytes: int) -> None:
    """Raise TooLarge when the file and the objects that it refers to pass what a job may have."""
    most = run.quotas["max_job_bytes"]
    if job_bytes > most:
        raise TooLarge(
            f"{_named(shard)} refers to more than the {most / 1e9:.0f} GB that a job may have. "
            "Raise media.average_bytes."
        )


def _tokens(run: Run, text_bytes: int, attacher: Attacher | None) -> int:
    """Return the estimate of input tokens: text at four bytes a token; media count as the run input says.

    The text is the rendered one (prompt and cells, as escaped, without JSON structure).
    """
    if attacher and run.media:
        return max(0, text_bytes - attacher.text_bytes) // _BYTES_PER_TOKEN + attacher.items * int(run.media["tokens"])
    return -(-text_bytes // _BYTES_PER_TOKEN)


def _named(shard: Shard) -> str:
    return f"Shard {shard.shard} ({shard.rows} rows from row {shard.first_row + 1})"

"""Prepare a shard of the table: the records that Bedrock reads, the rows that are not sent, and the shard's frame.

The source is read once. The same pass writes the rows into the frame and makes the records of every distinct body.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import numpy as np
import pyarrow as pa

from bedrock_batch.aws.run_documents import read_runs
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import PlannedShard
from bedrock_batch.contracts.results import Prepared, PreparedShard
from bedrock_batch.contracts.run import Run
from bedrock_batch.errors import TooLarge, naming
from bedrock_batch.records import media
from bedrock_batch.records.body_check import BodyCheck
from bedrock_batch.records.media_attach import Attacher
from bedrock_batch.records.ready_made import renderer as renderer_of
from bedrock_batch.records.render import Skipped
from bedrock_batch.table import frame, read
from bedrock_batch.table.schemas import unpacked

_LOG = logging.getLogger(__name__)

_BYTES_PER_TOKEN = 4

_RENDERED_BYTES = 32 << 20
"""Bytes of records to make at a time."""


def prepare_shard(s3: S3, shard: PlannedShard) -> PreparedShard:
    """Write the shard's frame, and for each body an `input/` file and, if rows were refused, a `skipped/` file.

    An empty `input/` file is not written. Objects that records refer to are copied beside the `input/` file. A second
    call writes the same bytes.

    Raises:
        TooLarge: a file, or a file with all its objects, is larger than the model's quota.
        InputError: the source cannot be read, or a column of the output cannot be written.
    """
    runs = read_runs(s3, shard.bucket, shard.run_key)
    first = runs[0]
    kept = frame.schema_of(first)
    with ExitStack() as stack:
        attacher = None
        bodies: list[_Body] = []
        for run in (one for one in runs if one.rendered_as == one.number):
            if run.media and (run.own_folders or attacher is None):
                attacher = Attacher(s3, run, run.input_key(_number(run, shard)), first_row=shard.first_row)
            bodies.append(_Body(s3, run, shard, attacher))
            stack.enter_context(bodies[-1].out)
        columns = {*kept.names, *(name for body in bodies for name in body.columns)}
        rows = _rendered(read.read_shard(s3, first, shard, columns=list(columns)), bodies)
        with s3.writer(first.bucket, first.frame_key(shard.shard)) as out:
            frame.write_frame(rows, kept, out, form=first.output["format"], first_row=shard.first_row)
        for body in bodies:
            body.check_objects()
    prepared = PreparedShard(shard.shard, out.size, [body.prepared() for body in bodies])
    _LOG.info("prepared", extra={"run_id": first.run_id, **prepared.to_json()})
    return prepared


def _rendered(batches: Iterator[pa.RecordBatch], bodies: Sequence["_Body"]) -> Iterator[pa.RecordBatch]:
    """Write the records of each batch, then yield the batch."""
    attached: dict[Attacher | None, list[_Body]] = {}
    for body in bodies:
        attached.setdefault(body.attacher, []).append(body)
    row = 0
    for batch in batches:
        for attacher, sharing in attached.items():
            at = row
            for rows in attacher.attach(batch, row) if attacher else [batch]:
                for body in sharing:
                    body.write(rows, at)
                at += rows.num_rows
        row += batch.num_rows
        yield batch


def _number(run: Run, shard: PlannedShard) -> int:
    """Return the shard's number among the model's shards."""
    return run.numbers.start + shard.shard


def _not_ascii(data: bytes) -> int:
    """Return the number of bytes outside ASCII."""
    return 0 if data.isascii() else int(np.count_nonzero(np.frombuffer(data, np.uint8) > 127))


class _Body:
    """Writes the records of one body for a shard into `out`."""

    def __init__(self, s3: S3, run: Run, shard: PlannedShard, attacher: Attacher | None) -> None:
        self.attacher = attacher
        self._s3, self._run, self._shard = s3, run, shard
        self._number = _number(run, shard)
        schema = unpacked(run.table.schema)
        self._renderer = renderer_of(
            run.table,
            run.request,
            media.extended(schema, run.media) if run.media else schema,
            shard=self._number,
            nulls=run.nulls,
            first_row=shard.first_row,
            most_bytes=run.quotas["max_file_bytes"],
            check=BodyCheck.of(run),
        )
        wanted = self._renderer.columns
        self.columns = attacher.columns(wanted, schema) if attacher else wanted
        self.out = s3.writer(run.bucket, run.input_key(self._number), empty=False)
        self._rows = self._records = self._text_bytes = self._blank = 0
        self._skipped: list[Skipped] = []

    def write(self, batch: pa.RecordBatch, row: int) -> None:
        """Write the records of a batch. `row` is the first row's number in the shard. Raises TooLarge."""
        most = self._run.quotas["max_file_bytes"]
        cell_bytes = batch.nbytes // max(1, batch.num_rows)
        record_bytes = self._renderer.structure_bytes + self._renderer.repeats * cell_bytes
        step = max(1, _RENDERED_BYTES // record_bytes)
        for start in range(0, batch.num_rows, step):
            rendered = self._renderer.render(batch.slice(start, step), row + start)
            self._records += rendered.records
            self._text_bytes += rendered.text_bytes + _not_ascii(rendered.data)
            self._blank += rendered.blank
            self._skipped += rendered.skipped
            self.out.write(rendered.data)
            if self.out.size > most:
                self._refuse(
                    f"makes records of more than the {most / 1e6:.0f} MB that a file may have. Lower "
                    "max_records_per_job."
                )
        self._rows += batch.num_rows

    def check_objects(self) -> None:
        """Raise TooLarge if the file and the objects that it refers to are larger than a job may be."""
        if self.attacher is None:
            return
        most = self._run.quotas["max_job_bytes"]
        if self.out.size + self.attacher.object_bytes > most:
            self._refuse(f"refers to more than the {most / 1e9:.0f} GB that a job may have. Raise media.average_bytes.")

    def _refuse(self, what: str) -> None:
        with naming(self._run.label):
            rows = f"{self._shard.rows} rows from row {self._shard.first_row + 1}"
            raise TooLarge(f"Shard {self._shard.shard} ({rows}) {what}")

    def prepared(self) -> Prepared:
        """Write the skipped rows, if there are any, and return the counts."""
        skipped = self.attacher.explained(self._skipped) if self.attacher else self._skipped
        key = self._run.keys.skipped(self._number) if skipped else None
        if key:
            self._s3.put_lines(self._run.bucket, key, (skip.to_json(self._shard.first_row) for skip in skipped))
        return Prepared(
            shard=self._number,
            rows=self._rows,
            records=self._records,
            skipped=len(skipped),
            bytes=self.out.size,
            input_tokens_estimate=self._tokens(),
            skipped_key=key,
            blank=self._blank,
        )

    def _tokens(self) -> int:
        """Return the estimated input tokens: one for every four bytes of text, and for media as the run input says.

        Bytes outside ASCII count twice: a letter of most other scripts is two or three bytes, and often a token.
        The text is the prompt and the cells, with JSON escapes and without JSON structure.
        """
        if self.attacher and self._run.media:
            text = max(0, self._text_bytes - self.attacher.text_bytes)
            return text // _BYTES_PER_TOKEN + self.attacher.items * int(self._run.media["tokens"])
        return -(-self._text_bytes // _BYTES_PER_TOKEN)

"""The frame of a shard: the columns that the output keeps, written as Parquet while the shard is prepared.

The join reads the frame, never the source. So a cell that cannot be read, or cannot be written in the output's format,
is found before the first job, and later changes of the source do no harm.
"""

from collections.abc import Iterable, Iterator
from functools import partial

import pyarrow as pa
import pyarrow.types as pt

from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import Piece, Shard
from bedrock_batch.contracts.run import Run, Source
from bedrock_batch.errors import ROWS_COUNT, InputChanged, InvalidRunInput, MalformedInput
from bedrock_batch.table import batch_bytes, plain_types, schemas, write, write_parquet
from bedrock_batch.table.parquet_format import ParquetReader, fetch_from
from bedrock_batch.table.schemas import Selection
from bedrock_batch.table.write_text import Sink

_REFUSALS = (pa.ArrowException, ValueError, TypeError, OverflowError)
"""What Arrow and the JSON library raise for a value that they cannot write."""


class _Nowhere:
    """A sink that discards what is written."""

    def write(self, data: bytes, /) -> int:
        return len(data)


_NOWHERE = _Nowhere()


def schema_of(run: Run) -> pa.Schema:
    """Return the schema of the columns that the run's output keeps."""
    return schemas.kept(schemas.unpacked(run.table.schema), run.output.get("columns"))


def check(schema: pa.Schema, form: str) -> None:
    """Raise InvalidRunInput, naming the column, for a type that the frame or the output's format cannot hold."""
    for field in schema:
        try:
            if batch_bytes.has(field.type, lambda kind: pt.is_list_view(kind) or pt.is_large_list_view(kind)):
                raise TypeError("Arrow casts and cuts list views wrongly.")
            write_parquet.write((), pa.schema([field]), _NOWHERE, unique=())
        except (pa.ArrowException, TypeError) as err:
            raise InvalidRunInput(
                f'The output cannot keep the column "{field.name}" of type {field.type}. Leave it out of '
                "output.columns, or write it with another type."
            ) from err
    if form != "parquet":
        plain_types.check(schema, form)


def write_frame(batches: Iterable[pa.RecordBatch], schema: pa.Schema, out: Sink, *, form: str, first_row: int) -> None:
    """Write the columns of `schema` as Parquet. If the output's format `form` is another, try that too and discard it.

    `first_row` is the table's row (from 0) of the first row, for messages.

    Raises:
        MalformedInput: a cell cannot be written; the message names its row and column.
    """
    tried: list[tuple[int, pa.RecordBatch]] = []
    try:
        write_parquet.write(_tried(batches, schema, form, first_row, tried), schema, out, unique=(), statistics=False)
    except _REFUSALS as err:
        raise _refusal(tried, form) or err from err


def _tried(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, form: str, row: int, tried: list[tuple[int, pa.RecordBatch]]
) -> Iterator[pa.RecordBatch]:
    """Yield the kept columns. `tried` collects the batches that may not be written yet, each with its first row."""
    size = 0
    for batch in batches:
        if size >= write_parquet.ROW_GROUP_BYTES:
            tried.clear()
            size = 0
        kept = pa.RecordBatch.from_arrays([batch.column(name) for name in schema.names], schema=schema)
        tried.append((row, kept))
        size += kept.nbytes
        row += kept.num_rows
        if form != "parquet":
            _try(kept, form)
        yield kept


def _try(batch: pa.RecordBatch, form: str) -> None:
    write.write([batch], batch.schema, _NOWHERE, form=form)


def _refusal(tried: Iterable[tuple[int, pa.RecordBatch]], form: str) -> MalformedInput | None:
    """Return the error for the first cell that cannot be written, without its content; None if there is none."""
    for row, batch in tried:
        for name in batch.schema.names:
            for one in dict.fromkeys(("parquet", form)):
                index = _first_refused(batch.select([name]), one)
                if index is not None:
                    cell = f'Row {row + index + 1} of the table, column "{name}",'
                    return MalformedInput(
                        f"{cell} cannot be written as {one} {ROWS_COUNT}.",
                        advice="Correct the cell, or leave the column out of output.columns.",
                    )
    return None


def _first_refused(cells: pa.RecordBatch, form: str) -> int | None:
    """Return the index of the first row that cannot be written, by bisection."""
    low, high = 0, cells.num_rows + 1
    while high - low > 1:
        middle = (low + high) // 2 if high <= cells.num_rows else cells.num_rows
        try:
            _try(cells.slice(low, middle - low), form)
            low = middle
        except _REFUSALS:
            high = middle
    return low if low < cells.num_rows else None


def read_frame(s3: S3, run: Run, shard: Shard) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a shard in the types of the table, in batches of some MB.

    Raises:
        InputNotFound: the frame is gone.
        InputChanged: the frame is not the one that was prepared.
    """
    item = s3.head(run.bucket, run.frame_key(shard.shard))
    source = Source(item.bucket, item.key, item.etag, item.size, shard.rows)
    reader = ParquetReader(partial(fetch_from, s3))
    schema = schema_of(run)
    found = 0
    for batch in reader.read(source, Piece(0, 0, shard.rows, shard.rows), Selection(schema, schema), row=1):
        found += batch.num_rows
        yield batch
    if found != shard.rows:
        raise InputChanged(f"{source.uri} has {found} rows, not {shard.rows}: it is not the file that was prepared.")

"""Write the output table as CSV or JSON lines. Some MB of rows become text at a time."""

import io
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import orjson
import pyarrow as pa
import pyarrow.csv

from bedrock_batch.table import batch_bytes
from bedrock_batch.table.plain_types import json_cells, to_plain, to_text

_SLICE_BYTES = 2 << 20
"""Decoded bytes of a slice. The text of vectors is three times as large, and memory holds several copies of it."""


class Sink(Protocol):
    """Receives bytes: an open file or the S3 writer."""

    def write(self, data: bytes, /) -> int: ...


class File(io.RawIOBase):
    """A sink as the file object that Arrow expects. Closing it leaves the sink open."""

    def __init__(self, out: Sink) -> None:
        self._out = out

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        return self._out.write(bytes(data))  # bytes() copies a buffer: Arrow overwrites its CSV buffer later.


def write_csv(batches: Iterable[pa.RecordBatch], schema: pa.Schema, out: Sink) -> None:
    """Write batches as CSV in UTF-8: a header, lines that end in LF, text in quotes, nulls empty without quotes.

    So a reader can distinguish an empty text (`""`) from a null. Nested cells are JSON text.
    """
    header = pa.schema([(field.name, to_text(to_plain(pa.nulls(0, field.type))).type) for field in schema])
    with pa.csv.CSVWriter(File(out), header) as writer:
        for part in _slices(batches):
            writer.write_batch(pa.record_batch([to_text(to_plain(column)) for column in part.columns], header))


def write_jsonl(batches: Iterable[pa.RecordBatch], schema: pa.Schema, out: Sink) -> None:
    """Write batches as JSON lines: one object for each row, with every column in order. Nested cells stay nested."""
    keys = (orjson.dumps(name).replace(b"%", b"%%") + b":%s" for name in schema.names)
    line = b"{" + b",".join(keys) + b"}\n"
    for part in _slices(batches):
        columns = [json_cells(to_plain(column)) for column in part.columns]
        out.write(b"".join([line % row for row in zip(*columns, strict=True)]))


def _slices(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield from batch_bytes.cut(batch, _SLICE_BYTES)

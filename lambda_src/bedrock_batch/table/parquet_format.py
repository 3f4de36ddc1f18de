"""Parquet: its footer at planning time, and a range of its rows as Arrow, wherever its bytes are fetched from."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bedrock_batch.contracts.lines import Piece
from bedrock_batch.contracts.run import Source
from bedrock_batch.errors import MalformedInput
from bedrock_batch.table import schemas
from bedrock_batch.table.layout import Layout
from bedrock_batch.table.scan_checkpoint import Found, Scan
from bedrock_batch.table.schemas import Selection

Fetch = Callable[[int, int], bytes]
"""Returns bytes [start, end) of the planned version of a file."""

_READ_BYTES = 8 << 20
_BATCH_BYTES = 8 << 20
_MOST_BATCH_ROWS = 2_048
"""A repeated long text takes little room in a file, and all of it in a batch: bytes alone are no bound."""


class ParquetReader:
    """Reads the Parquet files of a table; `fetch_of` returns what fetches the bytes of a file."""

    concurrent_files = 16
    """Footers are small: reading them is waiting."""

    def __init__(self, fetch_of: Callable[[Source], Fetch]) -> None:
        self._fetch_of = fetch_of

    def describe(self, scan: Scan) -> Found:
        """Read a file's footer: its schema, and the rows and plain bytes of its row groups up to the scan's limit."""
        file, limit = self._open(scan.file), scan.limit
        metadata = file.metadata
        groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
        rows_at = np.cumsum([0, *(group.num_rows for group in groups)], dtype=np.int64)
        bytes_at = np.cumsum([0, *(group.total_byte_size for group in groups)], dtype=np.int64)
        if limit is not None and limit < rows_at[-1]:
            end = int(np.interp(limit, rows_at, bytes_at))
            bytes_at = np.append(bytes_at[rows_at < limit], end)
            rows_at = np.append(rows_at[rows_at < limit], limit)
        return Found(scan.file, Layout(rows_at, bytes_at, "rows"), file.schema_arrow.remove_metadata())

    def schema(self, found: Sequence[Found], options: Mapping[str, Any]) -> tuple[pa.Schema, dict[str, Any]]:
        """Return the schema of all files; `Table` holds nothing more of the format."""
        return schemas.common([(one.file, one.schema) for one in found]), {}

    def read(self, source: Source, piece: Piece, selection: Selection, row: int) -> Iterator[pa.RecordBatch]:
        """Yield rows [piece.start, piece.end) of a file in batches of some 8 MB; other row groups are not read."""
        file = self._open(source)
        first = 0
        for index in range(file.num_row_groups):
            group = file.metadata.row_group(index)
            low, high = max(piece.start - first, 0), min(piece.end - first, group.num_rows)
            first += group.num_rows
            if low < high:
                try:
                    yield from _read_group(file, index, low, high, selection.columns)
                except (pa.ArrowException, OSError) as err:
                    raise MalformedInput(f"{source.uri}: row group {index} cannot be read: {err}") from err

    def _open(self, source: Source) -> pq.ParquetFile:
        file = pa.PythonFile(_RangeFile(self._fetch_of(source), source.size), mode="r")
        try:
            # In nanoseconds, times of Spark's old type (INT96) beyond the year 2262 would silently become others.
            return pq.ParquetFile(file, pre_buffer=False, buffer_size=_READ_BYTES, coerce_int96_timestamp_unit="us")
        except (pa.ArrowException, OSError) as err:
            raise MalformedInput(f"{source.uri} is not a readable Parquet file: {err}") from err


def _read_group(file: pq.ParquetFile, index: int, low: int, high: int, columns: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield rows [low, high) of a row group."""
    group = file.metadata.row_group(index)
    row_bytes = max(1, group.total_byte_size // group.num_rows)
    batch_rows = max(1, min(_MOST_BATCH_ROWS, _BATCH_BYTES // row_bytes))
    at = 0
    for batch in file.iter_batches(batch_rows, row_groups=[index], columns=columns.names, use_threads=False):
        start, stop = max(low - at, 0), min(high - at, batch.num_rows)
        at += batch.num_rows
        if start < stop:
            part = batch.slice(start, stop - start)
            yield pa.RecordBatch.from_arrays([part.column(field.name) for field in columns], schema=columns)
        if at >= high:
            return


class _RangeFile(io.RawIOBase):
    """Bytes that are fetched as they are wanted, as a file."""

    def __init__(self, fetch: Fetch, size: int) -> None:
        self._fetch = fetch
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def size(self) -> int:
        return self._size

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._at + size, self._size)
        data = self._fetch(self._at, end)
        self._at += len(data)
        return data

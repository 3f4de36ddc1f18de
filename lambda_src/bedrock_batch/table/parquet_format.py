"""Parquet: its footer at planning time, and a range of its rows as Arrow, wherever its bytes are fetched from."""

import io
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bedrock_batch.contracts.lines import Piece
from bedrock_batch.errors import MalformedInput
from bedrock_batch.table.layout import Layout

CONCURRENT_FILES = 16
"""Footers are small: reading them is waiting."""

Fetch = Callable[[int, int], bytes]
"""Returns bytes [start, end) of the planned version of a file."""

_READ_BYTES = 8 << 20
_BATCH_BYTES = 8 << 20
_MOST_BATCH_ROWS = 2_048
"""A repeated long text takes little room in a file, and all of it in a batch: bytes alone are no bound."""


def describe(fetch: Fetch, *, name: str, size: int, limit: int | None) -> tuple[pa.Schema, Layout]:
    """Read a file's footer: its schema, and the rows and plain bytes of its row groups up to `limit` rows."""
    file = _open(fetch, name, size)
    metadata = file.metadata
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    rows_at = np.cumsum([0, *(group.num_rows for group in groups)], dtype=np.int64)
    bytes_at = np.cumsum([0, *(group.total_byte_size for group in groups)], dtype=np.int64)
    if limit is not None and limit < rows_at[-1]:
        end = int(np.interp(limit, rows_at, bytes_at))
        bytes_at = np.append(bytes_at[rows_at < limit], end)
        rows_at = np.append(rows_at[rows_at < limit], limit)
    return file.schema_arrow.remove_metadata(), Layout(rows_at, bytes_at, "rows")


def read(
    fetch: Fetch, piece: Piece, *, name: str, size: int, schema: pa.Schema, columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Yield rows [piece.start, piece.end) of a file in batches of some 8 MB; other row groups are not read."""
    wanted = pa.schema([schema.field(name) for name in columns])
    file = _open(fetch, name, size)
    first = 0
    for index in range(file.num_row_groups):
        group = file.metadata.row_group(index)
        low, high = max(piece.start - first, 0), min(piece.end - first, group.num_rows)
        first += group.num_rows
        if low >= high:
            continue
        row_bytes = max(1, group.total_byte_size // group.num_rows)
        batch_rows = max(1, min(_MOST_BATCH_ROWS, _BATCH_BYTES // row_bytes))
        at = 0
        try:
            for batch in file.iter_batches(batch_rows, row_groups=[index], columns=list(columns), use_threads=False):
                start, stop = max(low - at, 0), min(high - at, batch.num_rows)
                at += batch.num_rows
                if start < stop:
                    part = batch.slice(start, stop - start)
                    yield pa.RecordBatch.from_arrays([part.column(field.name) for field in wanted], schema=wanted)
                if at >= high:
                    break
        except (pa.ArrowException, OSError) as err:
            raise MalformedInput(f"{name}: row group {index} cannot be read: {err}") from err


def _open(fetch: Fetch, name: str, size: int) -> pq.ParquetFile:
    file = pa.PythonFile(_RangeFile(fetch, size), mode="r")
    try:
        # In nanoseconds, times of Spark's old type (INT96) beyond the year 2262 would silently become others.
        return pq.ParquetFile(file, pre_buffer=False, buffer_size=_READ_BYTES, coerce_int96_timestamp_unit="us")
    except (pa.ArrowException, OSError) as err:
        raise MalformedInput(f"{name} is not a readable Parquet file: {err}") from err


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

"""Parquet: its footer at planning time, and a range of its rows as Arrow, wherever its bytes are fetched from."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bedrock_batch.contracts.lines import Piece
from bedrock_batch.contracts.run import Source
from bedrock_batch.errors import MalformedInput
from bedrock_batch.table import batch_bytes, schemas
from bedrock_batch.table.layout import Layout
from bedrock_batch.table.scan_checkpoint import Found, Scan
from bedrock_batch.table.schemas import Selection

Fetch = Callable[[int, int], bytes]
"""Returns bytes [start, end) of the planned version of a file."""

_READ_BYTES = 8 << 20
_BATCH_ROWS = 2_048

_STEP_ROWS = 64
"""Decoded at a time, and then put together: rows may be of very different sizes, and only decoding shows them."""

_FIXED_BYTES = 8
"""The least that a number takes up when it is decoded; most are smaller in a file."""


_REFUSALS = (pa.ArrowException, OSError)
"""What Arrow raises for a file that it cannot read. A damaged one may ask for any amount of memory."""


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
        return Found(scan.file, Layout(rows_at, bytes_at, "rows"), schemas.usual(file.schema_arrow))

    def schema(self, found: Sequence[Found], options: Mapping[str, Any]) -> tuple[pa.Schema, dict[str, Any]]:
        """Return the schema of all files; `Table` holds nothing more of the format."""
        return schemas.common([(one.file, one.schema) for one in found]), {}

    def read(self, source: Source, piece: Piece, selection: Selection, row: int) -> Iterator[pa.RecordBatch]:
        """Yield rows [piece.start, piece.end) of a file in batches of some 8 MB; other row groups are not read."""
        open_ = partial(self._open, source)
        file = open_()
        first = 0
        for index in range(file.num_row_groups):
            group = file.metadata.row_group(index)
            low, high = max(piece.start - first, 0), min(piece.end - first, group.num_rows)
            first += group.num_rows
            if low < high:
                try:
                    yield from _read_group(open_, file, index, low, high, selection.columns)
                except _REFUSALS as err:
                    what = _refused_column(open_, file, index, selection.columns)
                    raise MalformedInput(f"{source.uri}: {what}row group {index} cannot be read: {err}") from err

    def _open(self, source: Source, **options: Any) -> pq.ParquetFile:
        file = pa.PythonFile(_RangeFile(self._fetch_of(source), source.size), mode="r")
        try:
            # In nanoseconds, times of Spark's old type (INT96) beyond the year 2262 would silently become others.
            return pq.ParquetFile(
                file, pre_buffer=False, buffer_size=_READ_BYTES, coerce_int96_timestamp_unit="us", **options
            )
        except _REFUSALS as err:
            raise MalformedInput(f"{source.uri} is not a readable Parquet file: {err}") from err


def _read_group(
    open_: Callable[..., pq.ParquetFile], file: pq.ParquetFile, index: int, low: int, high: int, columns: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Yield rows [low, high) of a row group, in batches of `_BATCH_ROWS` or `batch_bytes.MOST_BYTES`."""
    held: list[pa.RecordBatch] = []
    rows = size = at = 0
    for batch in _decoded(open_, file, index, columns):
        start, stop = max(low - at, 0), min(high - at, batch.num_rows)
        at += batch.num_rows
        if start < stop:
            held.append(batch.slice(start, stop - start))
            rows, size = rows + stop - start, size + held[-1].nbytes
        if held and (rows >= _BATCH_ROWS or size >= batch_bytes.MOST_BYTES or at >= high):
            yield pa.concat_batches(held) if len(held) > 1 else held[0]
            held, rows, size = [], 0, 0
        if at >= high:
            return


def _decoded(
    open_: Callable[..., pq.ParquetFile], file: pq.ParquetFile, index: int, columns: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Yield a row group in the steps in which it is decoded, in the types of the table."""
    step = _step_rows(open_, file, index, columns.names)
    for batch in file.iter_batches(step, row_groups=[index], columns=columns.names, use_threads=False):
        # Cast before any slice is taken: Arrow casts slices of list views wrongly.
        cells = [_of_type(batch.column(field.name), field.type) for field in columns]
        yield pa.RecordBatch.from_arrays(cells, schema=columns)


def _of_type(cells: pa.Array, kind: pa.DataType) -> pa.Array:
    return cells if cells.type == kind else cells.cast(kind)


def _step_rows(open_: Callable[..., pq.ParquetFile], file: pq.ParquetFile, index: int, names: Sequence[str]) -> int:
    """Return how many rows of a row group to decode at a time.

    So few that they stay below `batch_bytes.MOST_BYTES` even if each has the longest text of a dictionary.
    """
    group = file.metadata.row_group(index)
    row_bytes = 0
    for number in range(group.num_columns):
        column = group.column(number)
        path = column.path_in_schema
        if column.num_values and any(path == name or path.startswith(f"{name}.") for name in names):
            cells = -(-column.num_values // group.num_rows)
            row_bytes += cells * max(_cell_bytes(open_, file, index, column), file.schema.column(number).length)
    return max(1, min(_STEP_ROWS, batch_bytes.MOST_BYTES // max(1, row_bytes)))


def _cell_bytes(
    open_: Callable[..., pq.ParquetFile], file: pq.ParquetFile, index: int, column: pq.ColumnChunkMetaData
) -> int:
    """Return how large a cell of a column in a row group may be: with a dictionary the largest, else on average."""
    average = int(column.total_uncompressed_size // column.num_values)
    if column.physical_type != "BYTE_ARRAY":
        return max(_FIXED_BYTES, average)
    if not column.has_dictionary_page:
        return average
    path = column.path_in_schema
    probe = open_(metadata=file.metadata, read_dictionary=[path])
    first = next(probe.iter_batches(1, row_groups=[index], columns=[path], use_threads=False))
    return max(average, *map(_longest, first.columns))


def _longest(column: pa.Array) -> int:
    """Return the length of the longest text in the dictionary of a column, wherever in its type that is."""
    if isinstance(column, pa.ExtensionArray):
        return _longest(column.storage)
    if pa.types.is_dictionary(column.type):
        return pc.max(pc.binary_length(column.dictionary)).as_py() or 0
    if pa.types.is_map(column.type):
        return max(_longest(column.keys), _longest(column.items))
    if not pa.types.is_nested(column.type):
        return 0
    return max(map(_longest, column.flatten() if pa.types.is_struct(column.type) else [column.values]))


def _refused_column(open_: Callable[..., pq.ParquetFile], file: pq.ParquetFile, index: int, columns: pa.Schema) -> str:
    """Return the words that name the first column of a row group that cannot be read alone."""
    for field in columns:
        try:
            for _ in _decoded(open_, file, index, pa.schema([field])):
                pass
        except _REFUSALS:
            return f'column "{field.name}" of '
    return ""


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

"""Read Parquet, from S3 or the hub: the footer when the run is planned, and a range of rows as Arrow."""

import io
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import Piece
from bedrock_batch.contracts.run import Source
from bedrock_batch.errors import MalformedInput
from bedrock_batch.table import batch_bytes, schemas
from bedrock_batch.table.layout import Layout
from bedrock_batch.table.scan_checkpoint import Found, Scan
from bedrock_batch.table.schemas import Selection

Fetch = Callable[[int, int], bytes]
"""Returns bytes [start, end) of a file, in the version that was planned."""

_READ_BYTES = 8 << 20
"""Most bytes of one request."""

_BUFFER_BYTES = 128 << 20
"""Bytes of the buffers of all columns together. Arrow has one for each column."""

_LEAST_BUFFER_BYTES = 128 << 10
_BATCH_ROWS = 2_048

_STEP_ROWS = 128
"""Rows decoded at a time, then joined to batches. Sizes of rows may differ much and are known only after decoding."""

_SKEW = 32
"""How many times the average the texts of one step may be."""

_FIXED_BYTES = 8
"""Bytes of a decoded number. Most numbers are smaller in a file."""


_REFUSALS = (pa.ArrowException, OSError, KeyError)
"""What Arrow raises for a file that it cannot read, such as a damaged file that needs any amount of memory."""

_ADVICE = "Write the file again."


def fetch_from(s3: S3, source: Source) -> Fetch:
    """Return a function that fetches bytes of a file on S3, in the version of its ETag."""
    return lambda start, end: s3.read(source.bucket, source.key, start=start, end=end, etag=source.etag)


class ParquetReader:
    """Reads the Parquet files of a table. `fetch_of` returns the function that fetches the bytes of a file."""

    concurrent_files = 16
    """Many, because footers are small: reading one is mostly waiting."""

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
        """Return the schema of all files. `Table` has no fields for this format."""
        return schemas.common([(one.file, one.schema) for one in found]), {}

    def read(self, source: Source, piece: Piece, selection: Selection, row: int) -> Iterator[pa.RecordBatch]:
        """Yield rows [piece.start, piece.end) of a file in batches of about 8 MB; other row groups are not read."""
        metadata = self._open(source).metadata
        names = set(selection.columns.names)
        leaves = [leaf for leaf in range(metadata.num_columns) if _within(metadata.schema.column(leaf).path, names)]
        open_ = partial(self._open, source, len(leaves), metadata=metadata)
        file = open_()
        first = 0
        for index in range(file.num_row_groups):
            group = file.metadata.row_group(index)
            low, high = max(piece.start - first, 0), min(piece.end - first, group.num_rows)
            first += group.num_rows
            if low < high:
                rows = _RowGroup(open_, file, index, selection.columns, leaves)
                try:
                    yield from rows.read(low, high)
                except _REFUSALS as err:
                    what = f"{source.uri}: {rows.refused()}row group {index} cannot be read: {_said(err)}"
                    raise MalformedInput(what, advice=_ADVICE) from err

    def _open(self, source: Source, columns: int = 1, **options: Any) -> pq.ParquetFile:
        """Open a file to read `columns` columns at a time; nested columns count too."""
        file = pa.PythonFile(_RangeFile(self._fetch_of(source), source.size), mode="r")
        try:
            # Spark's old type (INT96) holds times after the year 2262. In nanoseconds they would silently be wrong.
            return pq.ParquetFile(
                file,
                pre_buffer=False,
                buffer_size=max(_LEAST_BUFFER_BYTES, min(_READ_BYTES, _BUFFER_BYTES // max(1, columns))),
                coerce_int96_timestamp_unit="us",
                page_checksum_verification=True,
                **options,
            )
        except _REFUSALS as err:
            raise MalformedInput(f"{source.uri} is not a readable Parquet file: {_said(err)}", advice=_ADVICE) from err


def _said(err: Exception) -> str:
    return f"{str(err).rstrip('.')}."


class _RowGroup:
    """Reads the cells of the table's `columns` in one row group.

    `open_` opens the file again, with options. `leaves` are the numbers of the file's columns that hold `columns`: a
    struct has one for each of its members.
    """

    def __init__(
        self,
        open_: Callable[..., pq.ParquetFile],
        file: pq.ParquetFile,
        index: int,
        columns: pa.Schema,
        leaves: Sequence[int],
    ) -> None:
        self._open, self._file, self._index, self._columns, self._leaves = open_, file, index, columns, leaves
        self._group = file.metadata.row_group(index)

    def read(self, low: int, high: int) -> Iterator[pa.RecordBatch]:
        """Yield rows [low, high) in batches of `_BATCH_ROWS` or `batch_bytes.MOST_BYTES`."""
        held: list[pa.RecordBatch] = []
        rows = size = at = 0
        for batch in self._decoded():
            start, stop = max(low - at, 0), min(high - at, batch.num_rows)
            at += batch.num_rows
            if start < stop:
                held.append(batch.slice(start, stop - start))
                rows, size = rows + stop - start, size + held[-1].nbytes
            if held and (rows >= _BATCH_ROWS or size >= batch_bytes.MOST_BYTES or at >= high):
                yield held[0] if len(held) == 1 else pa.concat_batches(held)  # concat_batches copies even one batch
                held, rows, size = [], 0, 0
            if at >= high:
                return

    def _decoded(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows, `_step_rows` at a time, in the types of the table."""
        names = self._columns.names
        for batch in self._file.iter_batches(
            self._step_rows(), row_groups=[self._index], columns=names, use_threads=False
        ):
            cells = (batch.column(field.name).cast(field.type) for field in self._columns)
            yield pa.RecordBatch.from_arrays(list(cells), schema=self._columns)

    def _step_rows(self) -> int:
        """Return how many rows to decode at a time.

        They stay below `batch_bytes.MOST_BYTES` even if each row has the longest text of a dictionary.
        """
        row_bytes = 0
        longest = self._longest()
        for leaf in self._leaves:
            column = self._group.column(leaf)
            if column.num_values:
                cell_bytes = max(longest.get(column.path_in_schema, 0), _usual_bytes(column))
                cell_bytes = max(cell_bytes, self._file.schema.column(leaf).length)
                row_bytes += -(-column.num_values // self._group.num_rows) * cell_bytes
        return max(1, min(_STEP_ROWS, batch_bytes.MOST_BYTES // max(1, row_bytes)))

    def _longest(self) -> dict[str, int]:
        """Return the length of the longest text in each dictionary, by the column's path.

        One open file reads all dictionaries, because opening a file of thousands of columns is slow.
        """
        chunks = map(self._group.column, self._leaves)
        paths = [
            chunk.path_in_schema
            for chunk in chunks
            if chunk.physical_type == "BYTE_ARRAY" and chunk.has_dictionary_page and chunk.num_values
        ]
        if not paths:
            return {}
        names = list(dict.fromkeys(paths))
        file = self._open(read_dictionary=names)
        first = next(file.iter_batches(1, row_groups=[self._index], columns=names, use_threads=False), None)
        if first is None:  # The group is damaged. What is missing is found when its rows are counted.
            return {}
        lengths = [length for column in first.columns for length in _longest(column)]
        if len(lengths) != len(paths):  # A name with dots looks like a path: `a.b` beside `a.b.c`.
            lengths = [max(lengths)] * len(paths)
        return dict(zip(paths, lengths, strict=True))

    def refused(self) -> str:
        """Return words for an error message that name the first column that cannot be read; empty if all can."""
        for field in self._columns:
            try:
                leaves = [leaf for leaf in self._leaves if _within(self._file.schema.column(leaf).path, {field.name})]
                for _ in _RowGroup(self._open, self._file, self._index, pa.schema([field]), leaves)._decoded():
                    pass
            except _REFUSALS:
                return f'column "{field.name}" of '
        return ""


def _prefixes(path: str) -> Iterator[str]:
    """Yield every name of a column that a path in a file may belong to. Names may have dots too."""
    parts = path.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts) + 1))


def _within(path: str, names: Container[str]) -> bool:
    """Return whether a path in a file is one of these columns or nested in one."""
    return any(name in names for name in _prefixes(path))


def _usual_bytes(column: pq.ColumnChunkMetaData) -> int:
    """Return how many bytes a cell of a column may have, from the column's average; for a number at least 8."""
    average = int(column.total_uncompressed_size // column.num_values)
    return average * _SKEW if column.physical_type == "BYTE_ARRAY" else max(_FIXED_BYTES, average)


def _longest(column: pa.Array) -> Iterator[int]:
    """Yield the length of the longest text in each dictionary of a column, in the file's order; 0 without one."""
    if isinstance(column, pa.ExtensionArray):
        yield from _longest(column.storage)
    elif pa.types.is_dictionary(column.type):
        yield pc.max(pc.binary_length(column.dictionary)).as_py() or 0
    elif pa.types.is_map(column.type):
        yield from (*_longest(column.keys), *_longest(column.items))
    elif pa.types.is_struct(column.type):
        for member in column.flatten():
            yield from _longest(member)
    elif pa.types.is_nested(column.type):
        yield from _longest(column.values)
    else:
        yield 0


class _RangeFile(io.RawIOBase):
    """A file whose bytes are fetched when they are read."""

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

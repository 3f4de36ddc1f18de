"""Add media to rows, a few MB at a time: as base64, or as URIs of copies in the job's folder."""

import base64
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from bedrock_batch.aws.s3 import S3, Object, split_uri
from bedrock_batch.contracts.run import Run
from bedrock_batch.errors import ROWS_COUNT, InputError, InvalidRunInput, MalformedInput, TooLarge
from bedrock_batch.records import media, media_format
from bedrock_batch.records.media_folder import COPIES, MediaFolder, name_of
from bedrock_batch.records.render import Skipped
from bedrock_batch.row_errors import RowError

_FETCHES = 8
_FULL_BYTES = 32 << 20
"""Bytes of base64 in memory. When there are more, their rows are rendered."""

_MOST_BYTES = 20 << 20
"""Most bytes of one item in a record. Models accept a few MB, and eight items must fit into memory together."""

_MOST_COPIED_BYTES = 5 << 30
"""Most bytes of one copied item: S3 does not copy a larger object in one request."""


_Cell = str | bytes | dict[str, Any] | None
"""A URI, bytes, or a struct of bytes and path."""


@dataclass(frozen=True, slots=True)
class _Item:
    """The cells of a row for `media.PLACES`, or the problem with them; `size` is the size of the copied object."""

    cells: tuple[str, ...] = ()
    size: int = 0
    problem: InputError | None = None


class Attacher:
    """Adds the columns of `media.PLACES` to the rows of a shard. The shard's records are written to `input_key`.

    If an item cannot be used and the run's `nulls` is `skip`, its row is skipped; if it is `error`, the run ends.
    `text_bytes` counts the bytes of text that media add to records, `items` the records with media.
    """

    def __init__(self, s3: S3, run: Run, input_key: str, *, first_row: int) -> None:
        self.text_bytes = self.items = 0
        self._s3, self._asked, self._nulls, self._first_row = s3, run.media or {}, run.nulls, first_row
        self._places = media.PLACES[self._asked["source"]]
        self._owner = run.execution_arn.split(":")[4]
        self._folder = MediaFolder(s3, run, input_key) if run.own_folders else None
        self._ahead = COPIES if self._folder else _FETCHES
        self._copies: dict[str, Future[_Item]] = {}
        self._reasons: dict[int, tuple[RowError, str]] = {}

    @property
    def object_bytes(self) -> int:
        """The bytes of all objects in the folder that records refer to."""
        return sum(copy.result().size for copy in self._copies.values())

    def columns(self, wanted: Iterable[str], table: pa.Schema) -> list[str]:
        """Return the columns of the table that give the columns of a template."""
        return [name for name in wanted if name not in self._places] + [media.path(self._asked, table)[0]]

    def attach(self, batch: pa.RecordBatch, row: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a batch in batches of about 32 MB of media; `row` is the shard's row of the first."""
        start, held, size = 0, [], 0
        with ThreadPoolExecutor(self._ahead) as pool:
            for index, item in enumerate(self._items(pool, batch, row)):
                held.append(item)
                size += sum(map(len, item.cells))
                if size >= _FULL_BYTES:
                    yield self._with_media(batch, start, held)
                    start, held, size = index + 1, [], 0
            if held:
                yield self._with_media(batch, start, held)

    def explained(self, skipped: Iterable[Skipped]) -> list[Skipped]:
        """Return the skipped rows; those skipped because of their media now say what was wrong."""
        own = ((skip, *self._reasons.get(skip.row, (skip.code, skip.reason))) for skip in skipped)
        return [replace(skip, code=code, reason=reason) for skip, code, reason in own]

    def _with_media(self, batch: pa.RecordBatch, start: int, held: list[_Item]) -> pa.RecordBatch:
        rows = batch.slice(start, len(held))
        self.items += sum(bool(item.cells) for item in held)
        self.text_bytes += sum(len(cell) for item in held for cell in item.cells)
        for index, name in enumerate(self._places):
            cells = pa.array([item.cells[index] if item.cells else None for item in held], pa.string())
            rows = rows.append_column(name, cells)
        return rows

    def _items(self, pool: ThreadPoolExecutor, batch: pa.RecordBatch, row: int) -> Iterator[_Item]:
        """Yield the item of every row, in order."""
        waiting: deque[Future[_Item]] = deque()
        try:
            column, *fields = media.path(self._asked, batch.schema)
            cells = batch.column(column)
            for cell in pc.struct_field(cells, fields) if fields else cells:
                waiting.append(self._started(pool, cell.as_py()))
                if len(waiting) >= self._ahead:
                    yield self._ended(waiting.popleft(), row)
                    row += 1
            while waiting:
                yield self._ended(waiting.popleft(), row)
                row += 1
        finally:
            for future in waiting:
                future.cancel()

    def _started(self, pool: ThreadPoolExecutor, cell: _Cell) -> Future[_Item]:
        if self._folder is None or not isinstance(cell, str):
            return pool.submit(self._item, cell)
        # Rows that name the same object share its copy.
        if cell not in self._copies:
            self._copies[cell] = pool.submit(self._item, cell)
        return self._copies[cell]

    def _ended(self, future: Future[_Item], row: int) -> _Item:
        item = future.result()
        if item.cells:
            return item
        code, reason = RowError.MEDIA_NOT_USABLE, str(item.problem)
        if item.problem is None:
            code, reason = RowError.NULL_COLUMN, f'Column "{self._asked["column"]}" is null or empty.'
        if self._nulls == "error":
            raise MalformedInput(
                f"Row {self._first_row + row + 1} of the table {ROWS_COUNT}: {reason} To skip such rows, set "
                'input.nulls to "skip".'
            ) from item.problem
        self._reasons[row] = code, reason
        return item

    def _item(self, cell: _Cell) -> _Item:
        name = ""
        if isinstance(cell, dict):
            name = cell.get("path") or ""
            cell = cell["bytes"] or name
        if not cell:
            return _Item()
        try:
            return self._read(cell, name) if self._folder is None else self._copied(self._folder, str(cell))
        except InputError as problem:
            return _Item(problem=problem)

    def _read(self, cell: str | bytes, name: str) -> _Item:
        """Return the item of a cell: the cell's bytes, from a file `name`, or the bytes of the object that it names."""
        if isinstance(cell, bytes):
            _check_size(len(cell), _MOST_BYTES, "The cell")
            data = cell
        else:
            item = self._object(cell, _MOST_BYTES)
            data, name = self._s3.read(item.bucket, item.key, etag=item.etag), cell
        return _Item((base64.b64encode(data).decode("ascii"), media.format_of(name, data, self._asked)))

    def _copied(self, folder: MediaFolder, cell: str) -> _Item:
        item = self._object(cell, _MOST_COPIED_BYTES)
        first = b""
        if "format" not in self._asked:
            end = min(item.size, media_format.FIRST_BYTES)
            first = self._s3.read(item.bucket, item.key, end=end, etag=item.etag)
        format_ = media.format_of(cell, first, self._asked)
        uri = folder.take(item.bucket, item.key, name_of(item, format_), etag=item.etag)
        return _Item((uri, format_, self._owner), size=item.size)

    def _object(self, uri: str, most: int) -> Object:
        """Return an object that has at most `most` bytes. Raises TooLarge for a larger one."""
        if not uri.startswith("s3://"):  # Any text of the table may stand here, and errors are shown and logged.
            raise InvalidRunInput(f'The cell of "{self._asked["column"]}" is not of the form s3://bucket/key.')
        bucket, key = split_uri(uri)
        if not key:
            raise InvalidRunInput(f"{uri!r} names a bucket but no object.")
        item = self._s3.head(bucket, key)
        if not item.size:
            raise InvalidRunInput(f"{uri} is empty.")
        _check_size(item.size, most, uri)
        return item


def _check_size(size: int, most: int, what: str) -> None:
    if size > most:
        raise TooLarge(f"{what} has {size} bytes, but an item may have at most {most}.")

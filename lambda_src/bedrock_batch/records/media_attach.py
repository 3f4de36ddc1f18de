"""Lay the media of rows beside the rows, a few MB at a time: as base64, or as URIs of copies in the job's folder."""

import base64
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

import pyarrow as pa

from bedrock_batch.aws.s3 import S3, Object, split_uri
from bedrock_batch.contracts.run import Run
from bedrock_batch.errors import ROWS_COUNT, InputError, InvalidRunInput, MalformedInput, TooLarge
from bedrock_batch.records import media
from bedrock_batch.records.media_folder import COPIES, MediaFolder, name_of
from bedrock_batch.records.render import Skipped

_FETCHES = 8
_FULL_BYTES = 32 << 20
"""When this much base64 is held, its rows are rendered."""

_MOST_BYTES = 20 << 20
"""Of one item in a record; models take a few MB, and eight of these must fit beside each other."""

_MOST_COPIED_BYTES = 5 << 30
"""Of one item beside the records: what S3 copies at once."""


@dataclass(frozen=True, slots=True)
class _Item:
    """The cells of a row for `media.PLACES`, or the problem with them; `size` is that of an object in the folder."""

    cells: tuple[str, ...] = ()
    size: int = 0
    problem: InputError | None = None


class Attacher:
    """Adds the columns of `media.PLACES` to the rows of a shard, whose records go to `input_key`.

    With the run's `nulls` at `skip`, an item that cannot be used costs its row, with `error` the run. `text_bytes`
    counts the text that went into records for media, `items` the records that have some.
    """

    def __init__(self, s3: S3, run: Run, input_key: str, *, first_row: int) -> None:
        self.text_bytes = self.items = 0
        self._s3, self._asked, self._nulls, self._first_row = s3, run.media or {}, run.nulls, first_row
        self._places = media.PLACES[self._asked["source"]]
        self._owner = run.execution_arn.split(":")[4]
        self._folder = MediaFolder(s3, run, input_key) if run.own_folders else None
        self._ahead = COPIES if self._folder else _FETCHES
        self._pool = ThreadPoolExecutor(self._ahead)
        self._copies: dict[str, Future[_Item]] = {}
        self._problems: dict[int, InputError] = {}

    @property
    def object_bytes(self) -> int:
        """The size of all objects in the folder that records refer to."""
        return sum(copy.result().size for copy in self._copies.values())

    def columns(self, wanted: Iterable[str]) -> list[str]:
        """Return the columns to read from the table for the columns that a template wants."""
        return [name for name in wanted if name not in self._places] + [self._asked["column"]]

    def attach(self, batch: pa.RecordBatch, row: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a batch in batches that hold about 32 MB of media each; `row` is the shard's, of the first.

        For use within `with`.
        """
        start, held, size = 0, [], 0
        for index, item in enumerate(self._items(batch, row)):
            held.append(item)
            size += sum(map(len, item.cells))
            if size >= _FULL_BYTES:
                yield self._with_media(batch, start, held)
                start, held, size = index + 1, [], 0
        if held:
            yield self._with_media(batch, start, held)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=error is not None)

    def explained(self, skipped: Iterable[Skipped]) -> list[Skipped]:
        """Return the skipped rows with what was wrong with their media, where that is why."""
        return [
            replace(skip, code="MediaNotUsable", reason=str(self._problems[skip.row]))
            if skip.row in self._problems
            else skip
            for skip in skipped
        ]

    def _with_media(self, batch: pa.RecordBatch, start: int, held: list[_Item]) -> pa.RecordBatch:
        rows = batch.slice(start, len(held))
        self.items += sum(bool(item.cells) for item in held)
        self.text_bytes += sum(len(cell) for item in held for cell in item.cells)
        for index, name in enumerate(self._places):
            cells = pa.array([item.cells[index] if item.cells else None for item in held], pa.string())
            rows = rows.append_column(name, cells)
        return rows

    def _items(self, batch: pa.RecordBatch, row: int) -> Iterator[_Item]:
        """Yield what every row has, in order."""
        waiting: deque[Future[_Item]] = deque()
        try:
            for cell in batch.column(self._asked["column"]):
                waiting.append(self._started(cell.as_py()))
                if len(waiting) >= self._ahead:
                    yield self._ended(waiting.popleft(), row)
                    row += 1
            while waiting:
                yield self._ended(waiting.popleft(), row)
                row += 1
        finally:
            for future in waiting:
                future.cancel()

    def _started(self, cell: str | bytes | None) -> Future[_Item]:
        if self._folder is None or not isinstance(cell, str):
            return self._pool.submit(self._item, cell)
        # Rows that name the same object share its copy.
        if cell not in self._copies:
            self._copies[cell] = self._pool.submit(self._item, cell)
        return self._copies[cell]

    def _ended(self, future: Future[_Item], row: int) -> _Item:
        item = future.result()
        if item.problem is None:
            return item
        if self._nulls == "error":
            raise MalformedInput(
                f"Row {self._first_row + row + 1} of the table {ROWS_COUNT}: {item.problem} Set input.nulls to "
                '"skip" to go on without such rows.'
            ) from item.problem
        self._problems[row] = item.problem
        return item

    def _item(self, cell: str | bytes | None) -> _Item:
        if not cell:
            return _Item()
        try:
            return self._read(cell) if self._folder is None else self._copied(self._folder, str(cell))
        except InputError as problem:
            return _Item(problem=problem)

    def _read(self, cell: str | bytes) -> _Item:
        if isinstance(cell, bytes):
            _check_size(len(cell), _MOST_BYTES, "The cell")
            data, format_ = cell, str(self._asked["format"])
        else:
            item, format_ = self._object(cell, _MOST_BYTES)
            data = self._s3.read(item.bucket, item.key, etag=item.etag)
        return _Item((base64.b64encode(data).decode("ascii"), format_))

    def _copied(self, folder: MediaFolder, cell: str) -> _Item:
        item, format_ = self._object(cell, _MOST_COPIED_BYTES)
        uri = folder.take(item.bucket, item.key, name_of(item, format_), etag=item.etag)
        return _Item((uri, format_, self._owner), size=item.size)

    def _object(self, uri: str, most: int) -> tuple[Object, str]:
        """Return an object of `most` bytes at the most, and its format."""
        bucket, key = split_uri(uri)
        if not key:
            raise InvalidRunInput(f"{uri!r} names a bucket and no object.")
        format_ = media.format_of(uri, self._asked)
        item = self._s3.head(bucket, key)
        _check_size(item.size, most, uri)
        return item, format_


def _check_size(size: int, most: int, what: str) -> None:
    if size > most:
        raise TooLarge(f"{what} has {size} bytes; {most} are the most of one item.")

"""Fetch the images or documents of rows and lay them beside the rows as base64, a few MB at a time."""

import base64
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pyarrow as pa

from bedrock_batch import media
from bedrock_batch.adapters.s3 import S3
from bedrock_batch.errors import InputError, InvalidRunInput, MalformedInput, TooLarge
from bedrock_batch.render import Skipped

_FETCHES = 8
_FULL_BYTES = 32 << 20
"""When so much base64 is held, its rows are rendered."""

_MOST_BYTES = 20 << 20
"""Of one item; models take a few MB, and eight of these must fit beside each other."""

_URI = re.compile(r"s3://([^/]+)/(.+)", re.DOTALL)


class Attacher:
    """Adds `media.data` and `media.format` to the rows of a shard.

    `nulls` is the run's: with `skip`, an item that cannot be used costs its row, with `error` the run. `bytes` counts
    the base64 that went by.
    """

    def __init__(self, s3: S3, asked: Mapping[str, Any], *, nulls: str, first_row: int) -> None:
        self.bytes = 0
        self.items = 0
        self._s3, self._asked, self._nulls, self._first_row = s3, asked, nulls, first_row
        self._problems: dict[int, InputError] = {}

    def columns(self, wanted: Iterable[str]) -> list[str]:
        """Return the columns to read from the table for the columns that a template wants."""
        return [name for name in wanted if name not in (media.DATA, media.FORMAT)] + [self._asked["column"]]

    def attach(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the batches in batches that hold about 32 MB of media each."""
        row = 0
        with ThreadPoolExecutor(_FETCHES) as pool:
            for batch in batches:
                start, held, size = 0, [], 0
                for index, item in enumerate(self._items(pool, batch, row)):
                    held.append(item)
                    size += len(item[0] or "")
                    if size >= _FULL_BYTES:
                        yield self._part(batch, start, held)
                        start, held, size = index + 1, [], 0
                if held:
                    yield self._part(batch, start, held)
                row += batch.num_rows

    def explained(self, skipped: Iterable[Skipped]) -> list[Skipped]:
        """Return the skipped rows with what was wrong with their media, where that is why."""
        return [
            replace(skip, code="MediaNotUsable", reason=str(self._problems[skip.row]))
            if skip.row in self._problems
            else skip
            for skip in skipped
        ]

    def _part(self, batch: pa.RecordBatch, start: int, held: list[tuple[str | None, str | None]]) -> pa.RecordBatch:
        part = batch.slice(start, len(held))
        data = pa.array([item[0] for item in held], pa.string())
        self.bytes += sum(len(item[0] or "") for item in held)
        self.items += sum(item[0] is not None for item in held)
        formats = pa.array([item[1] for item in held], pa.string())
        return part.append_column(media.DATA, data).append_column(media.FORMAT, formats)

    def _items(
        self, pool: ThreadPoolExecutor, batch: pa.RecordBatch, row: int
    ) -> Iterator[tuple[str | None, str | None]]:
        """Yield base64 and format of every row, in order; None for both where there is nothing to use."""
        waiting: deque[Future[tuple[str | None, str | None]]] = deque()
        try:
            for index, cell in enumerate(batch.column(self._asked["column"])):
                waiting.append(pool.submit(self._item, cell.as_py(), row + index))
                if len(waiting) >= _FETCHES:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def _item(self, cell: str | bytes | None, row: int) -> tuple[str | None, str | None]:
        if not cell:
            return None, None
        try:
            data, format_ = self._read(cell)
        except InputError as problem:
            if self._nulls == "error":
                raise MalformedInput(
                    f"Row {self._first_row + row + 1} of the table (the first is 1): {problem} Set input.nulls to "
                    '"skip" to go on without such rows.'
                ) from problem
            self._problems[row] = problem
            return None, None
        return base64.b64encode(data).decode("ascii"), format_

    def _read(self, cell: str | bytes) -> tuple[bytes, str]:
        if isinstance(cell, bytes):
            return _small(cell, len(cell), "The cell"), str(self._asked["format"])
        match = _URI.fullmatch(cell)
        if match is None:
            raise InvalidRunInput(f"{cell[:200]!r} is not of the form s3://bucket/key.")
        format_ = media.format_of(cell, self._asked)
        item = self._s3.head(*match.groups())
        _small(b"", item.size, cell)
        return self._s3.read(item.bucket, item.key, etag=item.etag), format_


def _small(data: bytes, size: int, what: str) -> bytes:
    if size > _MOST_BYTES:
        raise TooLarge(f"{what} has {size} bytes; {_MOST_BYTES} are the most that go into a record.")
    return data

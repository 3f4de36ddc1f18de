"""Hold the answers of a shard in memory: those of a window of its rows at a time.

A shard's answers may be larger than the function's memory. Answers that do not fit are dropped, and the raw outputs are
read again for the next window. Most shards fit into one window.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bedrock_batch.answers.answer import Vector
from bedrock_batch.record_ids import Rows

MOST_HELD_BYTES = 512_000_000
"""Default number of bytes to hold, for a function of 1,300 MB."""

_BESIDE_BYTES = 800_000_000
"""Memory that a join needs besides answers: the libraries, 100 bytes for each of a million rows, one row group of
output, and buffers for reading and writing."""

_TEXT_OVERHEAD = 41
"""Bytes of memory of a text besides its own: the object's header and the pointer in the list."""


def held_bytes(memory_bytes: int) -> int:
    """Return how many bytes of answers a function with this memory may hold."""
    return max(memory_bytes - _BESIDE_BYTES, memory_bytes // 8)


VECTOR = pa.list_(pa.field("element", pa.float32()))
"""The type of the column of vectors. Lists of a fixed length would be unreadable if a row has no vector: pyarrow before
26, and what is built on it, fails with "Expected all lists to be of size"."""


class Texts:
    """Texts of rows [start, stop), as bytes, because a str needs up to four bytes for each character.

    With `reasoning` it also holds the reasoning of each row.
    """

    def __init__(self, rows: int, most_bytes: int, *, reasoning: bool = False) -> None:
        self._most_bytes = most_bytes
        self._most = rows
        self._reasoning = reasoning
        self.move(0, rows)

    def move(self, start: int, rows: int) -> None:
        """Drop all answers and hold the rows from `start` on; `rows` is the number of rows of the shard."""
        self.start, self.stop = start, min(start + self._most, rows)
        self._texts: list[bytes | None] = [None] * (self.stop - start)
        self._thoughts: list[bytes | None] = [None] * (self.stop - start) if self._reasoning else []
        self._bytes = 0

    def put(self, row: int, value: Any, reasoning: bytes | None = None) -> None:
        """Hold the answer of a row of the window. The first text stays; before it, the latest reasoning is held."""
        place = row - self.start
        if not self.start <= row < self.stop or self._texts[place] is not None:
            return
        self._hold(self._texts, place, value)
        if self._reasoning:
            self._hold(self._thoughts, place, reasoning)
        self._fit()

    def _hold(self, texts: list[bytes | None], place: int, text: Any) -> None:
        self._bytes += _size(text) - _size(texts[place])
        texts[place] = text

    def put_all(self, rows: Rows, values: Any, reasonings: Any = None) -> None:
        """Hold the answers of rows that have none yet; answers outside the window are dropped."""
        self._hold_all(self._texts, rows, values)
        if self._reasoning and reasonings is not None:
            self._hold_all(self._thoughts, rows, reasonings)
        self._fit()

    def _hold_all(self, texts: list[bytes | None], rows: Rows, values: Any) -> None:
        inside = (rows >= self.start) & (rows < self.stop)
        if not inside.all():
            rows, values = rows[inside], [value for value, held in zip(values, inside, strict=True) if held]
        for place, value in zip((rows - self.start).tolist(), values, strict=True):
            texts[place] = value
        self._bytes += sum(map(len, filter(None, values))) + _TEXT_OVERHEAD * len(values)

    def _fit(self) -> None:
        """Drop answers at the window's end until the window is small enough."""
        while self._bytes > self._most_bytes and self.stop - self.start > 1:
            self._most = (self.stop - self.start) // 2
            self.stop = self.start + self._most
            del self._texts[self._most :], self._thoughts[self._most :]
            self._bytes = sum(map(_size, self._texts)) + sum(map(_size, self._thoughts))

    def get(self, row: int) -> bytes | None:
        return self._texts[row - self.start]

    def column(self, start: int, stop: int) -> pa.Array:
        return _strings(self._texts[start - self.start : stop - self.start])

    def reasoning(self, start: int, stop: int) -> pa.Array:
        return _strings(self._thoughts[start - self.start : stop - self.start])


def _size(text: bytes | None) -> int:
    """Return the bytes of memory that a held text needs."""
    return 0 if text is None else len(text) + _TEXT_OVERHEAD


def _strings(found: list[bytes | None]) -> pa.Array:
    # Arrow would check each text's type and encoding. All texts are bytes in UTF-8, so this makes the buffers itself.
    texts = [text or b"" for text in found]
    valid = None if all(found) else np.packbits([text is not None for text in found], bitorder="little")
    ends = np.zeros(len(texts) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, texts), np.int32, len(texts)), out=ends[1:])
    buffers = [buffer if buffer is None else pa.py_buffer(buffer) for buffer in (valid, ends, b"".join(texts))]
    return pa.Array.from_buffers(pa.string(), len(texts), buffers)


class Vectors:
    """Vectors of rows [start, stop), in one array. It needs memory only for the rows that are filled."""

    def __init__(self, rows: int, dimensions: int, most_bytes: int) -> None:
        self._most, self._dimensions = max(1, most_bytes // max(1, 4 * dimensions)), dimensions
        self._moves = rows > self._most
        self.move(0, rows)

    def move(self, start: int, rows: int) -> None:
        """Drop all answers and hold the rows from `start` on; `rows` is the number of rows of the shard."""
        self.start, self.stop = start, min(start + self._most, rows)
        # Free the old array first: memory has no room for two.
        self._vectors: Vector = np.zeros((0, self._dimensions), np.float32)
        self._vectors = np.zeros((self.stop - start, self._dimensions), np.float32)
        self._present: npt.NDArray[np.bool_] = np.zeros(self.stop - start, np.bool_)

    def put(self, row: int, value: Any, reasoning: Any = None) -> None:
        """Hold the answer of a row of the window. The first one stays. Vectors have no reasoning."""
        place = row - self.start
        if value is None or not self.start <= row < self.stop or self._present[place]:
            return
        self._vectors[place] = value
        self._present[place] = True

    def put_all(self, rows: Rows, values: Any, reasonings: Any = None) -> None:
        """Hold the answers of rows that have none yet; answers outside the window are dropped."""
        inside = (rows >= self.start) & (rows < self.stop)
        if not inside.all():
            rows, values = rows[inside], values[inside]
        self._vectors[rows - self.start] = values
        self._present[rows - self.start] = True

    def column(self, start: int, stop: int) -> pa.Array:
        places = slice(start - self.start, stop - self.start)
        vectors, present = self._vectors[places], self._present[places]
        if self._moves or not present.all():
            # Arrow wants no numbers for rows without a vector. And a view would keep this window in memory until its
            # rows are written, while the next window fills.
            vectors = vectors[present]
        ends = np.zeros(len(present) + 1, np.int32)
        np.cumsum(present * self._dimensions, out=ends[1:])
        return pa.ListArray.from_arrays(
            pa.array(ends), pa.array(vectors.reshape(-1)), type=VECTOR, mask=pa.array(~present)
        )

"""The answers of a shard that are held at one time: those of a window of its rows.

A shard's answers may be larger than a function's memory. Answers that do not fit are dropped, and the raw outputs are
read once more when the turn of their rows comes. Most shards fit at once.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bedrock_batch.answers.answer import Vector
from bedrock_batch.record_ids import Rows

MOST_HELD_BYTES = 512_000_000
"""Unless said otherwise: for a function of 1,300 MB."""

_BESIDE_BYTES = 800_000_000
"""What else a join may take up: the libraries, 100 bytes for each of a million rows, one row group of output, and what
is on its way in and out."""

_TEXT_OVERHEAD = 41
"""What a text takes besides its bytes: the object's head, and its place in the list."""


def held_bytes(memory_bytes: int) -> int:
    """Return how much a function of this memory may hold of its answers."""
    return max(memory_bytes - _BESIDE_BYTES, memory_bytes // 8)


def vector_type(dimensions: int) -> pa.DataType:
    return pa.list_(pa.field("element", pa.float32()), dimensions)


class Texts:
    """Texts of rows [start, stop), as bytes rather than str: a str takes up to four bytes a character."""

    def __init__(self, rows: int, most_bytes: int) -> None:
        self.start, self.stop = 0, rows
        self._most_bytes = most_bytes
        self._most = rows
        self._texts: list[bytes | None] = [None] * rows
        self._bytes = 0

    def move(self, start: int, rows: int) -> None:
        """Hold the rows from `start` on instead; `rows` is where the shard ends."""
        self.start, self.stop = start, min(start + self._most, rows)
        self._texts = [None] * (self.stop - start)
        self._bytes = 0

    def put(self, row: int, value: Any) -> None:
        """Hold the answer of a row of the window; the first one stays."""
        if not self.start <= row < self.stop or self._texts[row - self.start] is not None:
            return
        self._texts[row - self.start] = value
        self._bytes += len(value) + _TEXT_OVERHEAD
        self._fit()

    def put_all(self, rows: Rows, values: Any) -> None:
        """Hold the answers of rows that have none so far; those outside the window are dropped."""
        inside = (rows >= self.start) & (rows < self.stop)
        if not inside.all():
            rows, values = rows[inside], [value for value, held in zip(values, inside, strict=True) if held]
        texts = self._texts
        for place, value in zip((rows - self.start).tolist(), values, strict=True):
            texts[place] = value
        self._bytes += sum(map(len, values)) + _TEXT_OVERHEAD * len(values)
        self._fit()

    def _fit(self) -> None:
        """Drop answers at the window's end while it holds too much."""
        while self._bytes > self._most_bytes and self.stop - self.start > 1:
            self._most = (self.stop - self.start) // 2
            self.stop = self.start + self._most
            del self._texts[self._most :]
            self._bytes = sum(len(text) + _TEXT_OVERHEAD for text in self._texts if text is not None)

    def get(self, row: int) -> bytes | None:
        return self._texts[row - self.start]

    def column(self, start: int, stop: int) -> pa.Array:
        # Arrow would look at each text's type and encoding. They are bytes of UTF-8, so its buffers are made here.
        found = self._texts[start - self.start : stop - self.start]
        texts = [text or b"" for text in found]
        valid = None if all(found) else np.packbits([text is not None for text in found], bitorder="little")
        ends = np.zeros(len(texts) + 1, np.int32)
        np.cumsum(np.fromiter(map(len, texts), np.int32, len(texts)), out=ends[1:])
        buffers = [buffer if buffer is None else pa.py_buffer(buffer) for buffer in (valid, ends, b"".join(texts))]
        return pa.Array.from_buffers(pa.string(), len(texts), buffers)


class Vectors:
    """Vectors of rows [start, stop), in one array that takes up memory only where it is filled."""

    def __init__(self, rows: int, dimensions: int, most_bytes: int) -> None:
        self._most, self._dimensions = max(1, most_bytes // max(1, 4 * dimensions)), dimensions
        self._moves = rows > self._most
        self.move(0, rows)

    def move(self, start: int, rows: int) -> None:
        """Hold the rows from `start` on instead; `rows` is where the shard ends."""
        self.start, self.stop = start, min(start + self._most, rows)
        # The old array first: there is no room for both.
        self._vectors: Vector = np.zeros((0, self._dimensions), np.float32)
        self._vectors = np.zeros((self.stop - start, self._dimensions), np.float32)
        self._present: npt.NDArray[np.bool_] = np.zeros(self.stop - start, np.bool_)

    def put(self, row: int, value: Any) -> None:
        """Hold the answer of a row of the window; the first one stays."""
        place = row - self.start
        if not self.start <= row < self.stop or self._present[place]:
            return
        self._vectors[place] = value
        self._present[place] = True

    def put_all(self, rows: Rows, values: Any) -> None:
        """Hold the answers of rows that have none so far; those outside the window are dropped."""
        inside = (rows >= self.start) & (rows < self.stop)
        if not inside.all():
            rows, values = rows[inside], values[inside]
        self._vectors[rows - self.start] = values
        self._present[rows - self.start] = True

    def column(self, start: int, stop: int) -> pa.Array:
        places = slice(start - self.start, stop - self.start)
        floats = self._vectors[places].reshape(-1)
        if self._moves:
            # A view would keep the whole window, while its rows wait to be written and the next one fills.
            floats = floats.copy()
        mask = pa.array(~self._present[places])
        return pa.FixedSizeListArray.from_arrays(pa.array(floats), type=vector_type(self._dimensions), mask=mask)

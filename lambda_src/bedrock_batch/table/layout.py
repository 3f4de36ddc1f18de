"""The places of a file's rows, so that a shard can be cut out of the file."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from bedrock_batch.contracts.lines import Piece

MOST_MARKS = 1 << 16
"""Most offsets to keep for one file."""

MOST_RECORD_BYTES = 256 << 20
"""No model accepts a record of this size, and reading one needs several times as much memory."""

BODY = "modelInput"
"""The column that holds the request body, in records of Bedrock's own shape."""

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Layout:
    """The places of a source's rows: row `rows_at[i]` starts at offset `bytes_at[i]`. The last mark is the end.

    `cut_by` is the unit of a piece's `start` and `end`. For a text file it is bytes; only the marks are known, so a
    piece may begin or end between two of them. For a Parquet file it is rows; `bytes_at` is then an estimate of size.
    """

    rows_at: Integers
    bytes_at: Integers
    cut_by: Literal["bytes", "rows"]

    @property
    def rows(self) -> int:
        return int(self.rows_at[-1])

    @property
    def end(self) -> int:
        """The offset after the last row."""
        return int(self.bytes_at[-1])

    def piece(self, source: int, first: int, last: int) -> Piece:
        """Return the piece that holds rows [first, last) of this source; `source` is the source's number."""
        if self.cut_by == "rows":
            return Piece(source=source, start=first, end=last, rows=last - first)
        low = int(np.searchsorted(self.rows_at, first, side="right")) - 1
        high = int(np.searchsorted(self.rows_at, last, side="left"))
        return Piece(
            source=source,
            start=int(self.bytes_at[low]),
            end=int(self.bytes_at[high]),
            rows=last - first,
            skip=first - int(self.rows_at[low]),
            tail=int(self.rows_at[high]) - last,
        )


class Marks:
    """Collects the offset of every n-th row; n doubles when there are too many. Starts with the offsets of `part`."""

    def __init__(self, part: Layout | None = None) -> None:
        self._stride = int(part.rows_at[1]) if part is not None and len(part.rows_at) > 2 else 1
        self._kept: list[Integers] = [] if part is None else [part.bytes_at[:-1]]
        self._count = sum(map(len, self._kept))

    def add(self, offsets: Integers, first_row: int) -> None:
        """Add the offsets of consecutive rows, the first of which is `first_row`."""
        kept = offsets[-first_row % self._stride :: self._stride].copy()
        self._kept.append(kept)
        self._count += len(kept)
        while self._count > MOST_MARKS:
            self._kept = [np.concatenate(self._kept)[::2].copy()]
            self._count = len(self._kept[0])
            self._stride *= 2

    def layout(self, rows: int, end: int) -> Layout:
        """Return the layout of the first `rows` rows, which end at the offset `end`."""
        offsets = np.concatenate([np.zeros(0, np.int64), *self._kept])[: -(-rows // self._stride)]
        rows_at = np.arange(len(offsets), dtype=np.int64) * self._stride
        return Layout(np.append(rows_at, rows), np.append(offsets, end), "bytes")

"""Where the rows of a file lie, so that a shard can be cut out of it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from bedrock_batch.contracts.lines import Piece

MOST_MARKS = 1 << 16
"""Offsets kept of one file."""

MOST_RECORD_BYTES = 256 << 20
"""No model takes such a record, and reading it takes several times this in memory."""

BODY = "modelInput"
"""The column of records in Bedrock's own shape that holds the body."""

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a source's rows lie: row `rows_at[i]` starts at `bytes_at[i]`; the last marks are its ends.

    `cut_by` says what pieces count: bytes of a text file (only the marks are known, so a piece may begin or
    end between two of them) or rows of a Parquet file (`bytes_at` is then only an estimate of size).
    """

    rows_at: Integers
    bytes_at: Integers
    cut_by: Literal["bytes", "rows"]

    @property
    def rows(self) -> int:
        return int(self.rows_at[-1])

    @property
    def end(self) -> int:
        """The offset behind the last row."""
        return int(self.bytes_at[-1])

    def piece(self, source: int, first: int, last: int) -> Piece:
        """Return the piece that holds rows [first, last) of this source, which has the number `source`."""
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
    """The offsets of every n-th row, at first those of `part`, if given. When there are too many, n doubles."""

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
        """Return the layout of the first rows, which end at this offset."""
        offsets = np.concatenate([np.zeros(0, np.int64), *self._kept])[: -(-rows // self._stride)]
        rows_at = np.arange(len(offsets), dtype=np.int64) * self._stride
        return Layout(np.append(rows_at, rows), np.append(offsets, end), "bytes")

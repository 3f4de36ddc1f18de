"""One count for each row of a shard, such as tokens. A row may have none."""

from array import array
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from bedrock_batch.record_ids import Rows

_NONE = -1


class Counts:
    """The counts of a shard's rows, of 8 bytes each. At first no row has a count."""

    def __init__(self, rows: int) -> None:
        # Python's array is faster for single rows, numpy's for many rows. Both share the same memory.
        self._values = array("q", [_NONE]) * rows
        self._view = np.frombuffer(self._values, np.int64)

    def put(self, row: int, count: int | None) -> None:
        self._values[row] = _NONE if count is None else count

    def put_all(self, rows: Rows, counts: Sequence[int | None]) -> None:
        self._view[rows] = [_NONE if count is None else count for count in counts]

    def column(self, start: int, stop: int) -> pa.Array:
        values = self._view[start:stop]
        return pa.array(values, mask=values == _NONE)

    def total(self) -> int:
        # Sum the two halves of each number as Python integers, so that absurdly large counts cannot overflow.
        values = self._view[self._view != _NONE]
        return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())

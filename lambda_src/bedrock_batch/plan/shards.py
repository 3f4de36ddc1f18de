"""Cut the table into shards: contiguous, balanced, and within the model's quotas."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bedrock_batch.contracts.lines import Piece, PlannedShard
from bedrock_batch.errors import TooLarge
from bedrock_batch.keys import MAX_SHARD_ROWS, MAX_SHARDS
from bedrock_batch.table.layout import Integers, Layout

MAX_PIECES = 2_000
"""Most pieces of a shard: its line of the plan must fit into the 256 KB of a state machine's payload."""

MOST_KEPT_BYTES = 4_000_000_000
"""Most decoded bytes of a shard's kept columns. A function can write these, and later join them, in some minutes."""

_MARGIN = 0.8
"""The part of the file quota that the estimate may fill, because rows of a source differ in size."""


def row_limit(*, limit: int | None, max_jobs: int | None, max_records: int) -> int | None:
    """Return the most rows that a run reads, for `read.describe(limit=…)`; None for all rows.

    `limit` is `input.limit`. `max_jobs` and `max_records` are `max_num_jobs` and `max_records_per_job`. If both are
    set, the run is a trial, and the rest of the table is not read.
    """
    trial = None if max_jobs is None else max_jobs * max_records
    limits = [value for value in (limit, trial) if value is not None]
    return min(limits, default=None)


def strictest(quotas: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Return the strictest of several models' quotas: all models of a run have the same shards."""
    return {name: (max if name == "min_records" else min)(one[name] for one in quotas) for name in quotas[0]}


@dataclass(frozen=True, slots=True)
class RowSize:
    """The sizes of a row in the record and in the frame.

    For each byte of the row's source, its record has `expansion` bytes (because of JSON escapes), and its kept columns
    have `kept` decoded bytes. A record has `constant` bytes more.
    """

    expansion: float
    constant: int
    kept: float


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds on the rows of a shard and on the number of shards.

    `quotas` needs min_records, max_records and max_file_bytes. `max_records` lowers the quota of that name, but no
    shard gets fewer than min_records. With `max_jobs` the table ends after that many shards. The first `canary` rows
    are a separate shard. It does not count towards `max_jobs`, but its rows count towards the limit on rows.
    """

    quotas: Mapping[str, int]
    max_records: int | None = None
    max_jobs: int | None = None
    canary: int = 0

    @classmethod
    def of(cls, asked: Mapping[str, Any], quotas: Mapping[str, int]) -> "Bounds":
        """Return the bounds from a run input and the quotas."""
        return cls(
            quotas,
            max_records=asked.get("max_records_per_job"),
            max_jobs=asked.get("max_num_jobs") or None,
            canary=asked["limits"]["canary_records"],
        )

    @property
    def most(self) -> int:
        """The most rows of a shard."""
        return min(self.max_records or self.quotas["max_records"], self.quotas["max_records"], MAX_SHARD_ROWS)

    @property
    def least(self) -> int:
        """The fewest rows of a shard, if the table has that many."""
        return self.quotas["min_records"]

    @property
    def full(self) -> int:
        """The most bytes of a shard's file, as estimated."""
        return int(self.quotas["max_file_bytes"] * _MARGIN)


def cut(layouts: Sequence[Layout], bounds: Bounds, size: RowSize, *, bucket: str, run_key: str) -> list[PlannedShard]:
    """Return the run's shards in table order. Together their rows are the run's table.

    Except for the canary, shards differ by at most one row. A table with fewer rows than a shard must have is one
    shard.

    Raises TooLarge if no cut fits: rows are too large for the file quota or for a frame, or there are too many shards
    or too many small files.
    """
    table = _Table.of(layouts)
    edges = _cut(table, bounds, size)
    return [
        PlannedShard(
            bucket=bucket,
            run_key=run_key,
            shard=number,
            first_row=low,
            rows=high - low,
            pieces=table.pieces(low, high),
        )
        for number, (low, high) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    ]


@dataclass(frozen=True, slots=True)
class _Table:
    """All sources, one after the other: source i begins at the table's row `starts[i]`."""

    layouts: Sequence[Layout]
    starts: Integers
    rows_at: Integers
    bytes_at: Integers

    @classmethod
    def of(cls, layouts: Sequence[Layout]) -> "_Table":
        starts = np.concatenate([[0], np.cumsum([layout.rows for layout in layouts])]).astype(np.int64)
        rows, sizes, total = [np.zeros(1, np.int64)], [np.zeros(1, np.int64)], 0
        for start, layout in zip(starts[:-1], layouts, strict=True):
            grown = layout.bytes_at - layout.bytes_at[0] + total
            rows.append(layout.rows_at[1:] + start)
            sizes.append(grown[1:])
            total = int(grown[-1])
        return cls(layouts, starts, np.concatenate(rows), np.concatenate(sizes))

    @property
    def rows(self) -> int:
        return int(self.starts[-1])

    def bytes_before(self, edges: Integers) -> npt.NDArray[np.float64]:
        return np.interp(edges, self.rows_at, self.bytes_at)

    def pieces_between(self, edges: Integers) -> Integers:
        """Return the number of sources that each shard reads. It is an upper bound: an empty source counts too."""
        first = np.searchsorted(self.starts, edges[:-1], side="right")
        last = np.searchsorted(self.starts, edges[1:], side="left")
        return last - first + 1

    def pieces(self, first: int, last: int) -> list[Piece]:
        source = int(np.searchsorted(self.starts, first, side="right")) - 1
        pieces = []
        while first < last:
            start, end = int(self.starts[source]), min(int(self.starts[source + 1]), last)
            if end > first:
                pieces.append(self.layouts[source].piece(source, first - start, end - start))
                first = end
            source += 1
        return pieces


def _cut(table: _Table, bounds: Bounds, size: RowSize) -> Integers:
    """Return the edges: the rows at which shards begin, and the row at which the last shard ends."""
    rows = table.rows
    if bounds.max_jobs is not None:
        rows = min(rows, bounds.max_jobs * bounds.most)
    first = min(bounds.canary, rows)
    rows -= first
    canary = np.zeros(1 if first else 0, np.int64)
    while rows:
        edges = _balanced(table, first, rows, bounds, size)
        count = len(edges) - 1
        if bounds.max_jobs is None or count <= bounds.max_jobs:
            return np.concatenate([canary, edges])
        # Bytes limit a shard, not rows, so each job of the trial has fewer rows.
        rows = rows * bounds.max_jobs // count
    return np.append(canary, first)


def _balanced(table: _Table, first: int, rows: int, bounds: Bounds, size: RowSize) -> Integers:
    """Return the edges of the fewest balanced shards within all quotas, for `rows` rows from row `first` on."""
    highest = max(1, rows // bounds.least)
    count = max(1, min(-(-rows // bounds.most), highest))
    while True:
        edges = _edges(first, rows, count)
        source = np.diff(table.bytes_before(edges))
        heaviest = float((source * size.expansion + np.diff(edges) * size.constant).max())
        kept, pieces = float(source.max()) * size.kept, int(table.pieces_between(edges).max())
        # The size of the largest shard, as a multiple of the size that it may have.
        full = max(heaviest / bounds.full, kept / MOST_KEPT_BYTES)
        if full <= 1 and pieces <= MAX_PIECES:
            break
        if count == highest:
            # No smaller shard is allowed, so drop the margin: Prepare shard checks the file's size before any spend.
            if max(heaviest / bounds.full * _MARGIN, kept / MOST_KEPT_BYTES) <= 1 and pieces <= MAX_PIECES:
                break
            raise TooLarge(_why(heaviest, bounds.full / _MARGIN, kept, pieces, rows, count))
        count = min(highest, max(count + 1, int(count * min(full, 2.0))))
    if count > MAX_SHARDS:
        raise TooLarge(
            f"{rows} rows need {count} shards, but a run may have at most {MAX_SHARDS}. "
            "Raise max_records_per_job or split the input."
        )
    return edges


def _why(heaviest: float, most: float, kept: float, pieces: int, rows: int, count: int) -> str:
    if pieces > MAX_PIECES:
        return (
            f"A shard of {rows // count} rows would read {pieces} files, but may read at most {MAX_PIECES}. "
            "Merge the small input files into larger ones."
        )
    if kept > MOST_KEPT_BYTES:
        return (
            f"Even a shard of the fewest rows that a job may have ({rows // count}) would hold about {kept / 1e9:.0f} "
            f"GB of the columns that the output keeps, but may hold at most {MOST_KEPT_BYTES / 1e9:.0f} GB. Leave "
            "large columns out of output.columns."
        )
    return (
        f"Even a shard of the fewest rows that a job may have ({rows // count}) would be about {heaviest / 1e6:.0f} "
        f"MB, but a file may have at most {most / 1e6:.0f} MB. Shorten the rows."
    )


def _edges(first: int, rows: int, count: int) -> Integers:
    """Return the `count` + 1 edges of `count` shards of `rows` rows from `first` on. Sizes differ by at most one."""
    return first + np.arange(count + 1, dtype=np.int64) * rows // count

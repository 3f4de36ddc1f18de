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
"""A shard's line must fit the 256 KB that a state machine carries."""

MOST_KEPT_BYTES = 4_000_000_000
"""Of the columns that the output keeps, when decoded: what a function writes, and later joins, in some minutes."""

_MARGIN = 0.8
"""How full a file may be by estimate, as the rows of a source differ in size."""


def row_limit(*, limit: int | None, max_jobs: int | None, max_records: int) -> int | None:
    """Return how many rows a run reads at most (None: all), for `read.describe(limit=…)`.

    `limit` is `input.limit`. `max_jobs` and `max_records` are `max_num_jobs` and `max_records_per_job`: with both the
    run is a trial, and the rest of the table is not read.
    """
    trial = None if max_jobs is None else max_jobs * max_records
    limits = [value for value in (limit, trial) if value is not None]
    return min(limits, default=None)


def strictest(quotas: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Return the quotas that hold for all models of a run, which are sent the same shards."""
    return {name: (max if name == "min_records" else min)(one[name] for one in quotas) for name in quotas[0]}


@dataclass(frozen=True, slots=True)
class RowSize:
    """How large a row becomes.

    Its record has `expansion` bytes (JSON escapes) for each byte of its source, and `constant` more. Its columns that
    the output keeps have `kept` bytes for each byte of its source, when they are decoded.
    """

    expansion: float
    constant: int
    kept: float


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many rows a shard may have, and how many shards there may be.

    `quotas` needs min_records, max_records and max_file_bytes. `max_records` lowers the quota of that name, but never
    so far that a shard would fall below min_records. With `max_jobs` the table ends after that many shards. The first
    `canary` rows are a shard of their own: it is not one of the `max_jobs`, but its rows count as rows of theirs.
    """

    quotas: Mapping[str, int]
    max_records: int | None = None
    max_jobs: int | None = None
    canary: int = 0

    @classmethod
    def of(cls, asked: Mapping[str, Any], quotas: Mapping[str, int]) -> "Bounds":
        """Return the bounds that a run input sets within the quotas."""
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
        """The fewest rows of a shard, where the table has as many."""
        return self.quotas["min_records"]

    @property
    def full(self) -> int:
        """How many bytes a shard's file may have by estimate."""
        return int(self.quotas["max_file_bytes"] * _MARGIN)


def cut(layouts: Sequence[Layout], bounds: Bounds, size: RowSize, *, bucket: str, run_key: str) -> list[PlannedShard]:
    """Return the run's shards, in table order; the run's table is the sum of their rows.

    But for the canary, shards differ by one row at most. A table with fewer rows than a shard must have is one shard.

    Raises TooLarge when no cut fits: rows too big for the file quota or for a frame, too many shards or too many small
    files.
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
    """All sources end to end: `starts[i]` is the table's row at which source i begins."""

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
        """Return how many sources each shard touches (an empty one counts too: an upper bound)."""
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
    """Return the rows at which shards begin, and behind them the row at which the last one ends."""
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
        # Bytes, not rows, are what limits a shard: the trial is as many rows as that leaves to each job.
        rows = rows * bounds.max_jobs // count
    return np.append(canary, first)


def _balanced(table: _Table, first: int, rows: int, bounds: Bounds, size: RowSize) -> Integers:
    """Return the edges of as few balanced shards as fit all quotas, of `rows` rows from row `first` on."""
    highest = max(1, rows // bounds.least)
    count = max(1, min(-(-rows // bounds.most), highest))
    while True:
        edges = _edges(first, rows, count)
        source = np.diff(table.bytes_before(edges))
        heaviest = float((source * size.expansion + np.diff(edges) * size.constant).max())
        kept, pieces = float(source.max()) * size.kept, int(table.pieces_between(edges).max())
        # How many times as full as it may be the fullest shard is.
        full = max(heaviest / bounds.full, kept / MOST_KEPT_BYTES)
        if full <= 1 and pieces <= MAX_PIECES:
            break
        if count == highest:
            # No smaller shard is allowed, so the margin may go: preparing weighs the file before anything is spent.
            if max(heaviest / bounds.full * _MARGIN, kept / MOST_KEPT_BYTES) <= 1 and pieces <= MAX_PIECES:
                break
            raise TooLarge(_why(heaviest, bounds.full / _MARGIN, kept, pieces, rows, count))
        count = min(highest, max(count + 1, int(count * min(full, 2.0))))
    if count > MAX_SHARDS:
        raise TooLarge(
            f"{rows} rows make {count} shards, and {MAX_SHARDS} is the most of one run. "
            "Raise max_records_per_job or split the input."
        )
    return edges


def _why(heaviest: float, most: float, kept: float, pieces: int, rows: int, count: int) -> str:
    if pieces > MAX_PIECES:
        return (
            f"A shard of {rows // count} rows would read {pieces} files, and {MAX_PIECES} is the most. "
            "Merge the small input files into larger ones."
        )
    if kept > MOST_KEPT_BYTES:
        return (
            f"Even a shard of the fewest rows a job may have ({rows // count}) would hold some {kept / 1e9:.0f} GB of "
            f"the columns that the output keeps, and {MOST_KEPT_BYTES / 1e9:.0f} GB is the most. Leave large columns "
            "out of output.columns."
        )
    return (
        f"Even a shard of the fewest rows a job may have ({rows // count}) would be some {heaviest / 1e6:.0f} MB, "
        f"and {most / 1e6:.0f} MB is the most of a file. Shorten the rows."
    )


def _edges(first: int, rows: int, count: int) -> Integers:
    """Return count + 1 row numbers that cut `rows` rows from `first` on into parts differing by one row at most."""
    return first + np.arange(count + 1, dtype=np.int64) * rows // count

"""Cutting: nothing lost, nothing twice, every shard legal."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bedrock_batch.contracts.lines import Piece, PlannedShard
from bedrock_batch.errors import TooLarge
from bedrock_batch.plan.shards import Bounds, RowSize, cut, row_limit, strictest
from bedrock_batch.table.layout import Layout

QUOTAS = {"min_records": 10, "max_records": 100, "max_file_bytes": 10**9}


def parquet(*groups: int, row_bytes: int = 100) -> Layout:
    rows = np.cumsum([0, *groups], dtype=np.int64)
    return Layout(rows, rows * row_bytes, "rows")


def text(rows: int, *, stride: int = 1, row_bytes: int = 100, start: int = 5) -> Layout:
    marks = np.append(np.arange(0, rows, stride, dtype=np.int64), rows)
    return Layout(marks, marks * row_bytes + start, "bytes")


def make(layouts: list[Layout], quotas: dict[str, int] = QUOTAS, **options: int | None) -> list[PlannedShard]:
    bounds = Bounds(quotas, **options)  # type: ignore[arg-type]  # numbers all
    return cut(layouts, bounds, RowSize(1.2, 200, 1.2), bucket="b", run_key="k")


def rows_read(layouts: list[Layout], piece: Piece, *, row_bytes: int = 100, start: int = 5) -> list[tuple[int, int]]:
    """Return (source, row) of every row that a reader of the piece yields."""
    if layouts[piece.source].cut_by == "rows":
        return [(piece.source, row) for row in range(piece.start, piece.end)]
    first, last = (piece.start - start) // row_bytes, (piece.end - start) // row_bytes
    assert last - first == piece.skip + piece.rows + piece.tail
    return [(piece.source, row) for row in range(first + piece.skip, last - piece.tail)]


LAYOUTS = st.lists(
    st.one_of(
        st.builds(lambda groups: parquet(*groups), st.lists(st.integers(1, 90), min_size=1, max_size=4)),
        st.builds(lambda rows, stride: text(rows, stride=stride), st.integers(1, 300), st.integers(1, 40)),
    ),
    min_size=1,
    max_size=5,
)


@given(LAYOUTS, st.none() | st.integers(1, 120))
def test_shards_concatenate_to_the_input(layouts: list[Layout], max_records: int | None) -> None:
    shards = make(layouts, max_records=max_records)
    read = [row for shard in shards for piece in shard.pieces for row in rows_read(layouts, piece)]
    assert read == [(source, row) for source, layout in enumerate(layouts) for row in range(layout.rows)]
    assert [shard.shard for shard in shards] == list(range(len(shards)))
    assert [shard.first_row for shard in shards] == [sum(s.rows for s in shards[:i]) for i in range(len(shards))]
    assert all(shard.rows == sum(piece.rows for piece in shard.pieces) for shard in shards)
    assert make(layouts, max_records=max_records) == shards


@given(st.integers(1, 5_000), st.integers(1, 30), st.integers(0, 200), st.none() | st.integers(1, 300))
@example(11, 10, 1, 11)
def test_sizes_are_legal_for_every_number_of_rows(rows: int, least: int, more: int, asked: int | None) -> None:
    quotas = {**QUOTAS, "min_records": least, "max_records": 2 * least + more}
    sizes = [shard.rows for shard in make([text(rows, stride=7)], quotas, max_records=asked)]
    assert sum(sizes) == rows
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= quotas["max_records"]
    if rows >= least:
        assert min(sizes) >= least
    else:
        assert len(sizes) == 1
    if asked is not None and asked >= 2 * least:
        assert max(sizes) <= asked


def test_default_is_as_few_jobs_as_the_quota_allows() -> None:
    assert [shard.rows for shard in make([text(250)])] == [83, 83, 84]
    assert [shard.rows for shard in make([text(200)])] == [100, 100]


def test_a_table_below_the_minimum_is_one_shard() -> None:
    assert [shard.rows for shard in make([text(9)], max_records=2)] == [9]


@given(st.integers(1, 2_000), st.integers(1, 5), st.integers(1, 100))
def test_a_trial_ends_after_its_jobs(rows: int, jobs: int, most: int) -> None:
    shards = make([text(rows, stride=16)], max_jobs=jobs, max_records=most)
    assert len(shards) <= jobs
    assert sum(shard.rows for shard in shards) == min(rows, jobs * most)
    limit = row_limit(limit=None, max_jobs=jobs, max_records=most)
    assert limit == jobs * most


@pytest.mark.parametrize(("limit", "jobs", "rows"), [(None, None, None), (5, None, 5), (5, 1, 5), (500, 2, 200)])
def test_row_limit_is_the_smaller_of_limit_and_trial(limit: int | None, jobs: int | None, rows: int | None) -> None:
    assert row_limit(limit=limit, max_jobs=jobs, max_records=100) == rows


@given(st.lists(st.tuples(st.integers(10, 60), st.integers(10, 3_000)), min_size=1, max_size=6))
@example([(18, 2612)])  # too much for the margin, and too few rows to cut
def test_files_stay_below_the_quota(sources: list[tuple[int, int]]) -> None:
    layouts = [parquet(rows, row_bytes=row_bytes) for rows, row_bytes in sources]
    quotas = {**QUOTAS, "max_file_bytes": 75_000}
    for shard in make(layouts, quotas):
        sizes = [sources[piece.source][1] * piece.rows for piece in shard.pieces]
        assert sum(sizes) * 1.2 + shard.rows * 200 <= quotas["max_file_bytes"]


def test_a_trial_of_large_rows_still_ends_after_its_jobs() -> None:
    shards = make([text(10_000, row_bytes=10_000)], {**QUOTAS, "max_file_bytes": 10**6}, max_jobs=3)
    assert len(shards) <= 3
    assert all(shard.rows * 10_000 < 10**6 for shard in shards)


def test_rows_that_fit_no_file_are_refused() -> None:
    with pytest.raises(TooLarge, match="Shorten the rows"):
        make([text(100, row_bytes=1_000)], {**QUOTAS, "max_file_bytes": 10_000})


def test_too_many_small_files_start_new_shards_or_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bedrock_batch.plan.shards.MAX_PIECES", 12)
    shards = make([text(1) for _ in range(95)])
    assert max(len(shard.pieces) for shard in shards) <= 12
    assert sum(shard.rows for shard in shards) == 95
    monkeypatch.setattr("bedrock_batch.plan.shards.MAX_PIECES", 9)
    with pytest.raises(TooLarge, match="Merge the small input files"):
        make([text(1) for _ in range(95)])


def test_a_line_of_the_plan_leaves_zeros_out() -> None:
    (shard,) = make([parquet(20)])
    assert shard.to_json()["pieces"] == [{"source": 0, "start": 0, "end": 20, "rows": 20}]
    shards = make([text(20, stride=16)], max_records=10)
    assert shards[1].to_json()["pieces"] == [{"source": 0, "start": 5, "end": 2005, "rows": 10, "skip": 10}]


# --- Canary ---


@given(LAYOUTS, st.integers(1, 400), st.none() | st.integers(1, 4))
def test_a_canary_is_the_first_shard_and_changes_nothing_else(
    layouts: list[Layout], canary: int, max_jobs: int | None
) -> None:
    shards = make(layouts, canary=canary, max_jobs=max_jobs)
    read = [row for shard in shards for piece in shard.pieces for row in rows_read(layouts, piece)]
    total = sum(layout.rows for layout in layouts)
    most = total if max_jobs is None else min(total, max_jobs * QUOTAS["max_records"])
    assert read == [(source, row) for source, layout in enumerate(layouts) for row in range(layout.rows)][:most]
    assert [shard.shard for shard in shards] == list(range(len(shards)))
    assert shards[0].rows == min(canary, most)
    rest = [shard.rows for shard in shards[1:]]
    assert not rest or max(rest) - min(rest) <= 1
    assert max_jobs is None or len(rest) <= max_jobs


def test_the_strictest_quotas_of_all_models_hold() -> None:
    one = {"min_records": 100, "max_records": 50_000, "max_file_bytes": 10**9}
    two = {"min_records": 200, "max_records": 100_000, "max_file_bytes": 10**8}
    assert strictest([one, two]) == {"min_records": 200, "max_records": 50_000, "max_file_bytes": 10**8}

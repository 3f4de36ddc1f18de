"""Leftovers: every record goes somewhere once, jobs are legal, and a run always ends."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_batch.contracts.lines import JobEnd, LeftoverLines
from bedrock_batch.contracts.results import Joined
from bedrock_batch.errors import CanaryFailed
from bedrock_batch.run.decide import (
    MAX_POOLED_SHARDS,
    Next,
    Standing,
    check_canary,
    chunks,
    decide,
    first_of,
    pool,
    whole_shards,
)

END = JobEnd("job", "Completed", "raw/job/")
LIMITS: dict[str, Any] = {"max_rounds": 2, "on_demand_tail": True}


def joined(shard: int, *, rows: int, leftovers: int, jobs: int, step: int | None = None, retries: int = 0) -> Joined:
    outcomes = {"succeeded": rows - leftovers - retries, "truncated": retries, "missing": leftovers}
    return Joined(
        shard=shard,
        rows=rows,
        output_key=f"part-{shard}",
        bytes=1,
        outcomes=outcomes,
        leftovers=leftovers,
        input_tokens=0,
        output_tokens=0,
        jobs=jobs,
        leftovers_step=step,
        leftover_bytes=(leftovers + retries) * 10 if step is not None else 0,
        retries=retries,
    )


def standing(shard: int, *, records: int, leftovers: int | None = None, retries: int = 0) -> Standing:
    """Return an unsent shard, or with `leftovers` one whose only job is joined."""
    fresh = Standing(shard=shard, records=records, bytes=records * 10)
    if leftovers is None:
        return fresh
    step = 1 if retries or 0 < leftovers < records else None
    known = joined(shard, rows=records, leftovers=leftovers, jobs=1, step=step, retries=retries)
    return replace(fresh, ends=(END,), joined=known)


STANDINGS = st.lists(st.tuples(st.integers(0, 900), st.one_of(st.none(), st.integers(0, 900))), max_size=30).map(
    lambda pairs: [
        standing(number, records=records, leftovers=None if left is None else min(left, records))
        for number, (records, left) in enumerate(pairs)
    ]
)


def records_of(jobs: list[list[LeftoverLines]]) -> list[tuple[int, int | None, int]]:
    return [(one.shard, one.step, line) for job in jobs for one in job for line in range(one.start, one.stop)]


def leftovers_of(standings: list[Standing]) -> list[tuple[int, int | None, int]]:
    return [(one.shard, one.leftovers_step, line) for one in standings for line in range(one.leftovers)]


@given(standings=STANDINGS, least=st.integers(1, 300), spread=st.integers(2, 20))
def test_pooled_jobs_hold_every_leftover_once_and_are_legal(standings: list[Standing], least: int, spread: int) -> None:
    most = least * spread
    jobs = pool(standings, min_records=least, max_records=most, max_bytes=10**9)
    total = sum(one.leftovers for one in standings)
    if total < least:
        assert jobs == []
        return
    assert records_of(jobs) == leftovers_of(standings)
    sizes = [sum(one.records for one in job) for job in jobs]
    assert all(least <= size <= most for size in sizes)
    assert max(sizes) - min(sizes) <= 1
    assert len(jobs) == -(-total // most), "as few as possible"
    assert all(len({one.shard for one in job}) == len(job) for job in jobs), "a shard feeds a job once"


def test_bytes_make_more_jobs_but_never_illegal_ones() -> None:
    heavy = [Standing(shard=number, records=1000, bytes=10**6) for number in range(4)]
    jobs = pool(heavy, min_records=100, max_records=10_000, max_bytes=10**6)
    assert len(jobs) == 5
    assert len(pool(heavy, min_records=1500, max_records=10_000, max_bytes=10**6)) == 2


def test_no_job_is_fed_by_more_shards_than_its_line_can_name() -> None:
    thin = [standing(number, records=50, leftovers=1) for number in range(3 * MAX_POOLED_SHARDS)]
    jobs = pool(thin, min_records=100, max_records=100_000, max_bytes=10**9)
    assert len(jobs) > 2
    assert max(map(len, jobs)) <= MAX_POOLED_SHARDS
    assert records_of(jobs) == leftovers_of(thin)


@given(standings=STANDINGS, size=st.integers(1, 50))
def test_chunks_hold_every_leftover_once(standings: list[Standing], size: int) -> None:
    found = chunks(standings, records=size)
    assert records_of(found) == leftovers_of(standings)
    assert all(0 < sum(one.records for one in chunk) <= size for chunk in found)


@pytest.mark.parametrize(
    ("standings", "rounds", "tail_done", "limits", "expected"),
    [
        ([standing(0, records=100)], 0, False, {}, "run_jobs"),
        ([standing(0, records=99)], 0, False, {}, "answer"),
        ([standing(0, records=60), standing(1, records=60)], 0, False, {}, "run_jobs"),
        ([standing(0, records=0)], 0, False, {}, "join"),
        ([standing(0, records=99)], 0, False, {"on_demand_tail": False}, "join"),
        ([standing(0, records=100, leftovers=0)], 1, False, {}, "finish"),
        ([standing(0, records=200, leftovers=100)], 1, False, {}, "run_jobs"),
        ([standing(0, records=200, leftovers=100)], 3, False, {}, "finish"),
        ([standing(0, records=200, leftovers=100)], 1, False, {"max_rounds": 0}, "finish"),
        ([standing(0, records=200, leftovers=99)], 1, False, {"max_rounds": 0}, "answer"),
        ([standing(0, records=200, leftovers=99)], 1, True, {}, "finish"),
        ([standing(0, records=200, leftovers=99)], 1, False, {"on_demand_tail": False}, "finish"),
        # A small shard that no job had yet gets its round, even if no rounds are left.
        ([standing(0, records=200, leftovers=60), standing(1, records=60)], 1, False, {"max_rounds": 0}, "run_jobs"),
    ],
)
def test_decisions(
    standings: list[Standing], rounds: int, tail_done: bool, limits: dict[str, Any], expected: str
) -> None:
    decided, due = decide(standings, rounds=rounds, tail_done=tail_done, min_records=100, limits=LIMITS | limits)
    assert (decided, due) == (expected, standings)


@pytest.mark.parametrize(
    ("left", "retries", "rounds", "tail_done", "limits", "expected", "sent"),
    [
        # With other leftovers while there are rounds, alone when there are none.
        (60, 60, 1, False, {}, "run_jobs", 120),
        (0, 100, 3, False, {}, "run_jobs", 100),
        (0, 100, 1, False, {"max_rounds": 0}, "run_jobs", 100),
        (300, 100, 3, False, {}, "run_jobs", 100),
        # Too few for a job.
        (0, 99, 1, False, {}, "answer", 99),
        (20, 30, 1, False, {}, "answer", 50),
        (300, 30, 3, False, {}, "answer", 30),
        (60, 60, 3, False, {}, "answer", 120),
        # Bad answers of the tail get their own pass, without the records that it could not answer.
        (5, 20, 1, True, {}, "answer", 20),
        (5, 0, 1, True, {}, "finish", 5),
        (0, 99, 1, False, {"on_demand_tail": False}, "finish", 99),
    ],
)
def test_retries_go_with_other_leftovers_or_alone(
    left: int, retries: int, rounds: int, tail_done: bool, limits: dict[str, Any], expected: str, sent: int
) -> None:
    done, mixed = standing(0, records=500, leftovers=0), standing(1, records=500, leftovers=left, retries=retries)
    decided, due = decide([done, mixed], rounds=rounds, tail_done=tail_done, min_records=100, limits=LIMITS | limits)
    assert (decided, sum(one.leftovers for one in due)) == (expected, sent)
    if decided == "run_jobs":
        jobs = pool(due, min_records=100, max_records=1000, max_bytes=10**9)
        assert jobs == [[LeftoverLines(1, 0, sent, 1)]], "retries come first in the file"
        assert sum(one.leftover_bytes for one in due if one.leftovers) == sent * 10


@pytest.mark.parametrize(
    ("wants", "stale", "expected"),
    [
        (["finish", "join", "answer", "run_jobs"], False, "run_jobs"),
        (["finish", "join", "answer"], False, "answer"),
        (["finish", "join"], False, "join"),
        (["finish", "finish"], False, "finish"),
        (["run_jobs", "join"], True, "join"),
    ],
)
def test_models_do_not_overtake_each_other(wants: list[Next], stale: bool, expected: Next) -> None:
    assert first_of(wants, stale=stale) == expected


def test_what_changed_is_joined_before_anything_else_is_decided() -> None:
    stale = replace(standing(0, records=500, leftovers=300), ends=(END, END))
    assert decide([stale], rounds=1, tail_done=False, min_records=100, limits=LIMITS)[0] == "join"


# --- A whole run, with whatever outcomes ---


@dataclass
class Shards:
    """The shards of a simulated run: how often each record was sent, and which are answered."""

    records: list[int]
    sent: list[list[int]]
    answered: list[dict[int, str]]
    retried: list[set[int]]
    files: dict[tuple[int, int | None], list[int]]

    @classmethod
    def of(cls, records: list[int]) -> "Shards":
        files: dict[tuple[int, int | None], list[int]] = {
            (shard, None): list(range(count)) for shard, count in enumerate(records)
        }
        sent = [[0] * count for count in records]
        return cls(records, sent, [{} for _ in records], [set() for _ in records], files)

    def run(self, job: list[LeftoverLines], answers: Any, *, retries_only: bool) -> None:
        for one in job:
            for row in self.files[one.shard, one.step][one.start : one.stop]:
                if row in self.answered[one.shard]:
                    assert self.answered[one.shard][row] == "poor", "a good answer is asked for again"
                    assert row not in self.retried[one.shard], "a record is sent a third time for its answer"
                    self.retried[one.shard].add(row)
                else:
                    assert not retries_only, "a leftover gets a round that it has not"
                self.sent[one.shard][row] += 1
                fate = answers.draw(st.sampled_from(["nothing", "good", "poor"]))
                if fate != "nothing":
                    self.answered[one.shard][row] = fate

    def join(self, one: Standing, step: int, *, retry: bool) -> Standing:
        left = [row for row in range(one.records) if row not in self.answered[one.shard]]
        again = self.poor(one.shard) if retry else []
        partly = bool(again) or 0 < len(left) < one.records
        if partly:
            self.files[one.shard, step] = again + left
        known = joined(
            one.shard,
            rows=one.records,
            leftovers=len(left),
            jobs=len(one.ends),
            step=step if partly else None,
            retries=len(again),
        )
        return replace(one, joined=known)

    def poor(self, shard: int) -> list[int]:
        """Return the rows that may still be sent for a better answer."""
        return [row for row, fate in self.answered[shard].items() if fate == "poor" and row not in self.retried[shard]]


@given(
    records=st.lists(st.integers(0, 30), min_size=1, max_size=6),
    least=st.integers(2, 12),
    max_rounds=st.integers(0, 3),
    tail=st.booleans(),
    retry=st.booleans(),
    answers=st.data(),
)
def test_a_run_always_ends_and_sends_no_answered_record_again(
    records: list[int], least: int, max_rounds: int, tail: bool, retry: bool, answers: Any
) -> None:
    """With `retry`, a record is sent a second time if its answer was bad."""
    limits = {"max_rounds": max_rounds, "on_demand_tail": tail}
    shards = Shards.of(records)
    standings = [Standing(shard=shard, records=count, bytes=count) for shard, count in enumerate(records)]
    rounds, passes = 0, 0
    for step in range(1, 4 * (max_rounds + 4)):
        decision, due = decide(standings, rounds=rounds, tail_done=passes > 0, min_records=least, limits=limits)
        if decision == "finish":
            break
        if decision == "join":
            some_stale = any(one.stale for one in standings)
            stale = {one.shard for one in standings if (one.stale if some_stale else one.joined is None)}
            standings = [shards.join(one, step, retry=retry) if one.shard in stale else one for one in standings]
            continue
        jobs: list[list[LeftoverLines]] = chunks(due, records=5)
        if decision == "run_jobs":
            assert not passes, "passes come after rounds"
            retries_only = rounds > max_rounds and not any(one.unsent for one in standings)
            rounds += 1
            whole = whole_shards(due, min_records=least)
            rest = [one for one in due if one.shard not in whole]
            own = [[LeftoverLines(shard, 0, records[shard])] for shard in whole]
            jobs = own + pool(rest, min_records=least, max_records=2 * least, max_bytes=10**9)
            assert jobs, "a round without jobs would be decided again"
            assert all(sum(one.records for one in job) >= least for job in jobs)
        else:
            retries_only = passes > 0
            passes += 1
        for job in jobs:
            shards.run(job, answers, retries_only=retries_only)
            hit = {one.shard for one in job}
            standings = [replace(one, ends=(*one.ends, END)) if one.shard in hit else one for one in standings]
    else:
        pytest.fail("the run does not end")
    assert rounds <= max_rounds + 2 + retry
    assert passes <= 1 + retry
    assert retry or not any(shards.retried)
    assert all(one.joined and not one.stale for one in standings)
    if tail:
        assert all(count for shard in shards.sent for count in shard), "every record is sent at least once"
        assert not retry or not any(map(shards.poor, range(len(records)))), "every poor answer has its second chance"


# --- Canary ---


def canary(*, succeeded: int, failed: int, leftovers: int = 0) -> Standing:
    rows = succeeded + failed + leftovers
    known = replace(
        joined(0, rows=rows, leftovers=leftovers, jobs=1),
        outcomes={"succeeded": succeeded, "failed": failed + leftovers},
        errors={"400": failed},
    )
    return Standing(shard=0, records=rows, bytes=rows, ends=(END,), joined=known)


@pytest.mark.parametrize(("tolerated", "failed"), [(100, 9), (10, 1), (0, 0)])
def test_a_canary_within_the_limit_lets_the_run_go_on(tolerated: float, failed: int) -> None:
    check_canary(canary(succeeded=10 - failed, failed=failed), canary_failure_percentage=tolerated)


def test_throttled_canaries_may_still_be_answered() -> None:
    check_canary(canary(succeeded=9, failed=0, leftovers=1), canary_failure_percentage=0)


@pytest.mark.parametrize(("tolerated", "failed"), [(100, 10), (10, 2), (0, 1)])
def test_a_failing_canary_ends_the_run(tolerated: float, failed: int) -> None:
    with pytest.raises(CanaryFailed, match=rf"{10 - failed} of the first 10 records.*400 \({failed} rows\)"):
        check_canary(canary(succeeded=10 - failed, failed=failed), canary_failure_percentage=tolerated)

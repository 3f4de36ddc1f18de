"""When jobs waited, were queued and ran, from the times of Bedrock's list and of its events."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_batch.contracts.job_times import JobTimes
from bedrock_batch.contracts.results import JobResult
from bedrock_batch.run import timeline

BEGUN = datetime(2026, 11, 29, 7, tzinfo=UTC)


def result(name: str) -> JobResult:
    return JobResult(name, 100, "Completed", "")


def at(seconds: float) -> datetime:
    return BEGUN + timedelta(seconds=seconds)


def times(submitted: float, ended: float) -> JobTimes:
    return JobTimes(at(submitted), at(ended))


def test_waves_show_who_waits_and_who_is_with_bedrock() -> None:
    """Two jobs at a time: the third is submitted when the first has ended. Then comes a second round."""
    known = {"a": times(0, 100), "b": times(0, 200), "c": times(100, 300), "d": times(300, 400)}
    running = {"a": at(20), "b": at(60), "c": at(160), "d": at(310)}
    found = timeline.of_jobs([[result("a"), result("b"), result("c")], [result("d")]], known, running)["timeline"]
    assert found["bin_seconds"] == 5
    places = [seconds // 5 - 1 for seconds in (50, 150, 250, 350)]
    assert [found["waiting"][place] for place in places] == [1, 0, 0, 0]
    assert [found["queued"][place] for place in places] == [1, 1, 0, 0]
    assert [found["running"][place] for place in places] == [1, 1, 1, 1]
    assert [found["ended"][place] for place in places] == [0, 1, 2, 3]
    assert not any(found["start_unknown"])
    assert found["queued_seconds"] == {"least": 10.0, "median": 40.0, "most": 60.0}
    assert found["job_seconds"] == {"least": 100.0, "median": 150.0, "most": 200.0}
    assert [one["begun_at"] for one in found["rounds"]] == ["2026-11-29T07:00:00.000Z", "2026-11-29T07:05:00.000Z"]


def test_jobs_that_bedrock_does_not_list_are_left_out() -> None:
    assert timeline.of_jobs([[result("a")]], {}, {"a": at(1)}) == {}
    found = timeline.of_jobs([[result("a"), result("b")]], {"b": times(0, 9)}, {})
    assert (found["timeline"]["jobs"], [job["job_name"] for job in found["slowest_jobs"]]) == (1, ["b"])


def test_a_round_of_many_jobs_takes_few_comparisons() -> None:
    """Finish run counts 10,000 jobs of one round."""
    compared = 0

    class Moment(datetime):
        def __lt__(self, other: datetime) -> bool:
            nonlocal compared
            compared += 1
            return super().__lt__(other)

    jobs = 1_000
    moments = [Moment(2026, 11, 29, 7, number // 60 % 60, number % 60, tzinfo=UTC) for number in range(jobs)]
    known = {f"job-{number}": JobTimes(moment, at(10_000)) for number, moment in enumerate(moments)}
    timeline.of_jobs([[result(name) for name in known]], known, {})
    assert jobs < compared < 100 * jobs


def test_a_job_whose_event_was_lost_is_neither_queued_nor_running() -> None:
    found = timeline.of_jobs([[result("a")]], {"a": times(0, 100)}, {})
    assert (found["timeline"]["start_unknown"][10], found["timeline"]["queued"][10]) == (1, 0)
    assert "queued_seconds" not in found["timeline"]
    assert "running_at" not in found["slowest_jobs"][0]


@pytest.mark.parametrize(("event", "running"), [(-3, 0), (40, 40), (101, 100)])
def test_a_job_runs_between_its_submission_and_its_end(event: float, running: float) -> None:
    """An event has another clock, and comes after some time, perhaps after the job's end."""
    found = timeline.of_jobs([[result("a")]], {"a": times(0, 100)}, {"a": at(event)})
    assert found["timeline"]["queued_seconds"]["most"] == running
    assert datetime.fromisoformat(found["slowest_jobs"][0]["running_at"]) == at(running)


def test_an_event_that_comes_long_after_the_end_is_none() -> None:
    """Else the job would have been queued all its life."""
    found = timeline.of_jobs([[result("a")]], {"a": times(0, 100)}, {"a": at(161)})
    assert (found["timeline"]["start_unknown"][5], found["timeline"]["queued"][5]) == (1, 0)
    assert "running_at" not in found["slowest_jobs"][0]


def test_an_end_before_its_submission_is_no_time_at_all() -> None:
    found = timeline.of_jobs([[result("a")]], {"a": times(60, 0)}, {"a": at(30)})
    assert found["timeline"]["job_seconds"] == {"least": 0.0, "median": 0.0, "most": 0.0}
    assert found["timeline"]["queued_seconds"]["least"] == 0.0
    assert found["timeline"]["ended"] == [1]


spans = st.tuples(st.integers(0, 10_000_000), st.integers(0, 700_000), st.none() | st.integers(-10, 700_000))


@given(st.lists(st.lists(spans, max_size=30), min_size=1, max_size=4))
def test_every_job_is_in_one_state_at_every_moment(rounds: list[list[tuple[int, int, int | None]]]) -> None:
    named = [[(f"{number}-{place}", span) for place, span in enumerate(one)] for number, one in enumerate(rounds)]
    known = {name: times(start, start + length) for one in named for name, (start, length, _) in one}
    running = {name: at(start + queued) for one in named for name, (start, _, queued) in one if queued is not None}
    found = timeline.of_jobs([[result(name) for name, _ in one] for one in named], known, running)
    if not known:
        assert found == {}
        return
    chart = found["timeline"]
    states = ("waiting", "queued", "running", "start_unknown", "ended")
    steps = list(zip(*(chart[state] for state in states), strict=True))
    assert len(steps) <= 100
    assert all(min(step) >= 0 and sum(step) <= len(known) for step in steps)
    assert steps[-1] == (0, 0, 0, 0, len(known)), "at its end all have ended"
    assert sorted(chart["ended"]) == chart["ended"]
    assert len(found["slowest_jobs"]) == min(len(known), timeline.MOST_SLOWEST)

"""When jobs were with Bedrock, from the times that it lists."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bedrock_batch.contracts.job_times import JobTimes
from bedrock_batch.contracts.results import JobResult
from bedrock_batch.run import timeline

BEGUN = datetime(2026, 11, 29, 7, tzinfo=UTC)


def result(name: str) -> JobResult:
    return JobResult(name, 100, "Completed", "")


def times(submitted: float, ended: float) -> JobTimes:
    return JobTimes(BEGUN + timedelta(seconds=submitted), BEGUN + timedelta(seconds=ended))


def test_waves_show_who_waits_and_who_is_with_bedrock() -> None:
    """Two jobs at a time: the third is submitted when the first has ended. Then comes a second round."""
    known = {"a": times(0, 100), "b": times(0, 200), "c": times(100, 300), "d": times(300, 400)}
    found = timeline.of_jobs([[result("a"), result("b"), result("c")], [result("d")]], known)["timeline"]
    assert found["bin_seconds"] == 5
    at = {seconds: seconds // 5 - 1 for seconds in (50, 150, 250, 350)}
    assert [found["waiting"][place] for place in at.values()] == [1, 0, 0, 0]
    assert [found["at_bedrock"][place] for place in at.values()] == [2, 2, 1, 1]
    assert [found["ended"][place] for place in at.values()] == [0, 1, 2, 3]
    assert found["job_seconds"] == {"least": 100.0, "median": 150.0, "most": 200.0}
    assert [one["begun_at"] for one in found["rounds"]] == ["2026-11-29T07:00:00.000Z", "2026-11-29T07:05:00.000Z"]


def test_jobs_that_bedrock_does_not_list_are_left_out() -> None:
    assert timeline.of_jobs([[result("a")]], {}) == {}
    found = timeline.of_jobs([[result("a"), result("b")]], {"b": times(0, 9)})
    assert (found["timeline"]["jobs"], [job["job_name"] for job in found["slowest_jobs"]]) == (1, ["b"])


spans = st.tuples(st.integers(0, 10_000_000), st.integers(0, 700_000))


@given(st.lists(st.lists(spans, max_size=30), min_size=1, max_size=4))
def test_every_job_is_somewhere_at_every_moment(rounds: list[list[tuple[int, int]]]) -> None:
    named = [[(f"{number}-{place}", span) for place, span in enumerate(one)] for number, one in enumerate(rounds)]
    known = {name: times(start, start + length) for one in named for name, (start, length) in one}
    found = timeline.of_jobs([[result(name) for name, _ in one] for one in named], known)
    if not known:
        assert found == {}
        return
    chart = found["timeline"]
    steps = list(zip(chart["waiting"], chart["at_bedrock"], chart["ended"], strict=True))
    assert len(steps) <= 100
    assert all(min(step) >= 0 and sum(step) <= len(known) for step in steps)
    assert steps[-1] == (0, 0, len(known)), "at its end all have ended"
    assert sorted(chart["ended"]) == chart["ended"]
    assert len(found["slowest_jobs"]) == min(len(known), timeline.MOST_SLOWEST)

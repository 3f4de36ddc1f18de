"""Text is read before the deadline, or reading stops."""

import pytest

from bedrock_batch.table import deadline
from bedrock_batch.table.deadline import NO_DEADLINE, Deadline, OutOfTime


class Clock:
    def __init__(self, *times: float) -> None:
        self._times = iter(times)

    def monotonic(self) -> float:
        return next(self._times)


def stop() -> None:
    raise OutOfTime("s3://b/t.csv")


def test_what_comes_in_time_is_read_and_then_reading_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "time", Clock(100, 109, 110, 111))
    stopped: list[bool] = []
    chunks = iter([b"a", b"b", b"c", b"d"])
    in_time = Deadline.within(10).in_time(chunks, lambda: stopped.append(True))
    assert (list(in_time), stopped) == ([b"a", b"b"], [True])
    assert list(chunks) == [b"d"], "nothing is read ahead"


def test_reading_that_stops_may_be_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "time", Clock(4, 6))
    in_time = Deadline(5).in_time([b"a", b"b"], stop)
    assert next(in_time) == b"a"
    with pytest.raises(OutOfTime, match="t.csv"):
        next(in_time)


def test_without_a_deadline_all_is_read() -> None:
    assert list(NO_DEADLINE.in_time([b"a", b"b"], stop)) == [b"a", b"b"]

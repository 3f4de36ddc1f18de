"""The times of a run's jobs: `timeline` and `slowest_jobs` of the report.

Bedrock lists when a job was submitted and when it ended. When it began to run is known from Bedrock's event, which may
be lost.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from bedrock_batch.contracts.job_times import JobTimes
from bedrock_batch.contracts.results import JobResult

MOST_SLOWEST = 24
_MOST_BINS = 96
_BINS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
"""Lengths of a bin in seconds. A longer bin has a number of whole days."""

_DAY = 86_400
_LATE = timedelta(minutes=1)
"""How long after the end of a short job its event may come. A later event does not show when the job began to run."""


@dataclass(frozen=True, slots=True)
class _Timed:
    round: int
    result: JobResult
    submitted: datetime
    ended: datetime
    running: datetime | None
    """When the job began to run."""

    @property
    def seconds(self) -> float:
        return _seconds(self.submitted, self.ended)


def of_jobs(
    rounds: Sequence[Sequence[JobResult]], times: Mapping[str, JobTimes], running: Mapping[str, datetime]
) -> dict[str, Any]:
    """Return `timeline` and `slowest_jobs`; nothing if the times of no job are known.

    `rounds` are the ends of the jobs of each round. `running` is when jobs began to run, as far as it is known.
    """
    jobs = [
        _timed(number, result, times[result.job_name], running.get(result.job_name))
        for number, round_ in enumerate(rounds)
        for result in round_
        if result.job_name in times
    ]
    if not jobs:
        return {}
    slowest = sorted(jobs, key=lambda one: (-one.seconds, one.result.job_name))[:MOST_SLOWEST]
    return {"timeline": _timeline(jobs), "slowest_jobs": [_listed(one) for one in slowest]}


def _timed(number: int, result: JobResult, times: JobTimes, running: datetime | None) -> _Timed:
    ended = max(times.ended, times.submitted)
    # An event is delivered some seconds after the job began to run, perhaps after the job's end.
    within = min(max(running, times.submitted), ended) if running and running <= ended + _LATE else None
    return _Timed(number, result, times.submitted, ended, within)


def _timeline(jobs: Sequence[_Timed]) -> dict[str, Any]:
    first, last = min(one.submitted for one in jobs), max(one.ended for one in jobs)
    size = _bin(max(1, (last - first).total_seconds()))
    bins = int((last - first).total_seconds() // size) + 1
    edges = [first + timedelta(seconds=size * (number + 1)) for number in range(bins)]
    seconds = [one.seconds for one in jobs]
    queued = [_seconds(one.submitted, one.running) for one in jobs if one.running]
    return {
        "begun_at": _iso(first),
        "ended_at": _iso(last),
        "jobs": len(jobs),
        "bin_seconds": size,
        **_layers(jobs, edges),
        "job_seconds": _spread(seconds),
        **({"queued_seconds": _spread(queued)} if queued else {}),
        "rounds": [
            {
                "round": number,
                "begun_at": _iso(min(one.submitted for one in some)),
                "ended_at": _iso(max(one.ended for one in some)),
            }
            for number, some in sorted(_by_round(jobs).items())
        ],
    }


def _layers(jobs: Sequence[_Timed], edges: Sequence[datetime]) -> dict[str, list[int]]:
    """Return the number of jobs in each state at each edge. A job is in one state at a time."""

    def reached(moments: Iterable[datetime]) -> list[int]:
        ordered = sorted(moments)
        return [bisect_right(ordered, edge) for edge in edges]

    # All jobs of a round wait from the round's first submission on.
    begun = [first for some in _by_round(jobs).values() for first in [min(one.submitted for one in some)] * len(some)]
    ran = [one for one in jobs if one.running]
    unknown = [one for one in jobs if not one.running]
    running = reached(one.running for one in ran if one.running)
    return {
        "waiting": _minus(reached(begun), reached(one.submitted for one in jobs)),
        "queued": _minus(reached(one.submitted for one in ran), running),
        "running": _minus(running, reached(one.ended for one in ran)),
        "start_unknown": _minus(reached(one.submitted for one in unknown), reached(one.ended for one in unknown)),
        "ended": reached(one.ended for one in jobs),
    }


def _minus(some: Sequence[int], others: Sequence[int]) -> list[int]:
    return [one - other for one, other in zip(some, others, strict=True)]


def _by_round(jobs: Sequence[_Timed]) -> dict[int, list[_Timed]]:
    of_round: dict[int, list[_Timed]] = {}
    for one in jobs:
        of_round.setdefault(one.round, []).append(one)
    return of_round


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    return {"least": min(seconds), "median": round(median(seconds), 3), "most": max(seconds)}


def _bin(seconds: float) -> int:
    """Return the length of a bin in seconds, with which the bins fit onto a chart."""
    least = seconds / (_MOST_BINS - 1)
    return next((size for size in _BINS if size >= least), _DAY * -int(-least // _DAY))


def _listed(one: _Timed) -> dict[str, Any]:
    result = one.result
    return {
        "job_name": result.job_name,
        **({"model_id": result.model_id} if result.model_id else {}),
        "round": one.round,
        "status": result.status,
        "records": result.records,
        "submitted_at": _iso(one.submitted),
        **({"running_at": _iso(one.running)} if one.running else {}),
        "ended_at": _iso(one.ended),
        "seconds": one.seconds,
    }


def _seconds(first: datetime, last: datetime) -> float:
    return round((last - first).total_seconds(), 3)


def _iso(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"

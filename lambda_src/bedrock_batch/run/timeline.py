"""The times of a run's jobs: `timeline` and `slowest_jobs` of the report.

The times are those that Bedrock lists: when a job was submitted and when it ended, and not
when it began to run.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True, slots=True)
class _Timed:
    round: int
    result: JobResult
    times: JobTimes

    @property
    def seconds(self) -> float:
        return round((self.times.ended - self.times.submitted).total_seconds(), 3)


def of_jobs(rounds: Sequence[Sequence[JobResult]], times: Mapping[str, JobTimes]) -> dict[str, Any]:
    """Return `timeline` and `slowest_jobs`; nothing if the times of no job are known.

    `rounds` are the ends of the jobs of each round.
    """
    jobs = [
        _Timed(number, result, times[result.job_name])
        for number, round_ in enumerate(rounds)
        for result in round_
        if result.job_name in times
    ]
    if not jobs:
        return {}
    slowest = sorted(jobs, key=lambda one: (-one.seconds, one.result.job_name))[:MOST_SLOWEST]
    return {"timeline": _timeline(jobs), "slowest_jobs": [_listed(one) for one in slowest]}


def _timeline(jobs: Sequence[_Timed]) -> dict[str, Any]:
    first, last = min(one.times.submitted for one in jobs), max(one.times.ended for one in jobs)
    size = _bin(max(1, (last - first).total_seconds()))
    bins = int((last - first).total_seconds() // size) + 1
    edges = [first + timedelta(seconds=size * (number + 1)) for number in range(bins)]
    of_round: dict[int, list[_Timed]] = {}
    for one in jobs:
        of_round.setdefault(one.round, []).append(one)
    submitted = sorted(one.times.submitted for one in jobs)
    ended = sorted(one.times.ended for one in jobs)
    begun = sorted((min(one.times.submitted for one in some), len(some)) for some in of_round.values())
    due = [sum(count for moment, count in begun if moment <= edge) for edge in edges]
    made = [bisect_right(submitted, edge) for edge in edges]
    over = [bisect_right(ended, edge) for edge in edges]
    seconds = [one.seconds for one in jobs]
    return {
        "begun_at": _iso(first),
        "ended_at": _iso(last),
        "jobs": len(jobs),
        "bin_seconds": size,
        "waiting": [all_ - some for all_, some in zip(due, made, strict=True)],
        "at_bedrock": [some - done for some, done in zip(made, over, strict=True)],
        "ended": over,
        "job_seconds": {"least": min(seconds), "median": round(median(seconds), 3), "most": max(seconds)},
        "rounds": [
            {
                "round": number,
                "begun_at": _iso(min(one.times.submitted for one in some)),
                "ended_at": _iso(max(one.times.ended for one in some)),
            }
            for number, some in sorted(of_round.items())
        ],
    }


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
        "submitted_at": _iso(one.times.submitted),
        "ended_at": _iso(one.times.ended),
        "seconds": one.seconds,
    }


def _iso(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"

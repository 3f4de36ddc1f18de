"""Follow a run until it has ended, and its jobs with it."""

import collections
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from bedrock_batch_client import progress, runs
from bedrock_batch_client.errors import ServiceTrouble
from bedrock_batch_client.installation import Installation
from bedrock_batch_client.progress import Status

_T = TypeVar("_T")

_SALVAGE_SECONDS = 1800

_REPORT_SECONDS, _REPORT_LOOK = 60, 5
"""How long to look for the report of a run that was seen to end, and how often at least. stop-run joins first."""

_TROUBLES = 5
"""Looks in a row that may fail before the caller hears of it: a run goes on for days, and networks do not."""


def follow(
    installation: Installation, run: str, *, every: float, pause: Callable[[float], None] = time.sleep
) -> Iterator[Status]:
    """Yield the status of a run every `every` seconds. The last status is that of its end.

    A run that was stopped or failed has ended when stop-run has stopped its jobs and written down how it ended. If the
    run was seen to end, its report is waited for, for a minute: it says what to do.
    """
    went_on, waited = False, 0.0
    while True:
        status = _seen(lambda: progress.status(installation, run), every, pause)
        yield status
        if status.ended:
            if status.good or status.report or not went_on or waited >= _REPORT_SECONDS:
                return
            look = min(every, _REPORT_LOOK)
            waited += look
            pause(look)
            continue
        went_on = True
        if status.status == "STOPPING" and _stop_run_never_began(installation, status):
            raise ServiceTrouble(
                f"The run {run!r} has ended, but stop-run has not begun to stop its jobs. docs/operations.md says how "
                "to start it by hand."
            )
        pause(every)


def until_salvaged(
    installation: Installation, run: str, *, every: float, pause: Callable[[float], None] = time.sleep
) -> Status:
    """Wait until a run that was stopped has ended, and its answers are joined: its report is there.

    A run that was stopped before its plan was made has nothing to join.
    """
    status = last_of(follow(installation, run, every=every, pause=pause))
    deadline = time.monotonic() + _SALVAGE_SECONDS
    while status.rows is not None and not _seen(lambda: _has_report(installation, status), every, pause):
        if time.monotonic() > deadline:
            raise ServiceTrouble(f"The run {run!r} has no report yet. docs/operations.md says how to look at stop-run.")
        pause(every)
    return _seen(lambda: progress.status(installation, run), every, pause)


def last_of(watched: Iterator[Status]) -> Status:
    """Return the last status of a run that is followed."""
    return collections.deque(watched, maxlen=1)[0]


def _seen(look: Callable[[], _T], every: float, pause: Callable[[float], None]) -> _T:
    """Return what a look shows. While AWS or the network has trouble it looks again, but not for ever."""
    for _ in range(_TROUBLES - 1):
        with contextlib.suppress(ServiceTrouble):
            return look()
        pause(every)
    return look()


def _has_report(installation: Installation, status: Status) -> bool:
    """Return whether the report of this end is there. The report of an earlier end is older."""
    written = runs.report_written_at(installation, status.run)
    return written is not None and (status.ended_at is None or written >= status.ended_at.replace(microsecond=0))


def _stop_run_never_began(installation: Installation, status: Status) -> bool:
    item = runs.item(installation, status.run)
    if item is None or item.status != "RUNNING" or status.ended_at is None:
        return False
    return status.seen_at - status.ended_at > runs.STOP_RUN_BEGINS

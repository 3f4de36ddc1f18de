"""The tasks and their candidates."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench import joiners, planners, renderers
from bench.data import SINGLE_RUN, STRUCTURED_RUN, TEXT_RUN, VECTOR_RUN, Workload


@dataclass(frozen=True, slots=True)
class Task:
    """A task whose `candidates` do the same work. `result` turns what a candidate returns into a value to compare.

    `rows` and `size` are the amount of work: rows, and bytes that are written (rendering) or read (other tasks).
    """

    candidates: dict[str, Callable[[Workload], Any]]
    result: Callable[[Any], Any]
    rows: Callable[[Workload], int]
    size: Callable[[Workload], int]


def _join(run_id: str, candidates: Any, answers: tuple[str, ...]) -> Task:
    return Task(
        candidates=joiners.of(run_id, candidates),
        result=lambda written: joiners.table(written, answers),
        rows=lambda work: work.rows_of(run_id),
        size=lambda work: sum(path.stat().st_size for path in work.raw(run_id)),
    )


def _size(work: Workload, folder: str) -> int:
    return sum(path.stat().st_size for path in work.path(f"reviews/work/{TEXT_RUN}/{folder}").iterdir())


TASKS: dict[str, Task] = {
    "render": Task(
        candidates=renderers.RENDERING,
        result=renderers.records,
        rows=lambda work: work.rows,
        size=lambda work: _size(work, "input"),
    ),
    "prepare": Task(
        candidates=renderers.PREPARING,
        result=renderers.records_and_copy,
        rows=lambda work: work.rows,
        size=lambda work: _size(work, "input") + _size(work, "frame"),
    ),
    "join text": _join(TEXT_RUN, joiners.TEXT, joiners.TEXT_COLUMNS),
    "join structured": _join(STRUCTURED_RUN, joiners.STRUCTURED, joiners.STRUCTURED_COLUMNS),
    "join vectors": _join(VECTOR_RUN, joiners.VECTORS, joiners.VECTOR_COLUMNS),
    "join vectors, once": _join(SINGLE_RUN, joiners.VECTORS, joiners.VECTOR_COLUMNS),
    "plan csv": Task(
        candidates=planners.CANDIDATES,
        result=lambda rows: rows,
        rows=lambda work: work.rows,
        size=lambda work: work.path(planners.KEY).stat().st_size,
    ),
}


def available(candidate: str) -> bool:
    """Return whether the library that a candidate is named after is installed."""
    return all(importlib.util.find_spec(name) for name in ("duckdb", "pandas") if name in candidate)


def same(one: Any, other: Any) -> bool:
    """Return whether two results are equal."""
    return bool(one.equals(other)) if hasattr(one, "equals") else bool(one == other)

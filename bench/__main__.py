"""Generate the data, let every candidate do every task in turn, and print how ours compares.

Every measurement is its own process on one core. Candidates take turns, and the best turn of each counts, because other
programs can only make a turn slower. Speed is rows per second of processor time, which on an idle machine equals the
time on the clock.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import data
from bench.targets import TARGETS
from bench.tasks import TASKS, available, same

FULL_ROWS = 2_200_000

LIBRARIES_ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "268435456",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "OPENBLAS_NUM_THREADS": "1",
}
"""The environment of the functions (terraform/functions.tf). Only our candidates get it; the others run as scripts."""

OURS = ("ours", "without schema")

Measured = dict[str, dict[str, float]]


def main() -> None:
    options = _options()
    check(options.folder)
    if options.check:
        print(f"All candidates that are installed give the same, on {data.CHECK_ROWS} rows.")
        return
    work = data.make(options.folder, options.rows)
    load = os.getloadavg()[0]
    print(
        f"\n{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, Python {platform.python_version()}; ", end=""
    )
    print(f"{options.rows:,} rows, {options.repeat} turns, one core.\n")
    missed = 0
    for name in options.tasks:
        task = TASKS[name]
        candidates = [one for one in task.candidates if available(one) and one in (options.only or task.candidates)]
        found = {one: [] for one in candidates}
        for _ in range(options.repeat):
            for one in candidates:
                found[one].append(_measure(name, one, work))
        best = {one: _best(runs) for one, runs in found.items()}
        _print(name, best, rows=task.rows(work), size=task.size(work))
        missed += _compare(name, best, full=options.rows >= FULL_ROWS)
    sys.exit(1 if missed else 0)


def check(folder: Path) -> None:
    """Let all candidates do all tasks on a few rows, to check that all give the same result."""
    work = data.make(folder, data.CHECK_ROWS)
    for name, task in TASKS.items():
        expected = None
        for one, run in task.candidates.items():
            if not available(one):
                print(f"{one} is not installed: left out")
                continue
            result = task.result(run(work))
            if expected is not None and not same(expected, result):
                raise SystemExit(f"{name}: {one} does not give what ours gives")
            expected = result


def _measure(task: str, candidate: str, work: data.Workload) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.measure", task, candidate, str(work.folder), str(work.rows)]
    environment = os.environ | (LIBRARIES_ENVIRONMENT if candidate in OURS else {})
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def _best(runs: list[dict[str, float]]) -> dict[str, float]:
    return {key: min(run[key] for run in runs) for key in runs[0]}


def _print(name: str, best: Measured, *, rows: int, size: int) -> None:
    print(f"| {name}, {rows:,} rows, {size / 1e6:,.0f} MB | rows/s | MB/s | ours is | wall s | peak MB |")
    print("|---|---:|---:|---:|---:|---:|")
    for one, figures in best.items():
        ratio = f"{figures['cpu'] / best['ours']['cpu']:.2f} x" if "ours" in best and one != "ours" else ""
        speeds = f"{rows / figures['cpu']:,.0f} | {size / 1e6 / figures['cpu']:,.0f}"
        print(f"| {one} | {speeds} | {ratio} | {figures['wall']:.1f} | {figures['peak'] / 1e6:,.0f} |", flush=True)
    print()


def _compare(name: str, best: Measured, *, full: bool) -> int:
    """Print each target of the task and the reached value; return the number of missed targets."""
    missed = 0
    for target in TARGETS:
        if target.task != name or not {"ours", target.against} <= best.keys() or (target.full_only and not full):
            continue
        ours, other = best["ours"], best[target.against]
        if target.of == "speed":
            reached = other["cpu"] / ours["cpu"]
            met, stretched, sign = reached >= target.value, reached >= target.stretch, ">="
        else:
            reached = ours["peak"] / other["peak"]
            met, stretched, sign = reached <= target.value, reached <= target.stretch, "<="
        verdict = ("stretch reached" if stretched else "reached") if met else "MISSED"
        goal = f"{sign} {target.value:.2f} x, stretch {target.stretch:.2f} x"
        print(f"- {target.of} against {target.against}: {reached:.2f} x ({goal}): {verdict}", flush=True)
        missed += not met
    print()
    return missed


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000, help="rows of the table; runs of vectors have fewer")
    parser.add_argument("--full", action="store_true", help=f"{FULL_ROWS:,} rows, one turn")
    parser.add_argument("--repeat", type=int, default=5, help="turns of every candidate")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), metavar="TASK")
    parser.add_argument("--check", action="store_true", help="compare what the candidates give, and measure nothing")
    parser.add_argument("--only", nargs="+", metavar="CANDIDATE", help="the others are left out")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "bedrock-batch-bench")
    options = parser.parse_args()
    if options.full:
        options.rows, options.repeat = FULL_ROWS, 1
    return options


if __name__ == "__main__":
    main()

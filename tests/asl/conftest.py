"""One scripted Step Functions for all tests of the session that run machines."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.process import start_engine

from .bench import Bench
from .histories import Ended
from .scenarios import EVENTS, JOBS, RUNS
from .stops import STOPS


@pytest.fixture(scope="session")
def bench(engine_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The machines on a local Step Functions whose services answer by script."""
    folder = tmp_path_factory.mktemp("bench")
    program = ("tests.asl.scripted", str(folder))
    with start_engine(python=engine_python, log=folder / "engine.log", program=program) as engine:
        started = Bench(engine.url, folder)
        started.deploy()
        yield started


@pytest.fixture(scope="session")
def ended(bench: Bench) -> dict[str, Ended]:
    """Every scenario of the table, run to its end; they run side by side."""
    for job in JOBS:
        bench.start_run(job.name, job.answers(), check_seconds=job.check_seconds, expires_at=job.expires_at)
    for run in RUNS:
        bench.start_run(run.name, run.script, shards=run.shards)
    for event in EVENTS:
        bench.start("job-event", event.name, event.script, event.detail)
    for stop in STOPS:
        bench.start_stop(stop.name, stop.answers(), start=stop.start)
    names = [("run", scenario.name) for scenario in [*JOBS, *RUNS]] + [("job-event", event.name) for event in EVENTS]
    names += [("stop-run", stop.name) for stop in STOPS]
    return bench.all_ended(names)

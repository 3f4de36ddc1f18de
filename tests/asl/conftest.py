"""One scripted Step Functions for all tests of the session that run machines."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .bench import Bench
from .histories import Ended
from .machines import ROOT
from .scenarios import DETAIL, EVENTS, JOBS, RUNS
from .stops import STOPS


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The machines on a local Step Functions whose services answer by script."""
    python = Path(os.environ.get("BEDROCK_BATCH_ENGINE_PYTHON", ROOT / ".venv-engine/bin/python"))
    if not python.exists():
        pytest.fail(f"There is no {python}: run make setup, or set BEDROCK_BATCH_ENGINE_PYTHON.", pytrace=False)
    folder, port = tmp_path_factory.mktemp("bench"), free_port()
    log = folder / "engine.log"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
    command = [str(python), "-m", "tests.asl.scripted", str(folder), "--with-parent"]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            wait_for(port, process, log)
            started = Bench(f"http://127.0.0.1:{port}", folder)
            started.deploy()
            yield started
        finally:
            process.kill()


@pytest.fixture(scope="session")
def ended(bench: Bench) -> dict[str, Ended]:
    """Every scenario of the table, run to its end; they run side by side."""
    for job in JOBS:
        bench.start_run(job.name, job.answers(), check_seconds=job.check_seconds)
    for run in RUNS:
        bench.start_run(run.name, run.script, shards=run.shards)
    for event in EVENTS:
        bench.start("job-event", event.name, event.script, DETAIL)
    for stop in STOPS:
        bench.start_stop(stop.name, stop.answers())
    names = [("run", scenario.name) for scenario in [*JOBS, *RUNS]] + [("job-event", event.name) for event in EVENTS]
    names += [("stop-run", stop.name) for stop in STOPS]
    return bench.all_ended(names)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"The scripted Step Functions did not start:\n{log.read_text(errors='replace')[-4000:]}", pytrace=False)

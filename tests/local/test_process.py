"""The local AWS leaves nothing behind, in whatever way it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local.process import Engine, environment, start_engine
from tests.local.conftest import ROOT, Aws
from tests.local.test_lambda import invoke, make_function

# A shell that starts the tests in the background lets them ignore SIGINT, and a child would do so, too.
PARENT = """
import signal, sys, time
from pathlib import Path
from local.process import start_engine
signal.signal(signal.SIGINT, signal.default_int_handler)
engine = start_engine(python=Path(sys.argv[1]), log=Path(sys.argv[2]))
print(engine.pid, engine.url, flush=True)
time.sleep(60)
"""


def alive(pid: int) -> bool:
    """Return whether a process runs. A zombie does not run."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(*pids: int) -> None:
    deadline = time.monotonic() + 5
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [pid for pid in pids if alive(pid)] == []


def worker_of(engine_url: str) -> int:
    """Start a Lambda worker and return its process id."""
    aws = Aws(engine_url)
    make_function(aws)
    return int(invoke(aws, {})[1]["pid"])


def test_stop_ends_the_engine_and_its_workers(engine_python: Path, tmp_path: Path) -> None:
    with start_engine(python=engine_python, log=tmp_path / "log") as engine:
        worker = worker_of(engine.url)
        directory = engine._directory
        assert alive(engine.pid) and alive(worker) and directory.exists()
    wait_until_gone(engine.pid, worker)
    assert not directory.exists()
    engine.stop()  # a second time does no harm


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_engine_ends_with_its_parent(engine_python: Path, tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", PARENT, str(engine_python), str(tmp_path / "log")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        assert parent.stdout
        pid, url = parent.stdout.readline().split()
        worker = worker_of(url)
        os.kill(parent.pid, number)
    wait_until_gone(int(pid), worker)


def test_a_port_in_use_is_told(engine: Engine, engine_python: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="already in use"):
        start_engine(python=engine_python, port=int(engine.url.rsplit(":", 1)[1]), log=tmp_path / "log")


def test_an_interpreter_without_ministack_is_told(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ministack is not installed"):
        start_engine(python=Path(sys.executable), log=tmp_path / "log")


def test_the_environment_is_all_that_a_client_needs(engine: Engine, engine_python: Path) -> None:
    code = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    command = [str(engine_python), "-c", code]
    done = subprocess.run(command, env=environment(engine.url), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "000000000000"

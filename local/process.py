"""Start and stop the local AWS as a child process. Needs only the standard library."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 30.0


@dataclass(slots=True)
class Engine:
    """A running local AWS. Use it as a context manager, or call `stop`."""

    url: str
    pid: int
    _process: subprocess.Popen[bytes] = field(repr=False)
    _directory: Path = field(repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the engine and the Lambda workers it started. A second call does nothing."""
        if not self._directory.exists():
            return
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            os.killpg(self.pid, signal.SIGKILL)  # There is nothing to save, and SIGTERM would take a second.
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()
        shutil.rmtree(self._directory, ignore_errors=True)  # A worker that is ending may still have a file open.

    def reset(self) -> None:
        """Forget every resource, job, fault and setting, as after a fresh start."""
        _call("POST", f"{self.url}/_ministack/reset")

    def configure(self, **bedrock: Any) -> dict[str, Any]:
        """Change settings of the Bedrock stand-in (see local/README.md). Returns what `bedrock` does."""
        return _call("POST", f"{self.url}/_local/bedrock", bedrock)

    def bedrock(self, *, job_name_contains: str = "") -> dict[str, Any]:
        """Return the settings of the Bedrock stand-in and a summary of the jobs with this text in their names."""
        return _call("GET", f"{self.url}/_local/bedrock?job_name_contains={job_name_contains}")

    def fail(self, rules: list[dict[str, Any]]) -> None:
        """Have S3, DynamoDB, Lambda or Step Functions fail calls (see local/README.md); replaces earlier rules."""
        _call("POST", f"{self.url}/_local/faults", {"faults": rules})

    def faults(self) -> list[dict[str, Any]]:
        """Return the rules of `fail`, each with the number of calls it has `fired` for."""
        rules: list[dict[str, Any]] = _call("GET", f"{self.url}/_local/faults")["faults"]
        return rules

    def wait_scale(self, factor: float) -> None:
        """Multiply every Wait and retry delay of Step Functions by `factor`; time-outs stay as they are."""
        _call("POST", f"{self.url}/_ministack/config", {"stepfunctions._SFN_WAIT_SCALE": factor})


def start_engine(
    *,
    python: Path,
    port: int | None = None,
    auth: bool = False,
    log: Path,
    program: Sequence[str] = ("local.engine",),
) -> Engine:
    """Start the local AWS on 127.0.0.1 and wait until it answers.

    `python` is an interpreter that has ministack. Without `port` a free one is taken. `auth` turns on IAM
    enforcement. `program` is the module that serves, and its arguments. Raises RuntimeError, with the end of the log,
    if the engine does not come up.
    """
    port = _free_port(port or 0)
    directory = Path(tempfile.mkdtemp(prefix="bedrock-batch-engine-"))
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(python), "-m", *program, "--with-parent"],
            cwd=_ROOT,
            env=_engine_environment(port=port, auth=auth, directory=directory),
            stdin=subprocess.PIPE,  # Kept open: the engine ends when it closes, even if this process is killed.
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # A process group: Ctrl-C does not reach it, and `stop` ends the workers too.
        )
    engine = Engine(f"http://127.0.0.1:{port}", process.pid, process, directory)
    try:
        _wait_until_ready(engine, process, log)
    except BaseException:
        engine.stop()
        raise
    return engine


def environment(url: str) -> dict[str, str]:
    """Return the AWS_* variables that point an AWS client or Terraform at the local AWS.

    Add them to a copy of the process environment without AWS_PROFILE.
    """
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def _engine_environment(*, port: int, auth: bool, directory: Path) -> dict[str, str]:
    """Return a clean environment: Lambda workers inherit it and must not see the caller's AWS settings."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "PYTHONUNBUFFERED": "1",
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1,localhost",
        "AUTH": "true" if auth else "false",
        "LAMBDA_WARM_TTL_SECONDS": "20",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }


def _wait_until_ready(engine: Engine, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"The local AWS ended with code {process.returncode}.\n{_tail(log)}")
        try:
            _call("GET", f"{engine.url}/_ministack/health")
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"The local AWS did not answer within {_START_SECONDS:.0f} s.\n{_tail(log)}")


def _call(method: str, url: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
    data = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": "application/json"})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through the caller's proxy
    try:
        with direct.open(request, timeout=60) as response:
            answer: dict[str, Any] = json.load(response)
    except urllib.error.HTTPError as error:
        raise ValueError(f"{method} {url}: {error.code} {error.read().decode()}") from error
    return answer


def _free_port(wanted: int) -> int:
    """Return the wanted port, or any for 0. Raises RuntimeError if it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError as error:
            raise RuntimeError(f"Port {wanted} of 127.0.0.1 is already in use.") from error
        port: int = probe.getsockname()[1]
    return port


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])

"""Every command of the client and its Python API on the applied module, also on a terminal and without permissions."""

import contextlib
import csv
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bedrock_batch_client import Batch as Client
from bedrock_batch_client import RunEndedBadly, attach
from local.process import Engine, environment
from local.provision import ROOT
from tests.e2e.batch import Batch, user, wait_until

pytestmark = pytest.mark.e2e

NOVA = "amazon.nova-lite-v1:0"
PROGRAM = [sys.executable, "-c", "from bedrock_batch_client.cli import main; main()"]
ROWS = 240


@dataclass(frozen=True)
class Person:
    """Somebody with a terminal, who has some permissions."""

    environ: dict[str, str]
    folder: Path

    def start(self, *arguments: str, **more: Any) -> "subprocess.Popen[str]":
        """Start a command; its output is text."""
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
        return subprocess.Popen([*PROGRAM, *arguments], cwd=self.folder, env=self.environ, text=True, **given)

    def call(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command without a terminal; return its exit code, its output and its words."""
        with self.start(*arguments) as process:
            out, words = process.communicate(timeout=120)
        assert "Traceback" not in words
        return process.returncode, out, words

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run a command and return the document that it prints."""
        ended, out, words = self.call(*arguments, "--json")
        assert ended == code, words
        return json.loads(out)


def person(engine: Engine, folder: Path, name: str, *policies: str) -> Person:
    """Make a user who has these policies and no others."""
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "client" / "src"),
        "LC_ALL": "C.UTF-8",
        "HOME": str(folder),
        "BEDROCK_BATCH_NAME": "e2e",
    }
    return Person(variables | environment(engine.url) | user(engine, name, *policies), folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("client")
    with (made / "reviews.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "product", "review"])
        writer.writerows([number, "kettle", f"Review {number}:\n it boils"] for number in range(ROWS))
    (made / "prompt.txt").write_text("Judge this {product}: {review}")
    return made


@pytest.fixture(scope="module")
def starter(engine: Engine, batch: Batch, folder: Path) -> Person:
    policies = (batch.outputs["client_policy_json"], batch.outputs["start_policy_json"])
    return person(engine, folder, "starter", *policies)


@pytest.fixture(scope="module")
def reader(engine: Engine, batch: Batch, folder: Path) -> Person:
    return person(engine, folder, "reader", batch.outputs["client_policy_json"])


TABLE = ("--table", "reviews.csv", "--model", NOVA, "--prompt", "@prompt.txt", "--max-tokens", "10")


@contextlib.contextmanager
def slow_jobs(engine: Engine, records_per_second: float) -> Iterator[None]:
    engine.configure(records_per_second=records_per_second)
    try:
        yield
    finally:
        engine.configure(records_per_second=None)


@pytest.fixture(scope="module")
def monday(engine: Engine, starter: Person) -> str:
    """A run that has ended: every tenth record failed for good."""
    engine.configure(faults=[{"record_errors": {"every": 10, "code": 400, "message": "Too long"}}])
    try:
        ended = starter.json(
            "run", *TABLE, "--run-name", "cli-monday", "--output-format", "csv", "--wait", "--every", "0.3"
        )
    finally:
        engine.configure(faults=[])
    assert (ended["status"], ended["outcomes"]) == ("SUCCEEDED", {"succeeded": 216, "failed": 24})
    return "cli-monday"


def test_an_estimate_spends_nothing(batch: Batch, starter: Person) -> None:
    report = starter.json("estimate", *TABLE, "--limit", "200")
    assert (report["estimate"]["records"], report["estimate"]["jobs"], report["rows"]) == (200, 1, 200)
    assert "first_record" not in report
    code, out, words = starter.call("estimate", *TABLE, "--show-record")
    assert code == 0 and "240" in out and "at most 2,400" in out and '"modelInput"' in out
    assert "is read and checked" in words
    uploads = [key for key in batch.keys("datasets/") if key.endswith("-reviews.csv")]
    assert len(uploads) == 1, "the same file is uploaded once"


def test_what_came_out_is_fetched_in_every_format(monday: str, starter: Person, folder: Path) -> None:
    for form in ("csv", "jsonl", "parquet"):
        (one,) = starter.json("fetch", monday, "--out", f"{form}/answers.{form}")
        assert (one["format"], one["parts"]) == (form, 1)
    with (folder / "csv" / "answers.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    lines = [json.loads(line) for line in (folder / "jsonl" / "answers.jsonl").read_text("utf-8").splitlines()]
    table = pq.read_table(folder / "parquet" / "answers.parquet")
    assert [row["id"] for row in rows] == [line["id"] for line in lines] == table["id"].to_pylist()
    assert table["bedrock_outcome"].to_pylist().count("failed") == 24
    assert str(table.schema.field("bedrock_output_tokens").type) == "int64"
    code, out, _ = starter.call("fetch", monday, "--out", "-")
    assert code == 0 and out.splitlines()[0].startswith('"id","product","review"')
    code, _, words = starter.call("fetch", monday, "--out", "csv/answers.csv")
    assert code == 2 and "is there already" in words


def test_rows_without_an_answer_are_shown_by_code(monday: str, starter: Person) -> None:
    found = starter.json("failures", monday, "--examples", "1")
    (group,) = found["groups"]
    assert (found["rows"], group["rows"], group["code"], group["outcome"]) == (240, 24, "400", "failed")
    (example,) = group["examples"]
    assert example["cells"]["id"] == str(example["row"] - 1) and "Too long" in example["error"]
    code, out, _ = starter.call("failures", monday)
    assert code == 0 and "24 of 240 rows have no answer" in out


def test_a_run_is_watched_listed_stopped_and_redriven(engine: Engine, starter: Person, reader: Person) -> None:
    with slow_jobs(engine, 20):
        started = starter.json("run", *TABLE, "--run-name", "cli-tuesday")
        assert started["execution"].endswith(":e2e-run:cli-tuesday")
        lines = reader.start("watch", "cli-tuesday", "--every", "0.3")
        seen = wait_until(lambda: (s := reader.json("status", "cli-tuesday"))["records"]["processed"] and s)
        assert (seen["status"], seen["state"], seen["rows"]) == ("RUNNING", "Run jobs", 240)
        assert {"run": "cli-tuesday", "status": "RUNNING"}.items() <= reader.json("list", "--limit", "1")[0].items()
        code, _, words = starter.call("fetch", "cli-tuesday")
        assert code == 2 and "goes on" in words
        stopped = starter.json("stop", "cli-tuesday", "--wait", "--every", "0.3")
        assert stopped["status"] == "ABORTED" and stopped["outcomes"]["missing"] > 0
    out, words = lines.communicate(timeout=60)
    told = [line.partition("  ")[2] for line in out.splitlines()]
    assert lines.returncode == 1 and "ended ABORTED" in words
    assert "RUNNING · Run jobs" in told and "jobs: 1 InProgress" in told and "ABORTED" in told
    assert len(told) == len(set(told)), "a line says what has changed"
    assert starter.call("watch", "cli-tuesday", "--once")[0] == 1
    assert starter.json("redrive", "cli-tuesday", "--wait", "--every", "0.3")["outcomes"] == {"succeeded": 240}
    assert starter.call("stop", "cli-tuesday")[0] == 0
    code, _, words = starter.call("redrive", "cli-tuesday")
    assert code == 2 and "ended well" in words


def test_whoever_reads_starts_and_stops_nothing(monday: str, reader: Person) -> None:
    machine = ":stateMachine:e2e-run"
    code, _, words = reader.call("run", "--table", "s3://b/t.csv", "--model", NOVA, "--prompt", "{a}")
    assert code == 3 and "states:StartExecution" in words and machine in words
    code, _, words = reader.call("run", *TABLE)
    assert code == 3 and "s3:" in words and "datasets/" in words
    code, _, words = reader.call("redrive", monday)
    assert code == 2
    assert reader.json("status", monday)["status"] == "SUCCEEDED"
    assert reader.json("failures", monday)["rows"] == 240
    assert len(reader.json("fetch", monday, "--overwrite")) == 1


def test_who_may_do_nothing_hears_what_is_missing(engine: Engine, folder: Path) -> None:
    nobody = person(engine, folder, "nobody")
    code, _, words = nobody.call("list")
    assert code == 3 and "dynamodb:GetItem" in words and "table e2e-inventory" in words


def test_what_is_not_there(starter: Person) -> None:
    assert starter.call("status", "never-started")[0] == 4
    code, _, words = starter.call("list", "--name", "nowhere")
    assert code == 3 and "dynamodb:GetItem" in words and "no installation 'nowhere'" in words
    assert starter.call("status")[0] == 2


def test_a_mistake_in_the_document_is_told_by_the_run(starter: Person, folder: Path) -> None:
    (folder / "wrong.json").write_text(json.dumps({"s3_uri": "s3://b/t.csv", "modell_id": NOVA}))
    code, out, words = starter.call("run", "wrong.json", "--wait", "--every", "0.3")
    assert code == 1 and "InvalidRunInput" in out and "modell_id" in out and "ended FAILED" in words
    assert "do this: correct it; start a new run" in out, "the report was waited for"


def test_on_a_terminal_there_is_a_view_and_ctrl_c_leaves_the_run_alone(engine: Engine, starter: Person) -> None:
    with slow_jobs(engine, 10):
        starter.json("run", *TABLE, "--run-name", "cli-terminal")
        ours, theirs = pty.openpty()
        terminal = Person(starter.environ | {"TERM": "xterm", "COLUMNS": "100", "LINES": "30"}, starter.folder)
        watching = terminal.start(
            *("watch", "cli-terminal", "--every", "0.3"),
            **dict.fromkeys(("stdin", "stdout", "stderr"), theirs),
            # Where these tests run in the background of a script, a command would inherit that Ctrl-C is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        os.close(theirs)
        shown = read_until(ours, "InProgress")
        assert "cli-terminal" in shown and "RUNNING" in shown and "\x1b[" in shown
        watching.send_signal(signal.SIGINT)
        shown += read_until(ours, "end it with `stop`")
        assert watching.wait(timeout=30) == 130
        os.close(ours)
    assert starter.json("watch", "cli-terminal", "--every", "0.3")["outcomes"] == {"succeeded": 240}


def read_until(terminal: int, words: str) -> str:
    """Return what a terminal shows until some words appear."""
    shown = ""
    deadline = time.monotonic() + 60
    while words not in shown:
        assert time.monotonic() < deadline, shown
        if select.select([terminal], [], [], 1)[0]:
            try:
                shown += os.read(terminal, 65_536).decode(errors="replace")
            except OSError as err:
                raise AssertionError(f"the command has ended: {shown}") from err
    return shown


def test_five_lines_of_python(engine: Engine, starter: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, starter.environ[name])
    frame = pa.table({"id": list(range(120)), "review": [f"review {n}" for n in range(120)]})
    run = Client("e2e").run(frame, prompt="Sum up {review}", model=NOVA, inference={"max_tokens": 20})
    assert run.wait(every=0.3).status == "SUCCEEDED"
    again = attach(run.name, name="e2e")
    answers = again.to_arrow()
    assert answers["id"].to_pylist() == list(range(120)) and answers["bedrock_response"].null_count == 0
    assert again.report()["rows"] == 120
    wrong = Client("e2e").run(frame, prompt="Sum up {reviw}", model=NOVA)
    with pytest.raises(RunEndedBadly, match="MissingColumn.*reviw"):
        wrong.wait(every=0.3)

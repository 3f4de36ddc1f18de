"""Commands: what they print where, and how they end."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from bedrock_batch_client import uploads
from bedrock_batch_client.api import Batch
from bedrock_batch_client.cli import commands, views
from bedrock_batch_client.errors import Mistake, RunEndedBadly
from bedrock_batch_client.installation import Installation
from tests.client import fakes
from tests.client.test_progress import ESTIMATE, NAMES, REPORT
from tests.client.test_tables import ROWS, bytes_of

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(batch: Batch, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """A function that runs a command and returns its exit code, its output and its words."""
    monkeypatch.setenv("BEDROCK_BATCH_NAME", "reviews")
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str) -> tuple[int, str, str]:
        code = commands.run(arguments)
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


@pytest.fixture
def ended(at: Installation, services: fakes.Aws, put: Any) -> None:
    """The run `monday` has ended, with warnings."""
    services.states.put("monday", "SUCCEEDED")
    services.dynamodb.put_run("monday", status="SUCCEEDED_WITH_WARNINGS", rows=400)
    put(at.report_key("monday"), REPORT)
    put(f"{at.output_prefix('monday')}part-00000.csv", bytes_of(ROWS, "csv"))


TABLE = ("--table", "s3://b/t.csv", "--model", "m")


@pytest.mark.parametrize(
    ("arguments", "document"),
    [
        ((*TABLE, "--prompt", "{a}"), {"s3_uri": "s3://b/t.csv", "model_id": "m", "prompt": {"text": "{a}"}}),
        ((*TABLE, "--prompt", "@p.txt"), {"s3_uri": "s3://b/t.csv", "model_id": "m", "prompt": {"text": "of a file"}}),
        (
            (*TABLE, "--model", "n", "--prompt-id", "p"),
            {"model_id": ["m", "n"], "prompt_id": "p", "s3_uri": "s3://b/t.csv"},
        ),
        ((*TABLE, "--prompt", ""), {"s3_uri": "s3://b/t.csv", "model_id": "m", "prompt": {"text": ""}}),
        (("run.json",), {"s3_uri": "s3://b/u.csv", "model_id": "x", "prompt_id": "q", "output": {"prefix": "p_"}}),
        (
            ("run.json", *TABLE, "--prompt", "{a}", "--output-format", "csv", "--max-tokens", "5", "--limit", "9"),
            {
                "s3_uri": "s3://b/t.csv",
                "model_id": "m",
                "prompt": {"text": "{a}"},
                "output": {"prefix": "p_", "format": "csv"},
                "inference": {"max_tokens": 5},
                "input": {"limit": 9},
            },
        ),
    ],
)
def test_options_are_put_over_the_document(
    call: Call,
    services: fakes.Aws,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    document: dict[str, Any],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.txt").write_text("of a file")
    Path("run.json").write_text(
        json.dumps({"s3_uri": "s3://b/u.csv", "model_id": "x", "prompt_id": "q", "output": {"prefix": "p_"}})
    )
    code, out, words = call("run", *arguments)
    (started,) = services.states.started
    assert (code, out) == (0, f"{started['name']}\n") and "Follow it with" in words
    assert json.loads(started["input"]) == document


def test_a_document_from_standard_input(call: Call, services: fakes.Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"model_id": "m"}')))
    code, out, _ = call("run", "-", "--run-name", "monday", "--json")
    assert (code, json.loads(out)["run"]) == (0, "monday")
    assert services.states.started[0]["input"] == '{"model_id": "m"}'


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run",), "Give a run document, or --table and --model"),
        (("run", "missing.json"), "missing.json"),
        (("run", "wrong.json"), "is not JSON"),
        (("run", "list.json"), "is not a JSON object"),
        (("run", *TABLE, "--prompt", "@gone.txt"), "gone.txt"),
        (("run", *TABLE, "--prompt", "a", "--prompt-id", "b"), "take one"),
        (("run", *TABLE, "--run-name", "a b"), "letters, digits"),
        (("run", "--table", "gone.csv", "--model", "m"), "There is no file 'gone.csv'"),
        (("status", "a.b"), "letters, digits"),
        (("status",), "Missing argument"),
        (("fetch", "monday", "--format", "xlsx"), "xlsx"),
        (("fetch", "monday", "--out", "-", "--json"), "take one"),
        (("list", "--limit", "0"), "--limit"),
        (("look",), "No such command"),
        (("run", "texts.json", "--max-tokens", "5"), "`inference` of the run document is not a JSON object"),
        (("run", "texts.json", "--limit", "5"), "`input` of the run document is not a JSON object"),
        (("run", "half.json"), "is not JSON"),
        (("run", "nan.json"), "is not JSON"),
        (("run", "deep.json"), "is not JSON"),
        (("run", "bytes.json"), "is not JSON"),
        (("run", *TABLE, "--prompt", "@bytes.json"), "bytes.json is not text in UTF-8"),
        (("run", *TABLE, "--prompt", "\udcff"), "is not JSON"),
        (("run", *TABLE, "--run-name", ""), "letters, digits"),
        (("watch", "monday", "--every", "nan"), "not a number of seconds"),
        (("watch", "monday", "--every", "inf"), "not a number of seconds"),
    ],
)
def test_a_mistake_is_a_sentence_and_ends_with_2(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("wrong.json").write_text("{")
    Path("list.json").write_text("[]")
    Path("texts.json").write_text('{"inference": "x", "input": [1]}')
    Path("half.json").write_text('{"prompt": {"text": "\\ud800"}}')
    Path("nan.json").write_text('{"x": NaN}')
    Path("deep.json").write_text("[" * 100_000)
    Path("bytes.json").write_bytes(b"\xff")
    code, out, said = call(*arguments)
    assert (code, out) == (2, "") and words in said and "Traceback" not in said


def test_the_name_of_the_installation_must_be_given(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BEDROCK_BATCH_NAME")
    code, _, words = call("list")
    assert code == 2 and "--name" in words
    assert call("list", "--name", "reviews")[0] == 0
    assert call("list", "--name", "other")[0] == 4


def test_every_kind_of_end_has_its_code(call: Call, services: fakes.Aws, ended: None) -> None:
    assert call("watch", "monday")[0] == 0
    assert call("status", "nothing")[0] == 4
    services.states.put("bad", "FAILED", error="MissingColumn", cause="no {a}")
    services.dynamodb.put_run("bad", status="FAILED", message="no column a")
    code, out, words = call("watch", "bad", "--once")
    assert code == 1 and "MissingColumn: no column a" in out and words == "Error: The run 'bad' ended FAILED.\n"
    assert "Later `bedrock-batch status bad` shows where it is" in out
    assert call("status", "bad")[0] == 0, "to see how a run is has worked"
    services.dynamodb.failing["Query"] = fakes.error("Query", "AccessDeniedException", "Access Denied")
    code, _, words = call("list")
    assert code == 3 and "dynamodb:Query" in words
    services.dynamodb.failing["Query"] = fakes.error("Query", "InternalServerError", "ouch")
    assert call("list")[0] == 5
    assert sorted(commands.EXIT_CODES) == [0, 1, 2, 3, 4, 5, 130]


def test_ctrl_c_says_that_the_run_goes_on(call: Call, services: fakes.Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    services.states.put("monday")
    services.dynamodb.put_run("monday")

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bedrock_batch_client.follow.follow.__kwdefaults__", {"pause": interrupted}, raising=False)
    code, _, words = call("watch", "monday")
    assert code == 130 and "'monday' goes on" in words


def test_ctrl_c_while_the_report_is_waited_for_ends_as_the_run_did(
    call: Call, services: fakes.Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.states.put("monday")
    services.dynamodb.put_run("monday")

    waits: list[float] = []

    def fails_and_is_interrupted(seconds: float) -> None:
        if waits:
            raise KeyboardInterrupt
        waits.append(seconds)
        services.states.put("monday", "FAILED", error="MissingColumn")
        services.dynamodb.put_run("monday", status="FAILED")

    monkeypatch.setattr("bedrock_batch_client.follow.follow.__kwdefaults__", {"pause": fails_and_is_interrupted})
    code, out, words = call("watch", "monday")
    assert (code, words) == (1, "Error: The run 'monday' ended FAILED.\n") and "not written yet" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ("status", "monday"),
        ("watch", "monday"),
        ("watch", "monday", "--once"),
        ("list",),
        ("failures", "monday"),
        ("stop", "monday"),
        ("fetch", "monday", "--out", "out.csv"),
    ],
)
def test_json_is_one_document_on_standard_output(
    call: Call, ended: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = call(*arguments, "--json")
    assert code == 0
    assert json.loads(out)
    assert call(*arguments, *(["--overwrite"] if "fetch" in arguments else []))[1] != out


def test_what_people_see_of_a_run_that_has_ended(call: Call, ended: None) -> None:
    _, out, _ = call("status", "monday")
    for words in (
        "monday",
        "SUCCEEDED_WITH_WARNINGS",
        "399 succeeded, 1 failed",
        "4 Completed",
        "$3.50",
        "one",
        "s3://",
    ):
        assert words in out
    _, out, _ = call("list")
    assert out.split()[:2] == ["RUN", "STATUS"] and "monday" in out and "400" in out


def test_what_people_see_of_a_run_that_failed_says_what_to_do(
    call: Call, at: Installation, batch: Batch, services: fakes.Aws, put: Any
) -> None:
    services.states.put("bad", "FAILED", error="PermissionMissing")
    services.dynamodb.put_run("bad", status="FAILED")
    report = {"status": "FAILED", "error": "PermissionMissing", "message": "no.", "what_to_do": "add it; redrive"}
    put(at.report_key("bad"), report)
    assert "do this  add it; redrive" in call("status", "bad")[1]
    put(at.report_key("bad"), report | {"what_to_do": "add it, " * 50})
    assert "add it, " * 49 in call("status", "bad")[1], "a program gets whole lines"
    services.dynamodb.put_run("bad", status="STOPPING")
    assert "STOPPING" in call("status", "bad")[1] and "do this" not in call("status", "bad")[1]
    services.dynamodb.put_run("bad", status="FAILED")
    put(at.report_key("bad"), report)
    assert "do this: add it; redrive" in call("watch", "bad")[1]
    assert json.loads(call("status", "bad", "--json")[1])["what_to_do"] == "add it; redrive"
    code, out, words = call("watch", "bad", "--json")
    assert code == 1 and json.loads(out)["error"] == "PermissionMissing" and "Do this: add it; redrive." in words
    with pytest.raises(RunEndedBadly, match="ended FAILED: PermissionMissing: no. Do this: add it; redrive.$"):
        batch.attach("bad").wait()


def test_what_people_see_of_a_run_that_goes_on(call: Call, at: Installation, services: fakes.Aws, put: Any) -> None:
    services.states.put("monday")
    services.dynamodb.put_run("monday", rows=400, job_names=NAMES)
    put(at.report_key("monday", "estimate.json"), ESTIMATE)
    services.bedrock.put(f"{NAMES}-r0-00000", "InProgress", done=100)
    services.bedrock.put(f"{NAMES}-r0-00001", "Failed", done=50)
    services.dynamodb.put_job(f"{NAMES}-r0-00001", "\x1b[31mInternal [bold]error[/bold]")
    _, out, _ = call("status", "monday")
    for words in ("RUNNING", "Run jobs", "1 InProgress, 1 Failed", "150 of 400 records", "about $1.50", "(estimated)"):
        assert words in out
    assert "Internal [bold]error[/bold]" in out and "\x1b" not in out
    assert "free capacity" not in out
    services.bedrock.put(f"{NAMES}-r0-00002", "Scheduled")
    assert "unknown: jobs wait for free capacity of Bedrock, which costs nothing" in call("status", "monday")[1]


def test_an_estimate_is_shown_and_its_record_only_if_asked_for(
    call: Call, at: Installation, services: fakes.Aws, put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimate = ESTIMATE | {"rows": 400, "skipped": 3, "on_demand_records": 20, "warnings": []}
    report = REPORT | {"dry_run": True, "estimate": estimate, "first_record": {"recordId": "1", "secret": "row text"}}
    own = services.states.start_execution

    def ends(**arguments: Any) -> Any:
        answer = own(**arguments)
        services.states.put(arguments["name"], "SUCCEEDED")
        put(at.report_key(arguments["name"]), report)
        return answer

    monkeypatch.setattr(services.states, "start_execution", ends)
    code, out, words = call("estimate", *TABLE, "--prompt", "{a}")
    assert code == 0 and "at most $4.00" in out and "skipped rows: 3" in out and "row text" not in out + words
    assert json.loads(services.states.started[0]["input"])["dry_run"] is True
    assert "row text" in call("estimate", *TABLE, "--prompt", "{a}", "--show-record")[1]
    document = json.loads(call("estimate", *TABLE, "--json")[1])
    assert document["estimate"]["records"] == 400 and "first_record" not in document


def test_an_estimate_that_fails_is_a_document_too(
    call: Call, at: Installation, services: fakes.Aws, put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = services.states.start_execution

    def fails(**arguments: Any) -> Any:
        answer = own(**arguments)
        services.states.put(arguments["name"], "FAILED")
        put(
            at.report_key(arguments["name"]),
            REPORT | {"status": "FAILED", "error": "MissingColumn", "message": "no {a}"},
        )
        return answer

    monkeypatch.setattr(services.states, "start_execution", fails)
    code, out, words = call("estimate", *TABLE, "--prompt", "{a}", "--json")
    assert (code, json.loads(out)["status"], json.loads(out)["error"]) == (1, "FAILED", "MissingColumn")
    assert "no {a}" in words


def test_a_file_is_uploaded_where_it_is_said(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(uploads, "place", lambda _, table, to: asked.append((table, to)) or "s3://b/x")
    assert call("run", "--table", "t.csv", "--model", "m", "--upload-to", "s3://mine/")[0] == 0
    assert asked == [("t.csv", "s3://mine/")]


@pytest.mark.parametrize("name", ["monday", "a b"])
def test_a_name_that_cannot_be_used_is_refused_before_the_upload(
    call: Call, batch: Batch, services: fakes.Aws, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    services.dynamodb.put_run("monday")
    monkeypatch.setattr(uploads, "place", lambda *_, **__: pytest.fail("it is uploaded"))
    assert call("run", "--table", "t.csv", "--model", "m", "--run-name", name)[0] == 2
    with pytest.raises(Mistake):
        batch.run("t.csv", model="m", name=name)


def test_without_the_extra_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    program = "import sys; sys.modules['click'] = None; from bedrock_batch_client.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd="client/src")
    assert done.returncode == 2
    assert done.stderr == 'The command needs click and rich: pip install "bedrock-batch-client[cli]"\n'


def test_every_command_and_option_says_what_it_does() -> None:
    for name, command in commands.cli.commands.items():
        assert command.help, name
        for parameter in command.params:
            assert isinstance(parameter, click.Argument) or parameter.help, f"{name} {parameter.name}"  # type: ignore[attr-defined]


PROGRAM = """
import sys
from tests.client import fakes
from bedrock_batch_client import follow, installation
from bedrock_batch_client.cli import main

follow._REPORT_SECONDS = 0

class NoObjects:
    def get_object(self, **_):
        raise fakes.error("GetObject", "NoSuchKey")

aws = fakes.Aws(s3=NoObjects())
installation.Clients = lambda *_: aws
aws.states.put("monday")
aws.dynamodb.put_run("monday")
for number in range(2_000):
    aws.dynamodb.put_run(f"run-{number}-{'x' * 60}", status="FAILED")
own, looks = aws.states.describe_execution, []

def describe(**asked):
    looks.append(1)
    if len(looks) == 3:
        aws.states.put("monday", "FAILED", error="…", cause="\U0001f600")
        aws.dynamodb.put_run("monday", status="FAILED")
    return own(**asked)

aws.states.describe_execution = describe
main()
"""


def start(*arguments: str, **environ: str) -> "subprocess.Popen[bytes]":
    """Start the command in a process of its own, in front of services in memory."""
    variables = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "AWS_DEFAULT_REGION": "us-east-1",
        "BEDROCK_BATCH_NAME": "reviews",
        "LC_ALL": "C.UTF-8",
    }
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], env=variables | environ, **pipes)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("list", "--limit", "1000"), 0, ""),
        (("watch", "monday", "--every", "0.5"), 130, "The run 'monday' goes on."),
    ],
)
def test_a_reader_that_has_enough(arguments: tuple[str, ...], code: int, words: str) -> None:
    """As `head -1`. Of a run that goes on it is not known how it ends, so the code is not 0."""
    with start(*arguments) as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read().decode()
    assert process.returncode == code
    assert words in said and "Traceback" not in said and "BrokenPipe" not in said


def test_an_encoding_that_lacks_a_character() -> None:
    for arguments in (("watch", "monday", "--every", "0.05"), ("watch", "monday", "--every", "0.05", "--json")):
        with start(*arguments, PYTHONIOENCODING="ascii") as process:
            out, said = process.communicate()
        assert process.returncode == 1 and b"Traceback" not in said, said
    assert json.loads(out.decode("ascii"))["message"] == "\U0001f600"


def test_a_pipe_is_not_a_terminal_whatever_the_environment_says() -> None:
    with start("watch", "monday", "--every", "0.05", FORCE_COLOR="1", TTY_COMPATIBLE="1") as process:
        out, _ = process.communicate()
    assert b"FAILED" in out and b"\x1b" not in out


def test_a_narrow_or_simple_terminal_loses_nothing(
    call: Call, services: fakes.Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "30")
    services.dynamodb.put_run("20261129-140147-6657", status="SUCCEEDED_WITH_WARNINGS")
    out = call("list")[1]
    assert "20261129-140147-6657" in out and "SUCCEEDED_WITH_WARNINGS" in out
    assert views.on_terminal()
    monkeypatch.setenv("TERM", "dumb")
    assert not views.on_terminal()

"""Run every command of the README and of the pages that it sends a first reader to unchanged, in their order."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from local.process import Engine, environment
from local.provision import ROOT
from tests.e2e.batch import Batch, user, wait_until
from tests.report_schema import check

pytestmark = pytest.mark.e2e

NOT_RUN_HERE = {
    "make demo": "starts a local AWS of its own; CI runs it apart",
    "make test": "this test is a part of it",
    'pip install "./client[cli,data]"': "tests/client/test_house.py installs the wheel; here the source is used",
    "make clean": "deletes what this test needs",
    "make package": "downloads libraries for arm64; tests/unit/test_package.py builds the zips of a small list",
    "make deploy VARS=my.tfvars": "asks for a yes; terraform/tests plan its example, test_lifecycle.py applies",
    "make release": "tests/long/test_release_twice.py builds a release",
    "make publish": "tests/functional/test_publish.py publishes a release",
    "make publish BUCKET=…": "as above",
    "terraform init": "tests/terraform/test_release.py does this with the README's module block",
    "terraform apply": "test_lifecycle.py applies an installation",
    "terraform destroy": "test_lifecycle.py destroys an installation",
    "aws bedrock create-foundation-model-agreement": "the stand-in for Bedrock has no marketplace",
}
FENCED = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:aws|make|terraform) [^`]+)`")


class Page:
    """The commands of a document: its fenced blocks by heading."""

    def __init__(self, path: Path) -> None:
        text = path.read_text("utf-8")
        sections = re.split(r"^#+ (.*)$", text, flags=re.MULTILINE)[1:]
        self.blocks = {
            heading: found
            for heading, body in zip(sections[::2], sections[1::2], strict=True)
            if (found := FENCED.findall(body))
        }
        self.inline = set(INLINE.findall(FENCED.sub("", text)))


PAGES = README, BEFORE, PACKAGES, OPERATIONS = (
    Page(ROOT / "README.md"),
    *(Page(ROOT / "docs" / name) for name in ("before-the-first-run.md", "packages.md", "operations.md")),
)
NOVA = "amazon.nova-lite-v1:0"


@dataclass
class Shell:
    """A shell in which one block after the other runs: variables and files stay."""

    folder: Path
    environ: dict[str, str]
    done: list[str] = field(default_factory=list)

    def run(self, block: str) -> str:
        """Run the commands of a block and return what they print. None may fail or complain."""
        self.done.append(block)
        commands = block.replace("NAME=reviews ", "NAME=e2e ")  # The name of the applied module.
        script = f"set -eua\n. ./variables\n{commands}\nexport -p > variables"
        ended = subprocess.run(
            ["sh", "-c", script], cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=300
        )
        assert (ended.returncode, ended.stderr) == (0, ""), f"{block}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def look_at(self, run: str) -> None:
        """Set the variables of the operations page for another run than its example."""
        (block,) = OPERATIONS.blocks["Operations"]
        assert "RUN=monday" in block
        self.run(block.replace("RUN=monday", f"RUN={run}"))

    def of_another(self, environ: dict[str, str]) -> "Shell":
        """Return a shell for another person, who shares no variables, the credentials among them."""
        folder = self.folder / "another"
        folder.mkdir()
        (folder / "variables").touch()
        return Shell(folder, self.environ | environ, self.done)

    def refuses(self, command: str) -> bool:
        """Return whether AWS denies a command."""
        ended = subprocess.run(
            ["sh", "-c", f". ./variables\n{command}"], cwd=self.folder, env=self.environ, capture_output=True, text=True
        )
        return ended.returncode != 0 and bool(re.search("AccessDenied|Forbidden|403", ended.stderr))


@pytest.fixture(scope="module")
def shell(engine: Engine, batch: Batch, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell in the applied root, for a person with only the documented permissions."""
    folder = tmp_path_factory.mktemp("documented")
    (folder / "variables").touch()
    outputs = {
        name: {"value": value, "type": "string"} for name, value in batch.outputs.items() if isinstance(value, str)
    }
    state = {"version": 4, "serial": 1, "lineage": "documented", "terraform_version": "1.9.0", "outputs": outputs}
    (folder / "terraform.tfstate").write_text(json.dumps(state | {"resources": []}))
    # In us-east-1 version 1 of the CLI has an endpoint of SQS that AWS_ENDPOINT_URL does not replace.
    cli = folder / "bin" / "aws"
    cli.parent.mkdir()
    real = shlex.quote(str(Path(sys.executable).parent / "aws"))
    cli.write_text(f'#!/bin/sh\nexec {real} --endpoint-url "$AWS_ENDPOINT_URL" "$@"\n')
    cli.chmod(0o755)
    client = cli.with_name("bedrock-batch")
    program = shlex.join([sys.executable, "-c", "from bedrock_batch_client.cli import main; main()"])
    client.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT / "client" / "src"))} exec {program} "$@"\n')
    client.chmod(0o755)
    policies = (batch.outputs["client_policy_json"], batch.outputs["start_policy_json"])
    variables = {"PATH": f"{cli.parent}:{os.environ['PATH']}", "AWS_PAGER": "", "LC_ALL": "C.UTF-8"}
    return Shell(folder, environment(engine.url) | variables | user(engine, "person", *policies))


@pytest.fixture
def slow_jobs(engine: Engine) -> Iterator[None]:
    """A job of 120 rows takes half a minute, so that there is something to look at, to stop and to slow down."""
    engine.configure(records_per_second=4)
    yield
    engine.configure(records_per_second=None)


def test_what_an_administrator_does_before_the_first_run(engine: Engine, shell: Shell) -> None:
    administrator = shell.of_another(environment(engine.url))
    (say_hello,) = BEFORE.blocks["Access to models"]
    (ask_for_parameter,) = BEFORE.blocks["The parameter ModelInvocationType"]
    assert json.loads(administrator.run(say_hello))["output"]["message"]["content"]
    assert json.loads(administrator.run(ask_for_parameter)) == ["OK", []]


def test_the_first_run_with_the_client(batch: Batch, shell: Shell) -> None:
    _, with_the_client = README.blocks["The first run, with the client"]
    shown = shell.run(with_the_client)
    assert "SUCCEEDED" in shown and "answers.csv" in shown
    assert (shell.folder / "answers.csv").read_text("utf-8").count("kettle") == 20


def test_the_first_run_then_all_that_an_operator_does(batch: Batch, shell: Shell, slow_jobs: None) -> None:
    upload, start_first, look, start_second = README.blocks["The first run, with the AWS CLI"]
    shell.run(upload)
    shell.run(start_first)
    status, header, *rows = shell.run(look).splitlines()[:22]
    assert status == "SUCCEEDED\tNone\tNone"
    assert header.startswith('"product","review","bedrock_outcome","bedrock_response"')
    assert [row.split('",')[2] for row in rows[:20]] == ['"succeeded'] * 20
    assert batch.report("first-look")["rows"] == 20

    shell.run(start_second)
    shell.run(*OPERATIONS.blocks["Operations"])
    glance, execution, item, progress, report, page, jobs, in_status = OPERATIONS.blocks["A run at a glance"]
    stop, stops, stop_by_hand, in_progress = OPERATIONS.blocks["Stop a run"]
    claim, versions = OPERATIONS.blocks["Names, claims and versions"]
    (slow_down,) = OPERATIONS.blocks["Quotas"]

    # While the job runs
    (job,) = wait_until(lambda: json.loads(shell.run(in_progress)))
    assert shell.run(execution).split()[0] == "RUNNING"
    assert "RUNNING" in shell.run(glance)
    known = json.loads(shell.run(item))
    assert (known["status"], known["rows"], known["ended"]) == ("RUNNING", "120", None)
    assert job.startswith(f"{known['jobs']}-")
    wait_until(lambda: 0 < records_done(shell.run(progress)) < 120)
    assert f"job/{job}\t{NOVA}\tSubmitted\t120" in shell.run(jobs)
    assert "run/monday\t20" in shell.run(in_status)
    claimed = json.loads(shell.run(claim))
    assert claimed["execution_arn"] == execution_arn(batch, "monday")
    assert sorted(json.loads(shell.run(versions))) == sorted(claimed["functions"].values())
    shell.run(slow_down)
    (map_run,) = [name for name in map_runs(batch, "monday") if "/RunJobs:" in name]
    assert batch.sfn.describe_map_run(mapRunArn=map_run)["maxConcurrency"] == 5

    # Stopped
    shell.run(stop)
    wait_until(lambda: json.loads(shell.run(item))["status"] == "ABORTED")
    assert json.loads(shell.run(in_progress)) == []
    wait_until(lambda: batch.keys("e2e/reports/monday/report.json"))
    assert json.loads(shell.run(report))["salvaged"] is True
    shell.run(page)
    assert "the execution was stopped" in (shell.folder / "report.html").read_text("utf-8")
    assert f"job/{job}\t{NOVA}\tStopped\t120" in shell.run(jobs)
    wait_until(lambda: shell.run(stops).split()[1] == "SUCCEEDED")
    by_hand = json.loads(shell.run(stop_by_hand))["executionArn"]
    assert batch.wait(by_hand).status == "SUCCEEDED"

    # Redriven
    batch.engine.configure(records_per_second=None)
    shell.run(*OPERATIONS.blocks["Redrive a run"])
    assert batch.wait(execution_arn(batch, "monday")).status == "SUCCEEDED"
    assert batch.report("monday")["outcomes"]["succeeded"] == 120
    both = batch.report("first-look")["cost_usd"] + batch.report("monday")["cost_usd"]
    assert both < 0.001, "a tenth of a cent, says the README"


def test_the_queries_work_for_a_run_that_failed_at_its_plan(batch: Batch, shell: Shell) -> None:
    uri = batch.upload("typo.csv", b"product,reviw\nkettle,good\n")
    batch.run("typo", {"s3_uri": uri, "model_id": NOVA, "prompt_id": "sentiment"})
    shell.look_at("typo")
    glance, execution, item, progress, report, page, jobs, _ = OPERATIONS.blocks["A run at a glance"]
    assert "MissingColumn" in shell.run(glance)
    status, _, _, error, cause = shell.run(execution).rstrip().split("\t")
    assert (status, error) == ("FAILED", "MissingColumn")
    assert "{review}" in json.loads(cause)["errorMessage"]
    assert json.loads(shell.run(item))["rows"] is None
    assert records_done(shell.run(progress)) == 0
    assert shell.run(jobs).strip() in ("", "None")
    wait_until(lambda: batch.keys("e2e/reports/typo/report.json"))
    assert json.loads(shell.run(report))["error"] == "MissingColumn"
    check(json.loads(shell.run(report)))
    shell.run(page)
    assert "use one of the columns that the message lists" in (shell.folder / "report.html").read_text("utf-8")


def test_the_queue_of_undelivered_events_is_readable(shell: Shell) -> None:
    shell.run(*OPERATIONS.blocks["Events that were not delivered"])


def test_the_policy_for_people_opens_nothing_else(shell: Shell) -> None:
    for command in (
        'aws s3 cp reviews.csv "s3://$BUCKET/e2e/output/monday/part-00000.csv"',
        'aws s3 cp reviews.csv "s3://$BUCKET/e2e/config/settings.json"',
        'aws s3 cp "s3://$BUCKET/e2e/config/settings.json" -',
        'aws s3 rm "s3://$BUCKET/datasets/reviews.csv"',
        'aws dynamodb delete-item --table-name "$TABLE" --key "{\\"pk\\": {\\"S\\": \\"run/monday\\"}}"',
        "aws bedrock-runtime converse --model-id amazon.nova-lite-v1:0 --messages role=user,content=[{text=Hello}]",
        "aws lambda list-functions",
    ):
        assert shell.refuses(command), command


def test_no_command_was_left_out(shell: Shell) -> None:
    blocks = [block for page in PAGES for blocks in page.blocks.values() for block in blocks]
    assert [block for block in blocks if block not in shell.done and block.strip() not in NOT_RUN_HERE] == []
    assert set().union(*(page.inline for page in PAGES)) <= NOT_RUN_HERE.keys()


def execution_arn(batch: Batch, run: str) -> str:
    return str(batch.outputs["run_state_machine_arn"]).replace(":stateMachine:", ":execution:") + f":{run}"


def records_done(printed: str) -> int:
    """Return Bedrock's count of the records that are done: the second of the two answers, below a table."""
    done: int = json.loads(printed[printed.index("{") :])["done"]
    return done


def map_runs(batch: Batch, run: str) -> list[str]:
    found = batch.sfn.list_map_runs(executionArn=execution_arn(batch, run))["mapRuns"]
    return [map_run["mapRunArn"] for map_run in found]

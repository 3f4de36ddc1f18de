"""A new version of the module is deployed while a run goes on: the run keeps the code that it began with.

The second version is a changed copy of the first: functions and machines have another contract, and the machines' last
states have other names, so that a history shows which definition was used. The first version has its zips from this
machine; the second, a release, has them from a bucket.
"""

import dataclasses
import json
import re
import shutil
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bedrock_batch.contracts.version import CONTRACT
from local.process import Engine
from local.provision import ROOT, Deployment
from release import manifest, publish
from tests.e2e.batch import Batch, Ended, client, wait_until
from tests.e2e.fixtures import PROMPTS, RESERVED
from tests.e2e.test_recovery import NOVA, start, table

pytestmark = pytest.mark.e2e

NAME = "lasting"
ARTIFACTS = "artifacts"
LAYER = ROOT / "build" / "local" / "layer.zip"
ROWS = 250
ENDS = {
    "run": ("Run succeeded", "Run has succeeded"),
    "stop-run": ("Run stopped", "Run was stopped"),
}
"""The last state of a machine, in the first version and in the second."""


def released(folder: Path, contract: int) -> Deployment:
    """Return the module of a contract: sources and zips, copied into the folder."""
    for part in ("terraform", "asl", "local/terraform"):
        ignored = shutil.ignore_patterns(".terraform*", "tests", "examples")
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    if contract != CONTRACT:
        for path in (folder / "asl").glob("*.asl.json"):
            text = re.sub(r'"contract": \d+', f'"contract": {contract}', path.read_text("utf-8"))
            first, second = ENDS.get(path.name.removesuffix(".asl.json"), ("", ""))
            path.write_text(text.replace(f'"{first}"', f'"{second}"') if first else text, "utf-8")
    code = folder / "code.zip"
    with zipfile.ZipFile(ROOT / "build" / "code.zip") as built, zipfile.ZipFile(code, "w") as copy:
        for item in built.infolist():
            body = built.read(item)
            if item.filename.endswith("contracts/version.py"):
                body = re.sub(rb"^CONTRACT = \d+$", b"CONTRACT = %d" % contract, body, flags=re.MULTILINE)
            copy.writestr(item, body)
    label = json.loads((ROOT / "build" / "code.json").read_text("utf-8")) | {"sha256": manifest.describe(code).sha256}
    code.with_suffix(".json").write_text(json.dumps(label))
    package = {"code_path": str(code), "layer_path": str(LAYER)}
    return Deployment(folder / "local" / "terraform", folder, "", {"package": package})


def published(made: Deployment, engine: Engine) -> Deployment:
    """Make a release of a version, put its zips into a bucket, and return the version as it is applied from there."""
    folder, name = made.work, f"layer-{json.loads(LAYER.with_suffix('.json').read_text('utf-8'))['architecture']}"
    shutil.copy(LAYER, folder / f"{name}.zip")
    zips = {kind: manifest.describe(folder / f"{kind}.zip") for kind in ("code", name)}
    (folder / "terraform" / "release.json").write_text(manifest.text(zips))
    client(engine, "s3").create_bucket(Bucket=ARTIFACTS)
    new = publish.publish(client(engine, "s3"), zips, folder, ARTIFACTS, "releases/")
    assert len(new) == 2
    assert publish.publish(client(engine, "s3"), zips, folder, ARTIFACTS, "releases/") == []
    return dataclasses.replace(made, variables={"package": {"s3": {"bucket": ARTIFACTS, "prefix": "releases/"}}})


@pytest.fixture(scope="module")
def mailbox(engine: Engine) -> tuple[str, str]:
    """The ARN of a topic, and the URL of a queue that gets its messages as they are."""
    topic = client(engine, "sns").create_topic(Name=f"{NAME}-ends")["TopicArn"]
    queue = f"arn:aws:sqs:us-east-1:000000000000:{NAME}-ends"
    allowed = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [allowed | {"Resource": queue}]}
    url = client(engine, "sqs").create_queue(QueueName=f"{NAME}-ends", Attributes={"Policy": json.dumps(policy)})[
        "QueueUrl"
    ]
    client(engine, "sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"}
    )
    return topic, url


@pytest.fixture(scope="module")
def versions(
    engine: Engine, terraform_points_here: None, mailbox: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> list[Deployment]:
    """Two versions of one installation, to be applied one after the other. The installation ends with the engine."""
    work = tmp_path_factory.mktemp("work")
    common = {
        "name": NAME,
        "models": [NOVA],
        "prompts": PROMPTS,
        "functions": {"reserved_concurrency": RESERVED},
        "force_destroy": True,
        "notifications": {
            "topic_arn": mailbox[0],
            "on": ["SUCCEEDED", "SUCCEEDED_WITH_WARNINGS", "FAILED", "TIMED_OUT", "ABORTED"],
        },
    }
    first, second = (
        released(tmp_path_factory.mktemp(f"contract-{contract}"), contract) for contract in (CONTRACT, CONTRACT + 1)
    )
    return [
        dataclasses.replace(one, work=work, url=engine.url, variables={**common, **one.variables})
        for one in (first, published(second, engine))
    ]


@dataclass(frozen=True)
class Followed:
    """What an execution and its children did: the states they entered, and the functions they called, with versions."""

    states: list[str]
    functions: Counter[str]

    @property
    def versions(self) -> set[str]:
        return {name.rpartition(":")[2] for name in self.functions}


def follow(batch: Batch, arn: str) -> Followed:
    states, functions = [], Counter[str]()
    for one in _with_children(batch, arn):
        for page in batch.sfn.get_paginator("get_execution_history").paginate(executionArn=one):
            for event in page["events"]:
                if one == arn and "stateEnteredEventDetails" in event:
                    states.append(event["stateEnteredEventDetails"]["name"])
                details = event.get("taskScheduledEventDetails", {})
                if details.get("resourceType") == "lambda":
                    functions[json.loads(details["parameters"])["FunctionName"]] += 1
    return Followed(states, functions)


def _with_children(batch: Batch, arn: str) -> Iterator[str]:
    yield arn
    for run in batch.sfn.list_map_runs(executionArn=arn)["mapRuns"]:
        for child in batch.sfn.list_executions(mapRunArn=run["mapRunArn"])["executions"]:
            yield child["executionArn"]


@dataclass(frozen=True)
class Story:
    """What happened, in the order of time."""

    batch: Batch
    claim: dict[str, Any]
    stop: Followed
    salvaged: Counter[str]
    report: dict[str, Any]
    redriven: Ended
    old: Followed
    new: Followed
    messages: list[str]


@pytest.fixture(scope="module")
def story(engine: Engine, versions: list[Deployment], mailbox: tuple[str, str]) -> Story:
    first, second = versions
    batch = Batch(engine, first.apply())
    # A job of a hundred records outlasts the second apply.
    engine.configure(faults=[], records_per_second=1)
    try:
        arn = start(batch, "kept", ROWS, limits={"max_concurrent_jobs": 1})
        wait_until(lambda: engine.bedrock(job_name_contains="-kept-")["records"])
        second.apply()
        assert second.pending_changes() == []
        batch.sfn.stop_execution(executionArn=arn)
        stop = follow(batch, batch.stop_of(executionArn=arn))
    finally:
        engine.configure(records_per_second=None)
    salvaged = Counter(batch.table("kept")["bedrock_outcome"].to_pylist())
    report = batch.report("kept")
    claim = json.loads(batch.read(f"{NAME}/claims/kept.json"))

    batch.sfn.redrive_execution(executionArn=arn)
    redriven = batch.wait(arn)
    new = start(batch, "new", 30)
    assert batch.wait(new).status == "SUCCEEDED"
    wait_until(lambda: "run/new" in batch.inventory("new"))
    messages: list[str] = []
    sqs = client(engine, "sqs")

    def all_three() -> bool:
        answer = sqs.receive_message(QueueUrl=mailbox[1], MaxNumberOfMessages=10)
        # EventBridge hands the topic the text as JSON, in quotes.
        messages.extend(json.loads(message["Body"]) for message in answer.get("Messages", []))
        return len(messages) >= 3

    wait_until(all_three)
    return Story(
        batch, claim, stop, salvaged, report, redriven, follow(batch, arn), follow(batch, new), sorted(messages)
    )


def test_the_run_is_stopped_by_the_new_machine_with_the_functions_that_it_began_with(story: Story) -> None:
    assert story.claim["contract"] == CONTRACT
    assert story.stop.states[-1] == ENDS["stop-run"][1], "the definition is the new one"
    assert story.stop.functions.keys() == set(story.claim["functions"].values())
    assert story.stop.versions == {"1"}


def test_what_was_answered_before_the_stop_is_in_the_table(story: Story) -> None:
    assert (story.report["salvaged"], story.report["status"]) == (True, "ABORTED")
    assert story.salvaged["succeeded"] == story.report["outcomes"]["succeeded"] > 0
    assert story.salvaged.total() == ROWS


def test_the_redrive_goes_on_with_the_old_definition_and_the_old_functions(story: Story) -> None:
    assert (story.redriven.status, story.redriven.cause) == ("SUCCEEDED", "")
    assert story.old.states[-1] == ENDS["run"][0]
    assert story.old.versions == {"1"}
    result = story.batch.table("kept")
    assert result.select(["product", "review"]).to_pylist() == table("kept", ROWS)
    assert set(result["bedrock_outcome"].to_pylist()) == {"succeeded"}
    assert story.batch.paid_twice("kept") == {}


def test_a_new_run_has_the_new_definition_and_the_new_functions(story: Story) -> None:
    assert story.new.states[-1] == ENDS["run"][1]
    assert story.new.versions == {"2"}
    assert json.loads(story.batch.read(f"{NAME}/claims/new.json"))["contract"] == CONTRACT + 1
    assert set(story.batch.table("new")["bedrock_outcome"].to_pylist()) == {"succeeded"}


def test_people_hear_of_every_end(story: Story) -> None:
    machine = story.batch.outputs["run_state_machine_arn"].replace(":stateMachine:", ":execution:")
    aborted, kept, new = story.messages
    do = f"Why, and what to do: bedrock-batch status kept --name {NAME}"
    assert aborted == f"Run kept of {NAME} ended ABORTED: {machine}:kept. {do}"
    for message, name, output in ((kept, "kept", story.redriven.output), (new, "new", None)):
        warnings = output["warnings"] if output else len(story.batch.report(name)["warnings"])
        status = "SUCCEEDED_WITH_WARNINGS" if warnings else "SUCCEEDED"
        assert message.startswith(f"Run {name} of {NAME} ended {status} (warnings: {warnings}): s3://")
        assert story.batch.inventory(name)[f"run/{name}"]["status"] == status
        assert message.endswith("/report.json")


@pytest.mark.parametrize(
    ("contract", "said"),
    [
        (CONTRACT - 1, "An older version of the module started this run. Start a new run."),
        (CONTRACT + 2, "Deploy the version of the module that started this run, or a newer one."),
        (None, "Let runs of version 0.1 end before you upgrade."),
    ],
)
@pytest.mark.parametrize("function", ["finish-run", "join-shard"])
def test_a_function_refuses_the_contracts_that_it_does_not_read(
    story: Story, function: str, contract: int | None, said: str
) -> None:
    event = {} if contract is None else {"contract": contract}
    answer = client(story.batch.engine, "lambda").invoke(
        FunctionName=f"{NAME}-{function}:2", Payload=json.dumps(event).encode()
    )
    error = json.loads(answer["Payload"].read())
    assert error["errorType"] == "ContractMismatch"
    assert error["errorMessage"].endswith(said)


def test_the_new_functions_read_what_the_old_ones_wrote(story: Story) -> None:
    """Events of the contract before pass the edge, but fail later because keys are missing."""
    answer = client(story.batch.engine, "lambda").invoke(
        FunctionName=f"{NAME}-finish-run:2", Payload=json.dumps({"contract": CONTRACT}).encode()
    )
    assert "has no key" in json.loads(answer["Payload"].read())["errorMessage"]


@pytest.mark.long
def test_without_the_published_zips_only_what_needs_them_is_refused(story: Story, versions: list[Deployment]) -> None:
    s3, release = client(story.batch.engine, "s3"), versions[1]
    for item in s3.list_objects_v2(Bucket=ARTIFACTS)["Contents"]:
        s3.delete_object(Bucket=ARTIFACTS, Key=item["Key"])
    with pytest.raises(RuntimeError, match="make publish"):
        release.call("plan", "-input=false")
    release.call("plan", "-input=false", "-refresh-only")
    assert "to destroy" in release.call("plan", "-input=false", "-destroy")

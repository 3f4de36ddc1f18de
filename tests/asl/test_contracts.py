"""What the state machines share with Terraform and with the Python functions."""

import importlib
import json
import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from bedrock_batch.contracts.lines import NOT_CREATED, TERMINAL_STATUSES
from bedrock_batch.contracts.results import JobResult
from bedrock_batch.contracts.settings import Settings
from bedrock_batch.contracts.state import RunState, Stopped
from bedrock_batch.contracts.version import CONTRACT
from bedrock_batch.run import decide
from local.provision import terraform_environment

from . import services
from .jsonata_code import reads
from .machines import (
    FILES,
    MACHINES,
    PLACEHOLDER,
    ROOT,
    RUN_TIMEOUT_SECONDS,
    Json,
    chains,
    expressions,
    rendered,
    tasks,
    value,
)

TERRAFORM = ROOT / "terraform"


def terraform(name: str) -> str:
    return (TERRAFORM / name).read_text()


def block(text: str, start: str, brackets: str = "{}") -> str:
    """Return what is between the bracket that follows `start` and the one that closes it."""
    begin = text.index(brackets[0], text.index(start))
    depth = 0
    for n, character in enumerate(text[begin:], begin):
        depth += (character == brackets[0]) - (character == brackets[1])
        if depth == 0:
            return text[begin + 1 : n]
    raise ValueError(f"{start} does not end")


def functions() -> list[str]:
    """Return the keys of `local.functions`."""
    return re.findall(r"^ *(\w+) *= \{", block(terraform("functions.tf"), "functions = {"), re.MULTILINE)


def test_placeholders_are_those_that_terraform_fills_in() -> None:
    filled = set(
        re.findall(r"^ *(\w+) *= ", block(terraform("workflows.tf"), "placeholders = merge", "()"), re.MULTILINE)
    )
    filled |= {f"{name}_function_arn" for name in functions()}
    assert {name for file in FILES.values() for name in PLACEHOLDER.findall(file.read_text())} == filled


@pytest.mark.parametrize("name", FILES)
def test_terraform_reads_no_directive_into_an_expression(name: str) -> None:
    text = FILES[name].read_text()
    assert text.count("${") == len(PLACEHOLDER.findall(text))
    assert "%{" not in text


def test_terraform_puts_the_machines_together_as_the_tests_do(tmp_path: Path) -> None:
    """Terraform itself evaluates definitions.tf, beside a file with the tests' values for the placeholders."""
    module = tmp_path / "terraform"
    module.mkdir()
    shutil.copy(TERRAFORM / "definitions.tf", module)
    shutil.copytree(ROOT / "asl", tmp_path / "asl")
    names = {name for file in FILES.values() for name in PLACEHOLDER.findall(file.read_text())}
    values = {
        "placeholders": {name: value(name) for name in names},
        "run_timeout_seconds": RUN_TIMEOUT_SECONDS,
    }
    (module / "placeholders.tf.json").write_text(json.dumps({"locals": values}))
    asked = subprocess.run(
        ["terraform", f"-chdir={module}", "console"],
        input="jsonencode(local.definitions)",
        env=terraform_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr
    definitions = json.loads(json.loads(asked.stdout))
    assert {name.replace("_", "-"): json.loads(text) for name, text in definitions.items()} == {
        name: rendered(name) for name in MACHINES
    }


@pytest.mark.parametrize("name", functions())
def test_handler_exists(name: str) -> None:
    assert re.search(r'handler\s+= "bedrock_batch\.handlers\.\$\{each\.key\}\.handler"', terraform("functions.tf"))
    assert callable(importlib.import_module(f"bedrock_batch.handlers.{name}").handler)


def test_every_function_is_called_by_a_state() -> None:
    called = {
        state.body["Arguments"]["FunctionName"]
        for state in tasks()
        if services.call(state.body["Resource"]).service == "lambda"
    }
    invoked = {name.rpartition("function:bedrock-batch-")[2] for name in called if not name.startswith("{%")}
    assert invoked == {name.replace("_", "-") for name in functions()}


def test_a_stopped_run_calls_the_versions_that_its_claim_names() -> None:
    """stop-run may be of a later deployment than the run, so children of its Map read the function from their line."""
    called = {
        state.body["Arguments"]["FunctionName"]
        for state in tasks()
        if state.chain.startswith("stop-run") and services.call(state.body["Resource"]).service == "lambda"
    }
    assert called == {
        "{% $claim.functions.gather_leftovers %}",
        "{% $claim.functions.finish_run %}",
        "{% $states.input.function %}",
    }
    arguments = chains("stop-run")[0].states["Gather leftovers"].body["Arguments"]
    assert arguments["Payload"]["join_shard"] == "{% $claim.functions.join_shard %}"
    claim = chains("run")[0].states["Claim run"].body["Arguments"]["Payload"]
    assert set(claim["functions"]) == {"gather_leftovers", "join_shard", "finish_run"}
    assert claim["contract"] == 1


def test_functions_end_before_their_task_does() -> None:
    timeouts = [int(seconds) for seconds in re.findall(r"timeout_seconds = (\d+)", terraform("functions.tf"))]
    limits = [
        state.body["TimeoutSeconds"] for state in tasks() if services.call(state.body["Resource"]).service == "lambda"
    ]
    assert max(timeouts) < min(limits), "else the task gives up a function that still runs"


def run_jobs_states() -> dict[str, Json]:
    chain = next(chain for chain in chains("run") if chain.name == "run/RunJobs")
    return {name: state.body for name, state in chain.states.items()}


def test_statuses_are_bedrocks_in_every_place() -> None:
    terminal = set(TERMINAL_STATUSES)
    assert terminal < services.job_statuses()
    in_flight = services.job_statuses() - terminal

    measured, waited_for = run_jobs_states()["Job over?"]["Choices"]
    assert (measured["Next"], waited_for["Next"]) == ("Measure wait", "Wait for job")
    assert set(re.findall(r"'(\w+)'", waited_for["Condition"])) == in_flight
    pending = run_jobs_states()["Get job"]["Assign"]["pending_hours"].partition("]")[0]
    assert set(re.findall(r"'(\w+)'", pending)) == in_flight - {"InProgress", "Stopping"}

    pattern = block(terraform("events.tf"), "event_pattern = jsonencode")
    assert set(json.loads(re.findall(r"status\s*=\s*(\[.*\])", pattern)[0])) == {"InProgress"} | terminal
    starts, *_ = chains("job-event")[0].states["Which event?"].body["Choices"]
    assert (re.findall(r"'(\w+)'", starts["Condition"]), starts["Next"]) == (["InProgress"], "Record start")


def test_status_of_a_job_that_was_never_made_is_our_own() -> None:
    assert NOT_CREATED not in services.job_statuses()
    states = run_jobs_states()
    assert states["Job not found"]["Assign"]["status"] == NOT_CREATED
    assert states["Create job"]["Catch"][0]["Assign"]["status"] == NOT_CREATED


def test_run_state_has_what_the_states_read_of_it() -> None:
    """The document that goes from state to state is what the functions return and what the Maps add."""
    parent = chains("run")[0]
    read = {
        path[1]
        for state in parent.states.values()
        for _, code in expressions(state.body)
        for path in reads(code).states
        if path[0] == "input" and len(path) > 1
    }
    assert read == {
        "started_at",
        "rows",
        "job_names",
        "bucket",
        "plan_key",
        "prefix",
        "next",
        "jobs_key",
        "max_concurrent_jobs",
        "answers_key",
        "joins_key",
        "warnings",
        "report_uri",
    }
    of_result = {"warnings", "report_uri"}
    finish_run = (ROOT / "lambda_src/bedrock_batch/run/finish_run.py").read_text()
    assert all(f'"{key}":' in finish_run for key in of_result)
    assert read - of_result <= {field.name for field in fields(RunState)}


def test_a_salvages_state_has_what_the_states_read_of_it() -> None:
    read = {
        path[1]
        for state in chains("stop-run")[0].states.values()
        if state.name in ("Record message", "Anything to join?", "Join shards", "Finish run")
        for _, code in expressions(state.body)
        for path in reads(code).states
        if path[0] == "input" and len(path) > 1
    }
    # `function` is only in the lines of stop-run's Map.
    assert read - {"function"} <= {field.name for field in fields(RunState)}
    event = chains("stop-run")[0].states["Gather leftovers"].body["Arguments"]["Payload"]
    assert event.keys() == {field.name for field in fields(Stopped)}


def test_results_of_children_are_what_their_states_return() -> None:
    outputs = [state.get("Output", {}) for state in run_jobs_states().values() if state["Type"] == "Succeed"]
    outputs += [rule["Output"] for rule in run_jobs_states()["Join shard"]["Catch"]]
    outputs.append(run_jobs_states()["Join shard"]["Output"])
    of_jobs = {frozenset(output) for output in outputs if output}
    known = {field.name for field in fields(JobResult)} - {"model_id"}
    assert of_jobs == {frozenset(known), frozenset(known - {"joined"})}
    failures = [
        rule["Output"]
        for chain in chains("run")
        for state in chain.states.values()
        for rule in state.body.get("Catch", ())
        if isinstance(rule.get("Output"), dict) and "cause" in rule["Output"] and chain.name != "run"
    ]
    assert {frozenset(output) for output in failures} == {
        frozenset({"shard", "error", "cause"}),
        frozenset({"chunk", "error", "cause"}),
    }


def test_terraform_writes_the_settings_that_plans_read() -> None:
    written = block(terraform("storage.tf"), "content = jsonencode")
    assert set(re.findall(r"^ *(\w+) *= ", written, re.MULTILINE)) == {field.name for field in fields(Settings)}
    assert re.search(r"contract *= (\d+) ", written)[1] == str(CONTRACT)  # type: ignore[index]  # it is there


def test_the_contract_of_the_machines_is_that_of_the_functions() -> None:
    numbers = [re.findall(r'"contract": *(.*?)[,}\n]', file.read_text()) for file in FILES.values()]
    written = {number for found in numbers for number in found if number.isdigit()}
    assert written == {str(CONTRACT)}


def test_every_decision_of_gather_leftovers_has_a_way() -> None:
    """A decision without a choice would fail the run."""
    choices = chains("run")[0].states["Next step?"].body["Choices"]
    known = {re.findall(r"next = '(\w+)'", choice["Condition"])[0] for choice in choices}
    assert known == set(get_args(decide.Next))


def test_the_event_of_a_runs_end_is_the_one_that_rule_and_role_name() -> None:
    (entry,) = chains("run")[0].states["Announce end"].body["Arguments"]["Entries"]
    sent = dict(re.findall(r'(\w+) = "([^"]+)"', block(terraform("events.tf"), "end_event = {")))
    assert sent == {"source": entry["Source"], "detail_type": entry["DetailType"]}
    target = block(terraform("events.tf"), 'aws_cloudwatch_event_target" "run_success"')
    assert set(re.findall(r'"\$\.detail\.(\w+)"', target)) <= entry["Detail"].keys()
    statuses = set(re.findall(r"SUCCEEDED\w*", block(terraform("events.tf"), "run_ends = {")))
    assert statuses == set(
        re.findall(r"SUCCEEDED\w*", chains("run")[0].states["Finish run"].body["Assign"]["run_status"])
    )


def test_event_pattern_is_that_of_the_event_machine() -> None:
    pattern = block(terraform("events.tf"), "event_pattern = jsonencode")
    read = {
        path
        for state in chains("job-event")[0].states.values()
        for _, code in expressions(state.body)
        for path in reads(code).states
        if path[:2] == ("input", "detail")
    }
    assert {path[2] for path in read} == {"batchJobName", "status", "batchJobArn"}
    assert all(name in pattern for name in ("batchJobName", "status", "aws.bedrock"))

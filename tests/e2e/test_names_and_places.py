"""A run's name belongs to one execution for ever. An installation's root in a bucket belongs to one installation."""

import hashlib
import json
from typing import Any

import pytest

from tests.e2e.batch import Batch, Ended, wait_until
from tests.e2e.neighbour import Attempt, Neighbour, copy_of_machine, everything_of, try_name
from tests.e2e.test_recovery import NOVA

pytestmark = pytest.mark.e2e

RUNS = {"monday": 3, "interrupted": 200, "unplanned": 3}
"""Runs before the machine is created again: one has ended, one has running jobs, one fails in its plan."""


def rows(word: str, count: int) -> list[dict[str, str]]:
    return [{"id": str(row), "review": f"{word} {row}"} for row in range(count)]


def run_input(batch: Batch, name: str, word: str, count: int) -> dict[str, Any]:
    """Upload a table and return a run input for it. The input is the same for every table."""
    text = "".join(json.dumps(row) + "\n" for row in rows(word, count))
    uri = batch.upload(f"names/{name}.jsonl", text.encode())
    return {
        "s3_uri": uri,
        "model_id": NOVA,
        "prompt_id": "judge",
        "max_records_per_job": 100,
        "job_name_prefix": name,
    }


def answered(batch: Batch, name: str, verb: str, word: str, count: int) -> bool:
    """Return whether the table has these rows with their answers, which the stand-in makes from the prompts."""
    table = batch.table(name)
    prompts = [f"{verb} {row['review']} of {row['id']}" for row in rows(word, count)]
    digests = [hashlib.sha256(prompt.encode()).hexdigest()[:8] for prompt in prompts]
    texts = [text or "" for text in table["bedrock_response"].to_pylist()]
    return table.select(["id", "review"]).to_pylist() == rows(word, count) and all(
        f"answer {digest} " in text for digest, text in zip(digests, texts, strict=True)
    )


def status_of_jobs(batch: Batch, name: str) -> list[str]:
    jobs = batch.bedrock.list_model_invocation_jobs(nameContains=name)["invocationJobSummaries"]
    return [job["status"] for job in jobs]


@pytest.fixture(scope="module")
def again(neighbour: Neighbour) -> dict[str, tuple[Attempt, dict[str, Any], dict[str, Any]]]:
    """What happened to each name after the machine was created again, and the first run's files before and after."""
    batch = neighbour.batch
    crash = {"service": "lambda", "contains": ["e2e-next-plan-run", "unplanned"], "error": "Runtime.ExitError"}
    batch.engine.fail([{**crash, "times": 7, "after": True}])  # It plans and writes, but dies before it answers.
    batch.engine.configure(faults=[], records_per_second=1)  # a job outlasts the apply
    try:
        arns = {name: batch.start(name, run_input(batch, name, "FIRST", count)) for name, count in RUNS.items()}
        assert batch.wait(arns["monday"]).status == "SUCCEEDED"
        assert batch.wait(arns["unplanned"]).error == "Runtime.ExitError"
        wait_until(lambda: "message" in batch.inventory("unplanned")["run/unplanned"])
        wait_until(lambda: "InProgress" in status_of_jobs(batch, "interrupted"))
        before = {name: everything_of(batch, name) for name in RUNS}
        neighbour.make_machine_anew()
        found = {}
        for name, count in RUNS.items():
            attempt = try_name(batch, name, run_input(batch, name, "SECOND", count))
            found[name] = (attempt, before[name], everything_of(batch, name))
    finally:
        batch.engine.configure(records_per_second=None)
        batch.engine.fail([])
    return found


@pytest.mark.parametrize("name", RUNS)
def test_a_name_is_refused_even_to_an_execution_of_the_same_arn(again: dict[str, Any], name: str) -> None:
    attempt, _, _ = again[name]
    assert attempt.was_refused, attempt
    assert attempt.message.startswith(f"The name '{name}' belongs to the run that started at ")


@pytest.mark.parametrize("name", ["monday", "unplanned"])
def test_nothing_of_the_first_run_changes(again: dict[str, Any], name: str) -> None:
    _, before, after = again[name]
    assert after == before


def test_the_table_of_the_first_run_stays(again: dict[str, Any], neighbour: Neighbour) -> None:
    assert answered(neighbour.batch, "monday", "Weigh", "FIRST", 3)


def test_a_run_that_ended_with_its_machine_is_cleared_up(again: dict[str, Any], neighbour: Neighbour) -> None:
    """Another execution now has its ARN and its name. Its jobs are still stopped, and its answers joined."""
    batch = neighbour.batch
    report = wait_until(
        lambda: batch.keys("teams/e2e-next/reports/interrupted/report.json") and batch.report("interrupted")
    )
    assert (report["salvaged"], report["status"]) == (True, "ABORTED")
    assert set(status_of_jobs(batch, "interrupted")) == {"Stopped"}
    assert batch.table("interrupted").select(["id", "review"]).to_pylist() == rows("FIRST", 200)
    item = batch.inventory("interrupted")["run/interrupted"]
    claim = json.loads(batch.read("teams/e2e-next/claims/interrupted.json"))
    assert (item["status"], item["started_at"]) == ("ABORTED", claim["started_at"])


def test_an_execution_of_another_machine_leaves_a_run_and_its_jobs_alone(neighbour: Neighbour) -> None:
    batch = neighbour.batch
    batch.engine.configure(records_per_second=20)
    try:
        arn = batch.start("shared", run_input(batch, "shared", "FIRST", 200))
        wait_until(lambda: "InProgress" in status_of_jobs(batch, "shared"))
        with copy_of_machine(batch) as machine:
            attempt = try_name(batch, "shared", run_input(batch, "shared", "SECOND", 200), machine=machine)
        assert attempt.was_refused, attempt
        assert batch.sfn.describe_execution(executionArn=arn)["status"] == "RUNNING"
    finally:
        batch.engine.configure(records_per_second=None)
    assert batch.wait(arn).status == "SUCCEEDED"
    assert status_of_jobs(batch, "shared") == ["Completed"] * 2
    assert answered(batch, "shared", "Weigh", "FIRST", 200)
    assert batch.inventory("shared")["run/shared"]["status"] == "SUCCEEDED"


def test_two_installations_in_one_bucket_have_each_its_own_table(batch: Batch, neighbour: Neighbour) -> None:
    both = {"Judge": batch, "Weigh": neighbour.batch}
    assert len({one.bucket for one in both.values()}) == 1
    same = run_input(batch, "tuesday", "SAME", 120)
    arns = {verb: one.start("tuesday", same) for verb, one in both.items()}
    ends: dict[str, Ended] = {verb: one.wait(arns[verb]) for verb, one in both.items()}
    for verb, one in both.items():
        assert (ends[verb].status, ends[verb].cause) == ("SUCCEEDED", "")
        assert answered(one, "tuesday", verb, "SAME", 120)
        assert json.loads(one.read(f"{one.root}/claims/tuesday.json"))["execution_arn"] == arns[verb]
        jobs = [key for key in one.inventory("tuesday") if key.startswith("job/")]
        assert len(jobs) == 1 and jobs[0].startswith(f"job/{'e2e' if one is batch else 'e2e-next'}-tuesday-")

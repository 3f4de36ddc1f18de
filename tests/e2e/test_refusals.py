"""The account may not call a model on demand: nothing is lost, and a redrive answers once it may."""

import json
import time

import pytest

from local.process import Engine
from tests.e2e.batch import Batch, wait_until
from tests.e2e.test_recovery import outcomes, start, table

pytestmark = pytest.mark.e2e

DENIED = {
    "error": "AccessDeniedException",
    "message": "Model access is denied due to IAM user or service role is not authorized to perform the required AWS "
    "Marketplace actions.",
    "times": 1000,
}
LATE = {"error": "AccessDeniedException", "message": "Model access is denied.", "times": 1}
THROTTLED = {"every": 5, "code": 429, "message": "slow down"}
RUNS = {"denied": (150, 0), "deniedcanary": (220, 15)}


@pytest.fixture
def denied(engine: Engine, no_faults: None) -> None:
    throttled = {"job_name_contains": "-denied-", "record_errors": THROTTLED}
    engine.configure(faults=[throttled, {"fail_invoke": DENIED}])


def refusals(batch: Batch, arn: str) -> list[str]:
    """Return the sentences of the children that failed, as operations.md has people look for them."""
    found = []
    for run in batch.sfn.list_map_runs(executionArn=arn)["mapRuns"]:
        children = batch.sfn.list_executions(mapRunArn=run["mapRunArn"], statusFilter="FAILED")["executions"]
        for child in children:
            described = batch.sfn.describe_execution(executionArn=child["executionArn"])
            assert described["error"] == "OnDemandRefused"
            found.append(json.loads(described["cause"])["errorMessage"])
    return found


def wait_for_calls_under_way(batch: Batch) -> None:
    """Return when no function calls the model any more. A call that outlives its run may answer one record twice."""
    before = -1
    while (refused := batch.engine.bedrock()["on_demand"]["refused"]) != before:
        before = refused
        time.sleep(1)


@pytest.mark.parametrize("name", RUNS)
def test_a_refused_model_is_asked_by_the_redrive(batch: Batch, denied: None, name: str) -> None:
    rows, canary = RUNS[name]
    arn = start(batch, name, rows, limits={"canary_records": canary})
    ended = batch.wait(arn)
    assert (ended.status, ended.error) == ("FAILED", "States.ExceedToleratedFailureThreshold")
    sentences = refusals(batch, arn)
    assert sentences
    assert all("AWS Marketplace" in sentence and "redrive" in sentence for sentence in sentences)
    wait_until(lambda: batch.inventory(name)[f"run/{name}"]["status"] == "FAILED")
    if canary:
        assert batch.engine.bedrock(job_name_contains=f"-{name}-")["jobs"] == {}, "nothing was spent"
    else:
        report = wait_until(lambda: batch.keys(f"e2e/reports/{name}/report.json") and batch.report(name))
        assert (report["salvaged"], report["leftovers"]) == (True, 30)
        assert outcomes(batch, name) == {"succeeded": 120, "failed": 30}

    batch.sfn.redrive_execution(executionArn=arn)
    assert batch.wait(arn).status == "FAILED", "nobody gave access"
    wait_until(lambda: batch.inventory(name)[f"run/{name}"]["status"] == "FAILED")

    wait_for_calls_under_way(batch)
    batch.engine.configure(faults=[])
    batch.sfn.redrive_execution(executionArn=arn)
    ended = batch.wait(arn)
    assert (ended.status, ended.cause) == ("SUCCEEDED", "")
    assert batch.table(name).select(["product", "review"]).to_pylist() == table(name, rows)
    assert outcomes(batch, name) == {"succeeded": rows}
    assert batch.paid_twice(name) == {}
    report = batch.report(name)
    assert "salvaged" not in report
    assert report["on_demand"][0] == {"records": canary or 30, "failed": 0, "lost_chunks": 0}


def test_access_that_comes_in_time_fails_no_run(batch: Batch) -> None:
    batch.engine.configure(faults=[{"fail_invoke": LATE}])
    ended = batch.wait(start(batch, "late", 30))
    assert (ended.status, ended.cause) == ("SUCCEEDED", "")
    assert outcomes(batch, "late") == {"succeeded": 30}
    assert batch.paid_twice("late") == {}

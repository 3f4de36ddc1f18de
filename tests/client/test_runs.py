"""Start, list, stop and redrive."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from bedrock_batch.keys import RUN_ID
from bedrock_batch_client import runs
from bedrock_batch_client.errors import Mistake, NotFound
from bedrock_batch_client.installation import Installation
from tests.client import fakes

DOCUMENT = {"s3_uri": "s3://b/t.csv", "model_id": "m"}


def test_a_name_is_made_from_the_time_and_legal() -> None:
    names = {runs.new_name(datetime(2026, 11, 29, 7, 15, tzinfo=UTC)) for _ in range(50)}
    assert len(names) > 40
    assert all(re.fullmatch("20261129-071500-[0-9a-f]{4}", name) and RUN_ID.fullmatch(name) for name in names)


def test_a_run_is_started_with_its_document(at: Installation, services: fakes.Aws) -> None:
    run = runs.start(at, DOCUMENT)
    (call,) = services.states.started
    assert (call["name"], call["stateMachineArn"]) == (run, fakes.MACHINE)
    assert json.loads(call["input"]) == DOCUMENT


@pytest.mark.parametrize("name", ["a b", "a.b", "ä", "x" * 81])
def test_a_name_that_no_run_can_have(at: Installation, services: fakes.Aws, name: str) -> None:
    with pytest.raises(Mistake, match="letters, digits"):
        runs.start(at, DOCUMENT, name)
    assert services.count() == 0


def test_a_name_is_used_once(at: Installation, services: fakes.Aws) -> None:
    services.dynamodb.put_run("monday")
    with pytest.raises(Mistake, match="'monday' is used.*2026-11-29"):
        runs.start(at, DOCUMENT, "monday")
    services.states.failing["StartExecution"] = services.states.exceptions.ExecutionAlreadyExists(
        {"Error": {"Code": "ExecutionAlreadyExists"}}, "StartExecution"
    )
    with pytest.raises(Mistake, match="'tuesday' is used"):
        runs.start(at, DOCUMENT, "tuesday")
    assert services.states.started == []


def test_a_document_that_step_functions_would_not_take(at: Installation) -> None:
    with pytest.raises(Mistake, match="256 KiB"):
        runs.start(at, DOCUMENT | {"prompt": {"text": "ä" * 140_000}})


def test_the_latest_runs_of_all_statuses(at: Installation, services: fakes.Aws) -> None:
    for hour, (run, status) in enumerate([("a", "FAILED"), ("b", "RUNNING"), ("c", "SUCCEEDED"), ("d", "SUCCEEDED")]):
        services.dynamodb.put_run(run, status=status, started_at=f"2026-11-29T0{hour}:00:00.000Z", rows=hour)
    services.dynamodb.items["job/x"] = {"pk": {"S": "job/x"}, "status": {"S": "Failed"}, "updated_at": {"S": "z"}}
    assert [item.run for item in runs.list_runs(at)] == ["d", "c", "b", "a"]
    assert [item.run for item in runs.list_runs(at, limit=1)] == ["d"]
    assert [item.run for item in runs.list_runs(at, statuses=("RUNNING",))] == ["b"]


def test_a_run_is_stopped_once(at: Installation, services: fakes.Aws) -> None:
    services.states.put("monday")
    assert runs.stop(at, "monday")
    assert not runs.stop(at, "monday")
    assert services.states.calls["StopExecution"] == 1
    with pytest.raises(NotFound, match="no run 'tuesday'"):
        runs.stop(at, "tuesday")


@pytest.mark.parametrize(
    ("execution", "item", "ended_ago", "words"),
    [
        ("RUNNING", "RUNNING", 0, "goes on"),
        ("SUCCEEDED", "SUCCEEDED", 0, "ended well"),
        ("ABORTED", "STOPPING", 3600, "still being stopped"),
        ("ABORTED", "RUNNING", 10, "still being stopped"),
        ("ABORTED", "RUNNING", 3600, None),
        ("FAILED", "FAILED", 1, None),
    ],
)
def test_a_redrive_waits_for_stop_run(
    at: Installation, services: fakes.Aws, execution: str, item: str, ended_ago: int, words: str | None
) -> None:
    services.states.put("monday", execution, stopDate=datetime.now(UTC) - timedelta(seconds=ended_ago))
    services.dynamodb.put_run("monday", status=item)
    if words is None:
        runs.redrive(at, "monday")
    else:
        with pytest.raises(Mistake, match=words):
            runs.redrive(at, "monday")
    assert services.states.calls["RedriveExecution"] == (words is None)


def test_a_redrive_that_step_functions_refuses(at: Installation, services: fakes.Aws) -> None:
    services.states.put("monday", "FAILED")
    services.states.failing["RedriveExecution"] = services.states.exceptions.ExecutionNotRedrivable(
        {"Error": {"Code": "ExecutionNotRedrivable", "Message": "Execution is not redrivable: too old"}}, "Redrive"
    )
    with pytest.raises(Mistake, match="too old"):
        runs.redrive(at, "monday")


def test_a_report_that_is_not_json(at: Installation, put: object) -> None:
    at.aws.s3.put_object(Bucket=at.bucket, Key="k", Body=b"{")
    with pytest.raises(Exception, match="is not JSON"):
        runs.read_json(at, "k")
    assert runs.read_json(at, "none") is None


def test_the_run_that_started_last_may_have_ended_first(at: Installation, services: fakes.Aws) -> None:
    for run, started, ended in (("long", 1, 9), ("late", 3, 4), ("early", 2, 8)):
        times = {"started_at": f"2026-11-29T0{started}:00:00.000Z", "updated_at": f"2026-11-29T0{ended}:00:00.000Z"}
        services.dynamodb.put_run(run, status="SUCCEEDED", **times)
    assert [item.run for item in runs.list_runs(at, limit=1)] == ["late"]
    assert [item.run for item in runs.list_runs(at, limit=2)] == ["late", "early"]


def test_a_status_that_is_asked_for_twice_shows_its_runs_once(at: Installation, services: fakes.Aws) -> None:
    services.dynamodb.put_run("monday")
    assert len(runs.list_runs(at, statuses=("RUNNING", "RUNNING"))) == 1


def test_an_empty_name_is_no_name(at: Installation, services: fakes.Aws) -> None:
    """As of a variable of a script that is not set: a run of another name would be a surprise."""
    with pytest.raises(Mistake, match="letters, digits"):
        runs.start(at, DOCUMENT, "")
    assert services.states.started == []


@pytest.mark.parametrize("value", [float("nan"), "\ud800", object()], ids=["NaN", "half a character", "object"])
def test_a_document_that_is_not_json(at: Installation, services: fakes.Aws, value: object) -> None:
    with pytest.raises(Mistake, match="The run document is not JSON"):
        runs.start(at, DOCUMENT | {"x": value})
    assert services.states.started == []


def test_a_run_that_step_functions_has_forgotten(at: Installation, services: fakes.Aws) -> None:
    """It keeps an execution for 90 days; the inventory may keep the run for longer."""
    services.dynamodb.put_run("old", status="FAILED")
    assert not runs.stop(at, "old")
    with pytest.raises(Mistake, match="does not know the run 'old' any more"):
        runs.redrive(at, "old")
    with pytest.raises(NotFound, match="no run 'never'"):
        runs.redrive(at, "never")

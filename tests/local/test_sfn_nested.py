"""A state that starts an execution of another machine and waits for it."""

import json
from typing import Any

import pytest

from tests.local.sfn_probe import Account, failed, give, park, task, until

SYNC = "states:startExecution.sync:2"


def waits_for(machine: str, value: Any = None, **more: Any) -> dict[str, Any]:
    return {"A": task(SYNC, {"StateMachineArn": machine, "Input": value or {}}, End=True, **more)}


def test_the_output_is_json_and_stands_in_the_description(account: Account) -> None:
    child = account.machine({"B": give("{% {'got': $states.input.n} %}")})
    result = account.result(waits_for(child, {"n": 7}))
    assert (result["Status"], result["Output"], result["StateMachineArn"]) == ("SUCCEEDED", {"got": 7}, child)


def test_an_end_that_is_not_good_fails_the_state(account: Account) -> None:
    child = account.machine({"B": {"Type": "Fail", "Error": "Boom", "Cause": "it broke"}})
    end = account.run(waits_for(child))
    assert failed(end) == "States.TaskFailed"
    cause = json.loads(end["cause"])
    assert (cause["Status"], cause["Error"], cause["Cause"]) == ("FAILED", "Boom", "it broke")


def test_whoever_is_stopped_stops_what_it_waits_for(account: Account) -> None:
    child = account.machine({"B": park("nested")})
    parent = account.start(waits_for(child))
    account.token("nested")
    account.sfn.stop_execution(executionArn=parent)
    executions = until(
        lambda: account.sfn.list_executions(stateMachineArn=child)["executions"],
        lambda found: found[0]["status"] != "RUNNING",
    )
    assert executions[0]["status"] == "ABORTED"


@pytest.mark.parametrize("resource", ["lambda:invoke.sync:2", "sns:publish.sync:2"])
def test_nothing_else_is_waited_for(account: Account, resource: str) -> None:
    assert failed(account.run({"A": task(resource, {}, End=True)})) == "States.Runtime"

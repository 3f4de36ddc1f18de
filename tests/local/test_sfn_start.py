"""Step Functions on the local AWS: the identity of an execution, which is its ARN and its start."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.local.sfn_probe import ROLE, THROW, Account, distributed, give, park, queue_of_events, received, until

_START = "{% $states.context.Execution.StartTime %}"


def _milliseconds(date: datetime) -> int:
    return (date - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)


def _milliseconds_of(text: str) -> int:
    return _milliseconds(datetime.fromisoformat(text))


def _details(account: Account, queue: str, arn: str, count: int) -> list[dict[str, Any]]:
    """Return the details of at least that many events of an execution."""
    found: list[dict[str, Any]] = []

    def receive() -> int:
        found.extend(json.loads(body)["detail"] for body in received(account, queue, 1))
        return sum(detail["executionArn"] == arn for detail in found)

    until(receive, lambda number: number >= count)
    return [detail for detail in found if detail["executionArn"] == arn]


def test_the_start_is_the_same_instant_wherever_it_is_read(account: Account) -> None:
    """Twenty executions, because a conversion through floats would lose a millisecond of some of them."""
    queue = queue_of_events(account, "aws.states")
    machine = account.machine({"A": give(_START)})
    arns = [account.sfn.start_execution(stateMachineArn=machine)["executionArn"] for _ in range(20)]
    ends = {arn: account.ended(arn) for arn in arns}
    events: dict[str, list[dict[str, Any]]] = {arn: [] for arn in arns}
    while any(len(found) < 2 for found in events.values()):
        for body in received(account, queue, 1):
            detail = json.loads(body)["detail"]
            if detail["executionArn"] in events:
                events[detail["executionArn"]].append(detail)
    for arn, end in ends.items():
        start = json.loads(end["output"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", start)
        assert _milliseconds(end["startDate"]) == _milliseconds_of(start)
        assert {detail["startDate"] for detail in events[arn]} == {_milliseconds_of(start)}
        running, ended = sorted(events[arn], key=lambda detail: detail["status"])
        assert (running["status"], running["stopDate"]) == ("RUNNING", None)
        assert (ended["status"], ended["stopDate"]) == ("SUCCEEDED", _milliseconds(end["stopDate"]))


def test_an_expression_can_compare_the_start_with_that_of_the_event(account: Account) -> None:
    result = account.result({"A": give("{% $toMillis($states.context.Execution.StartTime) %}", Next="B"), "B": {
        "Type": "Choice",
        "Choices": [{"Condition": f"{{% $states.input = $toMillis({_START[3:-3]}) %}}", "Next": "Same"}],
        "Default": "Other",
    }, "Same": give("same"), "Other": give("other")})  # fmt: skip
    assert result == "same"


def test_a_redrive_changes_the_start_nowhere(account: Account) -> None:
    queue = queue_of_events(account, "aws.states")
    states = {"A": give(_START, Next="B"), "B": park("start of a redrive", Output=[_START, "{% $states.input %}"])}
    arn = account.start(states)
    account.sfn.send_task_failure(taskToken=account.token("start of a redrive"), error="Boom")
    before = account.ended(arn)
    old = account.token("start of a redrive")
    account.sfn.redrive_execution(executionArn=arn)
    new = until(lambda: account.token("start of a redrive"), lambda token: token != old)
    account.sfn.send_task_success(taskToken=new, output="{}")
    after = account.ended(arn)
    starts = set(json.loads(after["output"]))
    assert {_milliseconds_of(start) for start in starts} == {_milliseconds(before["startDate"])}
    assert after["startDate"] == before["startDate"]
    details = _details(account, queue, arn, 4)
    assert {detail["startDate"] for detail in details} == {_milliseconds(before["startDate"])}
    assert sorted((detail["redriveCount"], detail["status"]) for detail in details) == [
        (0, "FAILED"),
        (0, "RUNNING"),
        (1, "RUNNING"),
        (1, "SUCCEEDED"),
    ]
    [failed] = [detail for detail in details if detail["status"] == "FAILED"]
    assert (failed["error"], failed["redriveStatus"], failed["redriveDate"]) == ("Boom", "REDRIVABLE", None)
    assert {detail["redriveDate"] for detail in details if detail["redriveCount"]} == {
        _milliseconds(after["redriveDate"])
    }


def _create(account: Account, states: dict[str, Any]) -> str:
    definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states}
    arn: str = account.sfn.create_state_machine(name="made-anew", definition=json.dumps(definition), roleArn=ROLE)[
        "stateMachineArn"
    ]
    return arn


def test_a_machine_that_is_made_anew_may_use_the_names_again(account: Account) -> None:
    """The execution has the same ARN, another start, and nothing of the one before it."""
    child = {"Child": give("{% $states.input %}")}
    machine = _create(account, {"M": distributed(child, Items=[1], Next="F"), "F": THROW})
    first = account.sfn.start_execution(stateMachineArn=machine, name="monday")
    assert account.ended(first["executionArn"])["error"] == "Boom"
    with pytest.raises(account.sfn.exceptions.ExecutionAlreadyExists):
        account.sfn.start_execution(stateMachineArn=machine, name="monday")
    account.sfn.delete_state_machine(stateMachineArn=machine)
    with pytest.raises(account.sfn.exceptions.ExecutionDoesNotExist):
        account.sfn.describe_execution(executionArn=first["executionArn"])
    with pytest.raises(account.sfn.exceptions.ExecutionDoesNotExist):
        account.sfn.redrive_execution(executionArn=first["executionArn"])

    assert _create(account, {"A": give(_START)}) == machine
    assert account.sfn.list_executions(stateMachineArn=machine)["executions"] == []
    second = account.sfn.start_execution(stateMachineArn=machine, name="monday")
    assert second["executionArn"] == first["executionArn"]
    assert second["startDate"] > first["startDate"]
    end = account.ended(second["executionArn"])
    assert _milliseconds_of(json.loads(end["output"])) == _milliseconds(second["startDate"])
    assert account.sfn.list_map_runs(executionArn=second["executionArn"])["mapRuns"] == []


def test_executions_of_a_deleted_machine_call_nothing_any_more(account: Account) -> None:
    child = {"Park": park("{% 'deleted ' & $string($states.input) %}")}
    arn = account.start({"M": distributed(child, Items=[1])})
    token = account.token("deleted 1")
    machine = account.sfn.describe_execution(executionArn=arn)["stateMachineArn"]
    account.sfn.delete_state_machine(stateMachineArn=machine)
    account.sfn.delete_state_machine(stateMachineArn=machine)  # Deleting a missing machine is no error.
    with pytest.raises(account.sfn.exceptions.TaskDoesNotExist):
        account.sfn.send_task_success(taskToken=token, output="{}")

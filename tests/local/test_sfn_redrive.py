"""Step Functions on the local AWS: a redrive runs what did not succeed, from where it failed, and nothing else."""

import json
from typing import Any

import pytest

from tests.local.sfn_probe import (
    BUCKET,
    TABLE,
    THROW,
    Account,
    distributed,
    endless,
    failed,
    give,
    park,
    put,
    until,
)

_KEY = "{% $states.input & ' once' %}"
_REDRIVES = "{% $states.context.Execution.RedriveCount %}"


def _occupy(account: Account, key: str) -> None:
    """Store an item, so that a `put` of the same key fails until `_vacate`."""
    account.client("dynamodb").put_item(TableName=TABLE, Item={"pk": {"S": key}})


def _vacate(account: Account, key: str) -> None:
    account.client("dynamodb").delete_item(TableName=TABLE, Key={"pk": {"S": key}})


def _redriven(account: Account, arn: str) -> dict[str, Any]:
    account.sfn.redrive_execution(executionArn=arn)
    return account.ended(arn)


def _retries(account: Account, child: str) -> int:
    return [event["type"] for event in account.events(child)].count("TaskFailed")


def test_a_redrive_runs_only_the_children_that_failed_and_from_where_they_failed(account: Account) -> None:
    key = "{% 'redrive' & $string($states.input) %}"
    child = {
        "Once": put(key, Next="Park", Output="{% $states.input %}"),
        "Park": park("{% 'redriven' & $string($states.input) %}", TimeoutSeconds=30, Output=_REDRIVES),
    }
    states = {
        "Set": give([1, 2], Assign={"kept": "yes"}, Next="M"),
        "M": distributed(child, Next="See", ToleratedFailureCount=0),
        "See": give(["{% $states.input %}", "{% $kept %}", _REDRIVES]),
    }
    arn = account.start(states)
    account.sfn.send_task_success(taskToken=account.token("redriven1"), output="{}")
    until(lambda: account.map_run(arn)["itemCounts"]["succeeded"], lambda count: count == 1)
    old = account.token("redriven2")
    account.sfn.send_task_failure(taskToken=old, error="Boom")
    assert account.ended(arn)["redriveStatus"] == "REDRIVABLE"

    account.sfn.redrive_execution(executionArn=arn)
    new = until(lambda: account.token("redriven2"), lambda token: token != old)
    account.sfn.send_task_success(taskToken=new, output="{}")
    end = account.ended(arn)
    assert json.loads(end["output"]) == [[0, 1], "yes", 1]
    assert end["redriveCount"] == 1 and end["redriveStatus"] == "NOT_REDRIVABLE"
    with pytest.raises(account.sfn.exceptions.ExecutionNotRedrivable):
        account.sfn.redrive_execution(executionArn=arn)


def test_a_task_that_failed_in_a_child_is_tried_anew_with_the_variables_and_the_items_of_then(account: Account) -> None:
    """Each redrive starts the Retry of the task again, and reads neither the items nor their selector anew."""
    account.items("redrive.jsonl", ["a", "b"])
    _occupy(account, "task b")
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 2}]
    child = {
        "Once": put(_KEY, Next="Ask", Output="{% $states.input %}", Assign={"item": "{% $states.input %}"}),
        "Ask": put("{% 'task ' & $item %}", Retry=retry, Output=["{% $states.input %}", "{% $item %}", _REDRIVES]),
    }
    states = {
        "M": distributed(child, "redrive.jsonl", MaxConcurrency=1, Next="Gather"),
        "Gather": give({"answers": "{% $states.input %}", "redrives": _REDRIVES}),
    }
    arn = account.start(states)
    assert failed(account.ended(arn)) == "States.ExceedToleratedFailureThreshold"
    account.client("s3").delete_object(Bucket=BUCKET, Key="redrive.jsonl")
    assert failed(_redriven(account, arn)) == "States.ExceedToleratedFailureThreshold"
    [stuck] = [child for child in account.children(arn) if child["status"] == "FAILED"]
    assert _retries(account, stuck["executionArn"]) == 2 * 3
    _vacate(account, "task b")
    end = _redriven(account, arn)
    assert json.loads(end["output"]) == {"answers": [["a", "a", 0], ["b", "b", 2]], "redrives": 2}
    assert account.map_run(arn)["redriveCount"] == 2  # map_run also checks that there is only one.
    assert account.sfn.describe_execution(executionArn=stuck["executionArn"])["redriveCount"] == 2


def test_a_fail_state_fails_again(account: Account) -> None:
    """The failed work is not tried again: the child resumes at its Fail state, and so does the run."""
    _occupy(account, "caught")
    caught = [{"ErrorEquals": ["States.ALL"], "Next": "F"}]
    child = {"Ask": put("caught", Catch=caught), "F": THROW}
    arn = account.start({"M": distributed(child, Items=[1])})
    assert failed(account.ended(arn)) == "States.ExceedToleratedFailureThreshold"
    _vacate(account, "caught")
    assert failed(_redriven(account, arn)) == "States.ExceedToleratedFailureThreshold"
    [one] = account.children(arn)
    assert failed(account.sfn.describe_execution(executionArn=one["executionArn"])) == "Boom"

    arn = account.start({"A": give(1, Next="F"), "F": THROW})
    account.ended(arn)
    assert failed(_redriven(account, arn)) == "Boom"
    assert [e["type"] for e in account.events(arn)].count("PassStateEntered") == 1


def test_children_that_were_aborted_go_on_and_those_that_never_began_begin(account: Account) -> None:
    _occupy(account, "abort 2")
    child = {
        "Once": put("{% 'aborted ' & $string($states.input) %}", Next="Two?", Output="{% $states.input %}"),
        "Two?": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $states.input = 2 %}", "Next": "Ask"}],
            "Default": "Wait",
        },
        "Ask": put("abort 2", Output=[2, _REDRIVES]),
        "Wait": {"Type": "Wait", "Seconds": 1, "Next": "See"},
        "See": give(["{% $states.input %}", _REDRIVES]),
    }
    arn = account.start({"M": distributed(child, Items=[1, 2, 3], MaxConcurrency=2)})
    account.ended(arn)
    assert sorted(child["status"] for child in account.children(arn)) == ["ABORTED", "FAILED"]
    _vacate(account, "abort 2")
    assert json.loads(_redriven(account, arn)["output"]) == [[1, 1], [2, 1], [3, 0]]


def test_a_failure_that_was_tolerated_is_not_run_again(account: Account) -> None:
    _occupy(account, "tolerated")
    _occupy(account, "later")
    states = {
        "M": distributed({"Ask": put("tolerated")}, Items=[1], ToleratedFailurePercentage=100, Next="Later"),
        "Later": put("later", Output="{% $states.input %}"),
    }
    arn = account.start(states)
    assert failed(account.ended(arn)) == "DynamoDb.ConditionalCheckFailedException"
    _vacate(account, "tolerated")
    _vacate(account, "later")
    assert json.loads(_redriven(account, arn)["output"]) == []
    assert account.map_run(arn)["redriveCount"] == 0


def test_results_that_were_too_large_start_a_new_map_run(account: Account) -> None:
    """All children have succeeded, so resuming the Map Run would always fail again."""
    text = "{% $join($map([1..1500], function($i) { '" + "x" * 100 + "' })) %}"
    arn = account.start({"M": distributed({"A": give(text)}, Items=[1, 2])})
    assert failed(account.ended(arn)) == "States.DataLimitExceeded"
    assert failed(_redriven(account, arn)) == "States.DataLimitExceeded"
    runs = account.sfn.list_map_runs(executionArn=arn)["mapRuns"]
    assert len(runs) == 2
    described = [account.sfn.describe_map_run(mapRunArn=run["mapRunArn"]) for run in runs]
    assert [run["redriveCount"] for run in described] == [0, 0]


def test_a_full_history_cannot_go_on(account: Account) -> None:
    arn = account.start(endless())
    assert failed(account.ended(arn)) == "States.Runtime"
    assert account.ended(arn)["redriveStatus"] == "NOT_REDRIVABLE"
    with pytest.raises(account.sfn.exceptions.ExecutionNotRedrivable):
        account.sfn.redrive_execution(executionArn=arn)


def test_a_redrive_keeps_the_definition_that_the_execution_began_with(account: Account) -> None:
    """The parent, a failed child and a child that had not started all use the old definition after an update."""
    _occupy(account, "definition 1")
    name = "{% $states.context.State.Name %}"
    child = {
        "Ask": put("{% 'definition ' & $string($states.input) %}", Output="{% $states.input %}", Next="Old child"),
        "Old child": give(["{% $states.input %}", name]),
    }
    states = {"M": distributed(child, Items=[1, 2], MaxConcurrency=1, Next="Old end")}
    machine = account.machine(states | {"Old end": give({"children": "{% $states.input %}", "parent": name})})
    arn = account.sfn.start_execution(stateMachineArn=machine)["executionArn"]
    assert failed(account.ended(arn)) == "States.ExceedToleratedFailureThreshold"
    account.sfn.update_state_machine(
        stateMachineArn=machine,
        definition=json.dumps({"QueryLanguage": "JSONata", "StartAt": "New", "States": {"New": give("new")}}),
    )
    _vacate(account, "definition 1")
    assert json.loads(_redriven(account, arn)["output"]) == {
        "children": [[1, "Old child"], [2, "Old child"]],
        "parent": "Old end",
    }
    new = account.sfn.start_execution(stateMachineArn=machine)["executionArn"]
    assert json.loads(account.ended(new)["output"]) == "new"

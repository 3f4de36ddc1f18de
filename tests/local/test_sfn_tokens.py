"""Step Functions on the local AWS: task tokens, and waiting for them."""

import json
import time

import pytest

from tests.local.sfn_probe import (
    Account,
    failed,
    give,
    park,
    put,
    task,
)


def test_a_parked_task_is_woken_by_an_express_machine(account: Account) -> None:
    waiting = account.start({"Park": park("wake", TimeoutSeconds="{% $states.input.limit %}")}, {"limit": 20})
    waker = account.machine(
        {
            "Wake": task(
                "aws-sdk:sfn:sendTaskSuccess",
                {"TaskToken": "{% $states.input.token %}", "Output": "{% $string({'woken': true}) %}"},
            )
        },
        kind="EXPRESS",
    )
    account.sfn.start_execution(stateMachineArn=waker, input=json.dumps({"token": account.token("wake")}))
    assert json.loads(account.ended(waiting)["output"]) == {"woken": True}


def test_a_parked_task_times_out_and_its_token_with_it(account: Account) -> None:
    caught = {"ErrorEquals": ["States.TaskFailed"], "Next": "Wrong"}
    timed_out = {"ErrorEquals": ["States.Timeout"], "Next": "Right", "Output": "{% $states.errorOutput.Error %}"}
    states = {
        "Park": park("late", TimeoutSeconds="{% $states.input.limit %}", Catch=[caught, timed_out]),
        "Right": give("{% $states.input %}"),
        "Wrong": {"Type": "Fail"},
    }
    assert account.result(states, {"limit": 1}) == "States.Timeout"
    with pytest.raises(account.sfn.exceptions.TaskTimedOut):
        account.sfn.send_task_success(taskToken=account.token("late"), output="{}")


def test_a_missed_heartbeat_ends_the_wait_and_a_sent_one_prolongs_it(account: Account) -> None:
    arn = account.start({"Park": park("beat", TimeoutSeconds=20, HeartbeatSeconds=1)})
    token = account.token("beat")
    for _ in range(3):
        time.sleep(0.4)
        account.sfn.send_task_heartbeat(taskToken=token)
    assert failed(account.ended(arn)) == "States.HeartbeatTimeout"
    assert "TaskTimedOut" in [event["type"] for event in account.events(arn)]


def test_wrong_tokens_get_the_error_that_fits(account: Account) -> None:
    arn = account.start({"Park": park("errors", TimeoutSeconds=20)})
    token = account.token("errors")
    with pytest.raises(account.sfn.exceptions.InvalidToken):
        account.sfn.send_task_success(taskToken="nonsense", output="{}")
    with pytest.raises(account.sfn.exceptions.InvalidOutput):
        account.sfn.send_task_success(taskToken=token, output="{")
    account.sfn.send_task_failure(taskToken=token, error="Mine", cause="why")
    assert failed(account.ended(arn)) == "Mine"
    with pytest.raises(account.sfn.exceptions.TaskTimedOut):
        account.sfn.send_task_success(taskToken=token, output="{}")


def test_a_condition_that_fails_at_parking_is_caught_at_once(account: Account) -> None:
    state = put(
        "taken",
        "aws-sdk:dynamodb:updateItem.waitForTaskToken",
        TimeoutSeconds=30,
        Catch=[{"ErrorEquals": ["States.Timeout", "DynamoDb.ConditionalCheckFailedException"], "Next": "Taken"}],
    )
    result = account.result({"First": put("taken", Next="Park"), "Park": state, "Taken": give("caught")})
    assert result == "caught"

"""Step Functions on the local AWS: executions, machines and their permissions."""

import json

import pytest

from local.process import Engine
from tests.local.sfn_probe import (
    BUCKET,
    ROLE,
    TABLE,
    Account,
    distributed,
    endless,
    failed,
    give,
    park,
    prepare,
    put,
    queue_of_events,
    received,
    task,
    until,
    with_role,
)

# --- Executions ---


def test_an_execution_times_out_and_takes_its_children_along(account: Account) -> None:
    arn = account.start(
        {"M": distributed({"W": {"Type": "Wait", "Seconds": 30, "End": True}}, Items=[1, 2])}, timeout=1
    )
    assert account.ended(arn)["status"] == "TIMED_OUT"
    assert account.events(arn)[-1]["type"] == "ExecutionTimedOut"
    assert {one["status"] for one in account.children(arn)} == {"ABORTED"}


def test_a_stop_reaches_the_children_and_what_they_wait_for(account: Account) -> None:
    arn = account.start({"M": distributed({"P": park("stopped", TimeoutSeconds=30)}, Items=[1])})
    token = account.token("stopped")
    account.sfn.stop_execution(executionArn=arn, error="Enough", cause="said so")
    until(lambda: account.map_run(arn)["status"], lambda status: status == "ABORTED")
    assert [one["status"] for one in account.children(arn)] == ["ABORTED"]
    with pytest.raises(account.sfn.exceptions.TaskTimedOut):
        account.sfn.send_task_success(taskToken=token, output="{}")
    end = account.ended(arn)
    assert (end["status"], end["error"], end["cause"]) == ("ABORTED", "Enough", "said so")


def test_a_start_is_idempotent_while_it_runs(account: Account) -> None:
    machine = account.machine({"P": park("idempotent", TimeoutSeconds=30)})
    start = {"stateMachineArn": machine, "name": "same", "input": '{"a": 1}'}
    first = account.sfn.start_execution(**start)
    assert account.sfn.start_execution(**start)["startDate"] == first["startDate"]
    with pytest.raises(account.sfn.exceptions.ExecutionAlreadyExists):
        account.sfn.start_execution(**{**start, "input": "{}"})
    account.sfn.send_task_success(taskToken=account.token("idempotent"), output="{}")
    account.ended(first["executionArn"])
    with pytest.raises(account.sfn.exceptions.ExecutionAlreadyExists):
        account.sfn.start_execution(**start)


def test_parents_report_every_change_of_status_and_children_none(account: Account) -> None:
    queue = queue_of_events(account, "aws.states")
    arns = [
        account.start({"M": distributed({"A": give(1)}, Items=[1])}),
        account.start({"W": {"Type": "Wait", "Seconds": 30, "End": True}}, timeout=1),
        account.start({"A": give(1)}, kind="EXPRESS"),
        account.start({"W": {"Type": "Wait", "Seconds": 30, "End": True}}),
    ]
    account.sfn.stop_execution(executionArn=arns[3])
    account.ended(arns[1])
    details = [json.loads(body)["detail"] for body in received(account, queue, 6)]
    seen = {(arns.index(d["executionArn"]), d["status"]) for d in details if d["executionArn"] in arns}
    assert seen == {(0, "RUNNING"), (0, "SUCCEEDED"), (1, "RUNNING"), (1, "TIMED_OUT"), (3, "RUNNING"), (3, "ABORTED")}
    assert not [d for d in details if d["executionArn"] not in arns]


def test_state_data_is_limited_to_256_kib(account: Account) -> None:
    text = "{% $join($map([1..2700], function($i) { '" + "x" * 100 + "' })) %}"
    for state in (
        give(text),
        give(1, Assign={"a": text}),
        task("aws-sdk:dynamodb:getItem", {"TableName": TABLE, "Key": {"pk": {"S": text}}}),
    ):
        assert failed(account.run({"A": state})) == "States.DataLimitExceeded"
    assert account.run({"A": give(text.replace("2700", "2600"))})["status"] == "SUCCEEDED"


def test_the_history_has_an_end(account: Account) -> None:
    end = account.run(endless())
    assert failed(end) == "States.Runtime"
    page = account.sfn.get_execution_history(executionArn=end["executionArn"], reverseOrder=True, maxResults=1)
    assert page["events"][0]["id"] == 25_000


def test_histories_reach_the_log_group(account: Account) -> None:
    logs = account.client("logs")
    logs.create_log_group(logGroupName="/aws/vendedlogs/states/probe")
    group = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/vendedlogs/states/probe:*"
    end = account.run(
        {"A": give("secret")},
        loggingConfiguration={
            "level": "ALL",
            "includeExecutionData": False,
            "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": group}}],
        },
    )
    found = logs.filter_log_events(logGroupName="/aws/vendedlogs/states/probe")["events"]
    messages = [json.loads(event["message"]) for event in found]
    assert [m["type"] for m in messages] == [e["type"] for e in account.events(end["executionArn"])]
    assert "secret" not in json.dumps(messages)


# --- Machines ---


def test_tracing_is_remembered(account: Account) -> None:
    arn = account.machine({"A": give(1)}, tracingConfiguration={"enabled": True})
    account.sfn.update_state_machine(stateMachineArn=arn, roleArn=ROLE)
    assert account.sfn.describe_state_machine(stateMachineArn=arn)["tracingConfiguration"] == {"enabled": True}


# --- IAM ---


def test_the_policies_of_the_machines_role_decide(guarded: Engine) -> None:
    guarded.reset()
    account = Account(guarded.url)
    prepare(account)
    account.items("guarded.jsonl", [1])
    write = {"Action": "dynamodb:UpdateItem", "Resource": f"arn:aws:dynamodb:us-east-1:000000000000:table/{TABLE}"}
    read = {"Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    begin = {"Action": "states:StartExecution", "Resource": "*"}
    writer = with_role(account, "writer", "states.amazonaws.com", write)
    starter = with_role(account, "starter", "states.amazonaws.com", write, begin)
    reader = with_role(account, "reader", "states.amazonaws.com", read)
    whole = with_role(account, "whole", "states.amazonaws.com", write, read, begin)
    other = with_role(account, "other", "lambda.amazonaws.com", write)

    assert writer.run({"A": put("allowed")})["status"] == "SUCCEEDED"
    assert writer.run({"A": put("parked", "dynamodb:updateItem")})["status"] == "SUCCEEDED"
    assert failed(reader.run({"A": put("denied")})) == "DynamoDb.DynamoDbException"
    assert failed(other.run({"A": put("untrusted")})) == "States.Runtime"
    items = {"M": distributed({"A": put("child")}, "guarded.jsonl")}
    assert failed(starter.run(items)) == "States.ItemReaderFailed"
    assert failed(reader.run(items)) == "States.Runtime"
    assert whole.run(items)["status"] == "SUCCEEDED"

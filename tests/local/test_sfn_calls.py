"""Step Functions on the local AWS: calls to services, and their errors."""

import io
import json
import time
import zipfile
from typing import Any

import pytest

from tests.local.conftest import ROOT
from tests.local.sfn_probe import (
    BUCKET,
    ROLE,
    TABLE,
    Account,
    failed,
    give,
    put,
    queue_of_events,
    received,
    task,
)


def test_bedrock_members_have_sdk_names_at_every_level_and_dates_are_text(account: Account) -> None:
    account.items("in/nova.jsonl", [{"recordId": f"{i:011}", "modelInput": {}} for i in range(100)])
    job = account.result(
        {
            "Create": task(
                "aws-sdk:bedrock:createModelInvocationJob",
                {
                    "JobName": "probe-names",
                    "RoleArn": ROLE,
                    "ModelId": "amazon.nova-lite-v1:0",
                    "InputDataConfig": {"S3InputDataConfig": {"S3Uri": f"s3://{BUCKET}/in/nova.jsonl"}},
                    "OutputDataConfig": {"S3OutputDataConfig": {"S3Uri": f"s3://{BUCKET}/out/"}},
                },
                Next="Get",
            ),
            "Get": task("aws-sdk:bedrock:getModelInvocationJob", {"JobIdentifier": "{% $states.input.JobArn %}"}),
        }
    )
    assert job["InputDataConfig"]["S3InputDataConfig"]["S3Uri"] == f"s3://{BUCKET}/in/nova.jsonl"
    assert job["LastModifiedTime"].endswith("Z")


def test_an_object_goes_to_s3_and_comes_back_as_text(account: Account) -> None:
    back = account.result(
        {
            "Put": task("aws-sdk:s3:putObject", {"Bucket": BUCKET, "Key": "a/b c.json", "Body": {"n": 1}}, Next="Get"),
            "Get": task("aws-sdk:s3:getObject", {"Bucket": BUCKET, "Key": "a/b c.json"}),
        }
    )
    assert back["Body"] == '{"n":1}'


def test_the_wait_of_a_job_becomes_a_metric(account: Account) -> None:
    """With the state of asl/job.asl.json that measures it."""
    text = (ROOT / "asl" / "job.asl.json").read_text("utf-8")
    for place, value in {"partition": "aws", "metrics_namespace": "BedrockBatch", "name": "reviews"}.items():
        text = text.replace(f"${{{place}}}", value)
    measure = json.loads(text)["States"]["Measure wait"]
    ended = {"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Failed"}], "Next": "Done"}
    before = {"Type": "Pass", "Assign": {"pending_hours": 2.5}, "Next": "Measure wait"}
    states = {
        "Before": before,
        "Measure wait": measure | ended,
        "Done": {"Type": "Succeed"},
        "Failed": {"Type": "Fail"},
    }
    account.result(states)
    now = time.time()
    found = account.client("cloudwatch").get_metric_statistics(
        Namespace="BedrockBatch",
        MetricName="JobPendingHours",
        Dimensions=[{"Name": "Installation", "Value": "reviews"}],
        StartTime=now - 7200,
        EndTime=now + 300,
        Period=3600,
        Statistics=["Maximum"],
    )
    assert [point["Maximum"] for point in found["Datapoints"]] == [2.5]


@pytest.mark.parametrize(
    ("resource", "arguments", "error"),
    [
        ("aws-sdk:s3:getObject", {"Bucket": BUCKET, "Key": "nowhere"}, "S3.NoSuchKeyException"),
        (
            "aws-sdk:bedrock:getModelInvocationJob",
            {"JobIdentifier": "abcdefghijkl"},
            "Bedrock.ResourceNotFoundException",
        ),
        ("aws-sdk:dynamodb:getItem", {"TableName": TABLE, "Key": {"wrong": {"S": "x"}}}, "DynamoDb.DynamoDbException"),
        ("aws-sdk:dynamodb:getItem", {"TableName": "nowhere", "Key": {}}, "DynamoDb.ResourceNotFoundException"),
        ("dynamodb:getItem", {"TableName": "nowhere", "Key": {}}, "DynamoDB.ResourceNotFoundException"),
        ("aws-sdk:sfn:sendTaskSuccess", {"TaskToken": "x", "Output": "{}"}, "Sfn.InvalidTokenException"),
        ("aws-sdk:dynamodb:getItem", {"TableName": TABLE, "Key": {}, "Kee": 1}, "States.Runtime"),
        ("aws-sdk:dynamodb:getItem", {"TableName": TABLE}, "States.Runtime"),
        ("aws-sdk:dynamodb:fetchItem", {}, "States.Runtime"),
        ("aws-sdk:nowhere:getItem", {}, "States.Runtime"),
        ("dynamodb:updateItem.waitForTaskToken", {}, "States.Runtime"),
        ("batch:submitJob.sync", {}, "States.Runtime"),
    ],
)
def test_error_names(account: Account, resource: str, arguments: Any, error: str) -> None:
    assert failed(account.run({"Call": task(resource, arguments)})) == error


def test_an_unknown_parameter_is_named(account: Account) -> None:
    end = account.run({"A": task("aws-sdk:s3:putObject", {"Bucket": BUCKET, "Key": "k", "body": "x"})})
    assert "'Arguments.body' is not supported" in end["cause"]


def test_failed_conditions_differ_between_the_integrations(account: Account) -> None:
    names = [
        failed(account.run({"A": put("once", resource, Next="B"), "B": put("once", resource)}))
        for resource in ("aws-sdk:dynamodb:updateItem", "dynamodb:updateItem")
    ]
    assert names == ["DynamoDb.ConditionalCheckFailedException", "DynamoDB.ConditionalCheckFailedException"]


def test_service_quotas_can_be_asked(account: Account) -> None:
    end = account.run({"List": task("aws-sdk:servicequotas:listServiceQuotas", {"ServiceCode": "bedrock"})})
    assert end["status"] == "SUCCEEDED" and "Quotas" in json.loads(end["output"]), end


def test_messages_and_events_take_json_instead_of_text(account: Account) -> None:
    queue = queue_of_events(account, "probe.own")
    account.result(
        {
            "Event": task(
                "events:putEvents",
                {"Entries": [{"Source": "probe.own", "DetailType": "t", "Detail": {"run": "{% $states.input.run %}"}}]},
                Next="Send",
            ),
            "Send": task("sqs:sendMessage", {"QueueUrl": queue, "MessageBody": {"n": 1}}, Next="Publish"),
            "Publish": task(
                "sns:publish",
                {"TopicArn": account.client("sns").create_topic(Name="probe")["TopicArn"], "Message": {"n": 1}},
            ),
        },
        {"run": "r1"},
    )
    bodies = [json.loads(body) for body in received(account, queue, 2)]
    assert [body for body in bodies if "detail" not in body] == [{"n": 1}]
    assert [body["detail"] for body in bodies if "detail" in body] == [{"run": "r1"}]


def test_events_name_their_execution_and_machine_among_the_resources(account: Account) -> None:
    queue = queue_of_events(account, "probe.resources")
    entry = {"Source": "probe.resources", "DetailType": "t", "Detail": {}, "Resources": ["mine"]}
    end = account.run({"Event": task("events:putEvents", {"Entries": [entry]})})
    [body] = received(account, queue, 1)
    assert json.loads(body)["resources"] == ["mine", end["executionArn"], end["stateMachineArn"]]


def test_a_refused_event_fails_the_task(account: Account) -> None:
    entries = [{"Source": "aws.own", "DetailType": "t", "Detail": {}}]
    assert failed(account.run({"Event": task("events:putEvents", {"Entries": entries})})) == "EventBridge.FailedEntry"


@pytest.fixture(scope="module")
def function(account: Account) -> str:
    """A Lambda function that returns its event, or does what the event says: raise, or sleep."""
    code = """
import time
def handle(event, context):
    if "raise" in event:
        raise ValueError(event["raise"])
    time.sleep(event.get("sleep", 0))
    return event
"""
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("code.py", code)
    arn: str = account.client("lambda").create_function(
        FunctionName="probe",
        Runtime="python3.12",
        Role=ROLE,
        Handler="code.handle",
        Timeout=20,
        Code={"ZipFile": zipped.getvalue()},
    )["FunctionArn"]
    return arn


def test_a_function_gets_its_payload_and_its_error_has_its_name(account: Account, function: str) -> None:
    def invoke(**more: Any) -> dict[str, Any]:
        return task("lambda:invoke", {"FunctionName": function, "Payload": "{% $states.input %}"}, **more)

    assert account.result({"A": invoke(Output="{% $states.result.Payload %}")}, {"n": [1]}) == {"n": [1]}
    catch = [{"ErrorEquals": ["ValueError"], "Next": "C", "Output": "{% $parse($states.errorOutput.Cause) %}"}]
    caught = account.result({"A": invoke(Catch=catch), "C": give("{% $states.input %}")}, {"raise": "kaboom"})
    assert caught["errorMessage"] == "kaboom"


def test_a_task_that_takes_too_long_is_left_at_once(account: Account, function: str) -> None:
    call = task("lambda:invoke", {"FunctionName": function, "Payload": {"sleep": 5}}, TimeoutSeconds=1)
    started = time.monotonic()
    assert failed(account.run({"A": call})) == "States.Timeout"
    assert time.monotonic() - started < 4


def test_a_model_takes_and_gives_json(account: Account) -> None:
    body = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}
    call = task("bedrock:invokeModel", {"ModelId": "amazon.nova-lite-v1:0", "Body": body})
    assert account.result({"A": call})["Body"]["output"]["message"]["role"] == "assistant"

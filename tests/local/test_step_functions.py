"""Probes: what the Step Functions of the local AWS does as AWS does and the engine underneath does not."""

import io
import itertools
import json
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local.process import Engine, start_engine

from .sfn_probe import BUCKET, ROLE, TABLE, Account, distributed, give, park, put, task, until

THROW = {"Type": "Fail", "Error": "Boom", "Cause": "on purpose"}


@pytest.fixture(scope="module")
def account(engine: Engine) -> Account:
    """The account with the table and the bucket that the probes use."""
    engine.reset()
    account = Account(engine.url)
    prepare(account)
    return account


def prepare(account: Account) -> None:
    """Create the table and the bucket."""
    account.client("s3").create_bucket(Bucket=BUCKET)
    account.client("dynamodb").create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )


def failed(end: dict[str, Any]) -> str:
    """Return the error of an execution that failed."""
    assert end["status"] == "FAILED", end
    return str(end["error"])


# --- Calls ---


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
    queue = _queue_of_events(account, "probe.own")
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
    bodies = [json.loads(body) for body in _received(account, queue, 2)]
    assert [body for body in bodies if "detail" not in body] == [{"n": 1}]
    assert [body["detail"] for body in bodies if "detail" in body] == [{"run": "r1"}]


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


# --- Task tokens ---


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


# --- JSONata ---


@pytest.mark.parametrize("expression", ["$states.input.nothing", "$states.result", "$nothing", "$eval('1')"])
def test_an_undefined_argument_is_an_error_that_can_be_caught(account: Account, expression: str) -> None:
    catch = [{"ErrorEquals": ["States.QueryEvaluationError"], "Next": "Caught"}]
    states = {"A": task("dynamodb:getItem", {"TableName": f"{{% {expression} %}}"}, Catch=catch), "Caught": give("ok")}
    assert account.result(states) == "ok"


@pytest.mark.parametrize("field", ["Output", "Assign"])
def test_an_undefined_output_or_variable_is_an_error(account: Account, field: str) -> None:
    state = {"Type": "Pass", "End": True, field: {"a": "{% $states.input.nothing %}"}}
    assert failed(account.run({"A": state})) == "States.QueryEvaluationError"


def test_an_error_in_the_output_of_a_task_is_caught(account: Account) -> None:
    catch = [
        {
            "ErrorEquals": ["States.QueryEvaluationError"],
            "Next": "Caught",
            "Assign": {"n": 2},
            "Output": "{% $states.errorOutput.Error %}",
        }
    ]
    state = put("output-error", Output="{% $states.result.nothing %}", Catch=catch, Assign={"n": 1})
    assert account.result({"A": state, "Caught": give("{% [$states.input, $n] %}")}) == [
        "States.QueryEvaluationError",
        2,
    ]


def test_output_and_assign_see_the_values_at_entry(account: Account) -> None:
    states = {
        "A": give(None, Assign={"n": 1}, Next="B"),
        "B": give("{% $n %}", Assign={"n": "{% $n + 1 %}", "before": "{% $n %}"}, Next="C"),
        "C": give("{% [$states.input, $n, $before] %}"),
    }
    assert account.result(states) == [1, 2, 1]


def test_null_stays_null_and_input_that_looks_like_code_stays_text(account: Account) -> None:
    value = {"none": None, "text": "{% 1 + 1 %}"}
    each = {"Type": "Map", "ItemProcessor": {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}}
    assert account.result({"A": give("{% $states.input.none %}")}, value) is None
    assert account.result({"M": {**each, "Items": "{% [$states.input] %}", "End": True}}, value) == [value]
    assert account.result({"M": {**each, "End": True}}, [value]) == [value]


def test_a_branch_keeps_its_variables_to_itself(account: Account) -> None:
    inner = {"StartAt": "A", "States": {"A": give(None, Assign={"n": 2}, Next="B"), "B": give("{% $n %}")}}
    states = {
        "Set": give(None, Assign={"n": 1}, Next="Fork"),
        "Fork": {"Type": "Parallel", "Branches": [inner], "Next": "See"},
        "See": give("{% [$states.input, $n] %}"),
    }
    assert account.result(states) == [2, 1]


def test_the_functions_of_step_functions_are_there(account: Account) -> None:
    result = account.result(
        {
            "A": give(
                {
                    "parse": "{% $parse($states.input) %}",
                    "hash": "{% $hash('a', 'SHA-256') %}",
                    "uuid": "{% $length($uuid()) %}",
                    "range": "{% $range(1, 7, 3) %}",
                    "partition": "{% $partition([1..3], 2) %}",
                    "random": "{% $random() < 1 %}",
                }
            )
        },
        '{"a":[null]}',
    )
    assert result == {
        "parse": {"a": [None]},
        "hash": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
        "uuid": 36,
        "range": [1, 4, 7],
        "partition": [[1, 2], [3]],
        "random": True,
    }


@pytest.mark.parametrize("seconds", ["{% 0.5 %}", "{% -1 %}", "{% '1' %}"])
def test_a_wait_takes_whole_seconds_only(account: Account, seconds: str) -> None:
    wait = {"Type": "Wait", "Seconds": seconds, "End": True}
    assert failed(account.run({"W": wait})) == "States.QueryEvaluationError"


def test_fail_takes_expressions(account: Account) -> None:
    fail = {"Type": "Fail", "Error": "{% $states.input.e %}", "Cause": "{% 'of ' & $states.input.e %}"}
    end = account.run({"F": fail}, {"e": "Mine"})
    assert (end["error"], end["cause"]) == ("Mine", "of Mine")


# --- Retry ---


@pytest.fixture
def fast(engine: Engine) -> Iterator[None]:
    """Waits and retry delays at a twentieth of their length."""
    engine.wait_scale(0.05)
    yield
    engine.wait_scale(1)


def _attempts(account: Account, arn: str) -> list[float]:
    times = [e["timestamp"].timestamp() for e in account.events(arn) if e["type"] == "TaskScheduled"]
    return [later - earlier for earlier, later in itertools.pairwise(times)]


@pytest.mark.usefixtures("fast")
def test_delays_grow_to_their_limit_and_every_rule_counts_its_own_attempts(account: Account) -> None:
    retry = [
        {"ErrorEquals": ["Other"]},
        {
            "ErrorEquals": ["DynamoDb.ResourceNotFoundException"],
            "IntervalSeconds": 2,
            "BackoffRate": 10,
            "MaxDelaySeconds": 4,
            "MaxAttempts": 3,
        },
    ]
    key = {"pk": {"S": "{% $string($states.context.State.RetryCount) %}"}}
    end = account.run({"A": task("aws-sdk:dynamodb:getItem", {"TableName": "nowhere", "Key": key}, Retry=retry)})
    assert failed(end) == "DynamoDb.ResourceNotFoundException"
    details = [event.get("taskScheduledEventDetails") for event in account.events(end["executionArn"])]
    assert [json.loads(one["parameters"])["Key"]["pk"]["S"] for one in details if one] == ["0", "1", "2", "3"]
    first, second, third = _attempts(account, end["executionArn"])
    assert first > 0.09 and second > 0.19 and 0.19 < third < 5  # 10 s without the limit


@pytest.mark.usefixtures("fast")
def test_full_jitter_spreads_the_delays(account: Account) -> None:
    retry = [
        {
            "ErrorEquals": ["States.ALL"],
            "IntervalSeconds": 8,
            "BackoffRate": 1,
            "MaxAttempts": 8,
            "JitterStrategy": "FULL",
        }
    ]
    end = account.run({"A": task("aws-sdk:dynamodb:getItem", {"TableName": "nowhere", "Key": {}}, Retry=retry)})
    delays = _attempts(account, end["executionArn"])
    assert len(delays) == 8
    assert min(delays) < 0.3  # 0.4 s each without jitter


def test_states_all_does_not_cover_a_runtime_error(account: Account) -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    states = {"A": task("aws-sdk:nowhere:nothing", {}, Catch=catch), "Caught": give("wrong")}
    assert failed(account.run(states)) == "States.Runtime"


# --- Distributed Map ---


def test_children_are_executions_with_their_own_input_and_history(account: Account) -> None:
    account.items("three.jsonl", [{"n": i} for i in range(3)])
    child = {"Work": give("{% {'in': $states.context.Execution.Input, 'arn': $states.context.Execution.Id} %}")}
    selector = {
        "n": "{% $states.context.Map.Item.Value.n %}",
        "i": "{% $states.context.Map.Item.Index %}",
        "run": "{% $states.input.run %}",
    }
    arn = account.start(
        {
            "M": distributed(
                child, "{% $states.input.key %}", ItemSelector=selector, MaxConcurrency="{% $states.input.limit %}"
            )
        },
        {"key": "three.jsonl", "limit": 2, "run": "r"},
    )
    outputs = json.loads(account.ended(arn)["output"])
    assert [output["in"] for output in outputs] == [{"n": i, "i": i, "run": "r"} for i in range(3)]
    children = account.children(arn)
    assert {output["arn"] for output in outputs} == {one["executionArn"] for one in children}
    assert all("/Jobs:" in one["executionArn"] for one in children)
    kinds = [event["type"] for event in account.events(children[0]["executionArn"])]
    assert kinds == ["ExecutionStarted", "PassStateEntered", "PassStateExited", "ExecutionSucceeded"]
    assert account.map_run(arn)["maxConcurrency"] == 2
    assert account.map_run(arn)["executionCounts"]["succeeded"] == 3


@pytest.mark.parametrize(("inside", "more"), [("{% $outer %}", {}), (1, {"ItemSelector": {"n": "{% $outer %}"}})])
def test_variables_stop_at_the_border_of_a_distributed_map(account: Account, inside: Any, more: dict[str, Any]) -> None:
    states = {"Set": give([1], Assign={"outer": 1}, Next="M"), "M": distributed({"A": give(inside)}, **more)}
    assert account.run(states)["status"] == "FAILED"


def test_results_are_written_with_a_manifest(account: Account) -> None:
    account.items("mixed.jsonl", [1, 2, 3])
    child = {
        "Odd?": {"Type": "Choice", "Choices": [{"Condition": "{% $states.input = 2 %}", "Next": "F"}], "Default": "G"},
        "G": give(["{% $states.input %}"]),
        "F": THROW,
    }

    def written(transformation: str, output_type: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
        writer = {
            "Resource": "arn:aws:states:::s3:putObject",
            "WriterConfig": {"Transformation": transformation, "OutputType": output_type},
            "Arguments": {"Bucket": "{% $states.input.bucket %}", "Prefix": "results/here"},
        }
        result = account.result(
            {"M": distributed(child, "mixed.jsonl", ResultWriter=writer, ToleratedFailurePercentage=50)},
            {"bucket": BUCKET},
        )
        folder = f"results/here/{result['MapRunArn'].rpartition(':')[2]}"
        assert result["ResultWriterDetails"] == {"Bucket": BUCKET, "Key": f"{folder}/manifest.json"}
        manifest = json.loads(account.object(f"{folder}/manifest.json"))
        assert manifest["DestinationBucket"] == BUCKET and manifest["MapRunArn"] == result["MapRunArn"]
        files = manifest["ResultFiles"]
        [succeeded], [failures] = files["SUCCEEDED"], files["FAILED"]
        assert succeeded["Key"].startswith(f"{folder}/SUCCEEDED_0") and files["PENDING"] == []
        text = account.object(succeeded["Key"])
        assert succeeded["Size"] == len(text)
        first = account.object(failures["Key"])
        failure = json.loads(first)[0] if output_type == "JSON" else json.loads(first)
        return text, failure, json.loads(account.object(f"{folder}/manifest.json"))

    text, failure, _ = written("COMPACT", "JSONL")
    assert text.split("\n") == ["[1]", "[3]"]
    assert (failure["Input"], failure["Error"], failure["Status"]) == ("2", "Boom", "FAILED")
    assert written("FLATTEN", "JSON")[0] == "[1,3]"
    entries = json.loads(written("NONE", "JSON")[0])
    assert [(entry["Input"], entry["Output"]) for entry in entries] == [("1", "[1]"), ("3", "[3]")]


def test_no_items_is_a_success_without_children(account: Account) -> None:
    account.items("none.jsonl", [])
    writer = {"Resource": "arn:aws:states:::s3:putObject", "Arguments": {"Bucket": BUCKET, "Prefix": "empty"}}
    arn = account.start({"M": distributed({"A": give(1)}, "none.jsonl", ResultWriter=writer)})
    result = json.loads(account.ended(arn)["output"])
    files = json.loads(account.object(result["ResultWriterDetails"]["Key"]))["ResultFiles"]
    assert files == {"SUCCEEDED": [], "FAILED": [], "PENDING": []}
    assert account.children(arn) == []


def test_too_many_failures_end_the_map_and_stop_the_others(account: Account) -> None:
    child = {
        "First?": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $states.input = 1 %}", "Next": "F"}],
            "Default": "W",
        },
        "W": {"Type": "Wait", "Seconds": 30, "End": True},
        "F": THROW,
    }
    arn = account.start({"M": distributed(child, Items=[2, 1, 3, 4], MaxConcurrency=2)})
    assert failed(account.ended(arn)) == "States.ExceedToleratedFailureThreshold"
    assert sorted(one["status"] for one in account.children(arn)) == ["ABORTED", "FAILED"]
    run = account.map_run(arn)
    assert run["status"] == "FAILED" and run["itemCounts"]["pending"] == 2


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        ({"ToleratedFailureCount": "{% 2 %}"}, "SUCCEEDED"),
        ({"ToleratedFailureCount": 1}, "FAILED"),
        ({"ToleratedFailurePercentage": 50}, "SUCCEEDED"),
        ({"ToleratedFailurePercentage": 49.9}, "FAILED"),
        ({"ToleratedFailurePercentage": 100, "ToleratedFailureCount": 1}, "FAILED"),
    ],
)
def test_failures_are_tolerated_up_to_the_limits(account: Account, limits: dict[str, Any], status: str) -> None:
    child = {
        "Odd?": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $states.input % 2 = 0 %}", "Next": "F"}],
            "Default": "G",
        },
        "G": give(1),
        "F": THROW,
    }
    assert account.run({"M": distributed(child, Items=[1, 2, 3, 4], **limits)})["status"] == status


def test_a_missing_item_object_has_its_own_error(account: Account) -> None:
    assert failed(account.run({"M": distributed({"A": give(1)}, "nowhere.jsonl")})) == "States.ItemReaderFailed"


def test_csv_listings_and_batches_are_read(account: Account) -> None:
    account.client("s3").put_object(Bucket=BUCKET, Key="rows/one.csv", Body='a,b\n1,"x\ny"\n2\n')
    child = {"A": {"Type": "Pass", "End": True}}
    table = distributed(child, "rows/one.csv", ItemBatcher={"MaxItemsPerBatch": 2, "BatchInput": {"k": "v"}})
    table["ItemReader"]["ReaderConfig"] = {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}
    rows = [{"a": "1", "b": "x\ny"}, {"a": "2", "b": ""}]
    assert account.result({"M": table}) == [{"Items": rows, "BatchInput": {"k": "v"}}]
    listing = distributed(child)
    listing["ItemReader"] = {
        "Resource": "arn:aws:states:::s3:listObjectsV2",
        "Arguments": {"Bucket": BUCKET, "Prefix": "rows/"},
    }
    assert [item["Key"] for item in account.result({"M": listing})] == ["rows/one.csv"]


def test_the_concurrency_of_a_running_map_can_be_changed(account: Account) -> None:
    arn = account.start(
        {
            "M": distributed(
                {"P": park("{% 'live' & $string($states.input) %}", TimeoutSeconds=30)},
                Items=[1, 2, 3],
                MaxConcurrency=1,
            )
        }
    )
    account.token("live1")
    run = account.map_run(arn)
    assert (run["executionCounts"]["running"], run["executionCounts"]["pending"]) == (1, 2)
    account.sfn.update_map_run(mapRunArn=run["mapRunArn"], maxConcurrency=3)
    until(lambda: account.map_run(arn)["executionCounts"]["running"], lambda running: running == 3)
    for key in ("live1", "live2", "live3"):
        account.sfn.send_task_success(taskToken=account.token(key), output="{}")
    assert account.ended(arn)["status"] == "SUCCEEDED"


def test_express_children_run_but_cannot_wait_for_tokens(account: Account) -> None:
    assert account.result({"M": distributed({"A": give("ok")}, Items=[1], execution_type="EXPRESS")}) == ["ok"]
    arn = account.start({"M": distributed({"P": park("never")}, Items=[1], execution_type="EXPRESS")})
    account.ended(arn)
    [child] = account.children(arn)
    assert ":express:" in child["executionArn"] and child["status"] == "FAILED"


def test_two_hundred_children_park_without_threads_and_wake(account: Account, engine: Engine) -> None:
    account.items("many.jsonl", list(range(200)))
    before = _threads(engine.pid)
    started = time.monotonic()
    arn = account.start(
        {
            "M": distributed(
                {"P": park("{% 'many' & $string($states.input) %}", TimeoutSeconds=60)},
                "many.jsonl",
                Output="{% $count($states.result) %}",
            )
        }
    )
    until(lambda: account.map_run(arn)["executionCounts"]["running"], lambda running: running == 200)
    tokens = [account.token(f"many{i}") for i in range(200)]
    assert _threads(engine.pid) - before < 20
    for token in tokens:
        account.sfn.send_task_success(taskToken=token, output="{}")
    assert account.ended(arn)["output"] == "200"
    assert time.monotonic() - started < 30


def _threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


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


def test_a_redrive_runs_only_the_children_that_failed_and_from_where_they_failed(account: Account) -> None:
    key = "{% 'redrive' & $string($states.input) %}"
    child = {
        "Once": put(key, Next="Park", Output="{% $states.input %}"),
        "Park": park(
            "{% 'redriven' & $string($states.input) %}",
            TimeoutSeconds=30,
            Output="{% $states.context.Execution.RedriveCount %}",
        ),
    }
    states = {
        "Set": give([1, 2], Assign={"kept": "yes"}, Next="M"),
        "M": distributed(child, Next="See", ToleratedFailureCount=0),
        "See": give(["{% $states.input %}", "{% $kept %}", "{% $states.context.Execution.RedriveCount %}"]),
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
    queue = _queue_of_events(account, "aws.states")
    arns = [
        account.start({"M": distributed({"A": give(1)}, Items=[1])}),
        account.start({"W": {"Type": "Wait", "Seconds": 30, "End": True}}, timeout=1),
        account.start({"A": give(1)}, kind="EXPRESS"),
        account.start({"W": {"Type": "Wait", "Seconds": 30, "End": True}}),
    ]
    account.sfn.stop_execution(executionArn=arns[3])
    account.ended(arns[1])
    details = [json.loads(body)["detail"] for body in _received(account, queue, 6)]
    seen = {(arns.index(d["executionArn"]), d["status"]) for d in details if d["executionArn"] in arns}
    assert seen == {(0, "RUNNING"), (0, "SUCCEEDED"), (1, "RUNNING"), (1, "TIMED_OUT"), (3, "RUNNING"), (3, "ABORTED")}
    assert not [d for d in details if d["executionArn"] not in arns]


def test_state_data_is_limited_to_256_kib(account: Account) -> None:
    text = "{% $join($map([1..2700], function($i) { '" + "x" * 100 + "' })) %}"
    assert failed(account.run({"A": give(text)})) == "States.DataLimitExceeded"
    assert account.run({"A": give(text.replace("2700", "2600"))})["status"] == "SUCCEEDED"


def test_the_history_has_an_end(account: Account) -> None:
    states = {"Set": give(None, Assign={"n": 0}, Next="A"), "A": give(None, Next="A")}
    assert failed(account.run(states)) == "States.Runtime"


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


@pytest.mark.parametrize(
    "definition",
    [
        "{",
        '{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}',
        *(
            json.dumps({"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": state}})
            for state in (
                give(1, Next="B"),
                {"Type": "Pass"},
                {**give(1), "ResultPath": "$"},
                {**put("k"), "TimeoutSecond": 1},
                {**put("k"), "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "B"}]},
                {**distributed({"A": give(1)}), "MaxConcurrencyPath": "$.n"},
                distributed({"A": {"Type": "Nope"}}),
            )
        ),
    ],
)
def test_definitions_that_aws_refuses_are_refused(account: Account, definition: str) -> None:
    with pytest.raises(account.sfn.exceptions.InvalidDefinition):
        account.sfn.create_state_machine(name="refused", roleArn=ROLE, definition=definition)
    assert account.sfn.validate_state_machine_definition(definition=definition)["result"] == "FAIL"


def _queue_of_events(account: Account, source: str) -> str:
    """Return the URL of a queue that receives every event of a source."""
    name = f"events-of-{source.replace('.', '-')}"
    url: str = account.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    events = account.client("events")
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [source]}))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": f"arn:aws:sqs:us-east-1:000000000000:{name}"}])
    return url


def _received(account: Account, queue: str, count: int) -> list[str]:
    """Return the bodies of at least that many messages."""
    bodies: list[str] = []

    def receive() -> int:
        answer = account.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        bodies.extend(message["Body"] for message in answer.get("Messages", []))
        for message in answer.get("Messages", []):
            account.client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return len(bodies)

    until(receive, lambda received: received >= count)
    return bodies


# --- IAM ---


@pytest.fixture(scope="module")
def guarded(engine_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An account that enforces IAM."""
    log = tmp_path_factory.mktemp("guarded") / "engine.log"
    with start_engine(python=engine_python, auth=True, log=log) as running:
        account = Account(running.url)
        prepare(account)
        yield account


def _role(account: Account, name: str, service: str, *statements: dict[str, Any]) -> Account:
    iam = account.client("iam")
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    policy = {"Statement": [{"Effect": "Allow", **statement} for statement in statements]}
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
    return replace(account, role=role)


def test_the_policies_of_the_machines_role_decide(guarded: Account) -> None:
    guarded.items("guarded.jsonl", [1])
    write = {"Action": "dynamodb:UpdateItem", "Resource": f"arn:aws:dynamodb:us-east-1:000000000000:table/{TABLE}"}
    read = {"Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    begin = {"Action": "states:StartExecution", "Resource": "*"}
    writer = _role(guarded, "writer", "states.amazonaws.com", write)
    starter = _role(guarded, "starter", "states.amazonaws.com", write, begin)
    reader = _role(guarded, "reader", "states.amazonaws.com", read)
    whole = _role(guarded, "whole", "states.amazonaws.com", write, read, begin)
    other = _role(guarded, "other", "lambda.amazonaws.com", write)

    assert writer.run({"A": put("allowed")})["status"] == "SUCCEEDED"
    assert writer.run({"A": put("parked", "dynamodb:updateItem")})["status"] == "SUCCEEDED"
    assert failed(reader.run({"A": put("denied")})) == "DynamoDb.DynamoDbException"
    assert failed(other.run({"A": put("untrusted")})) == "States.Runtime"
    items = {"M": distributed({"A": put("child")}, "guarded.jsonl")}
    assert failed(starter.run(items)) == "States.ItemReaderFailed"
    assert failed(reader.run(items)) == "States.Runtime"
    assert whole.run(items)["status"] == "SUCCEEDED"

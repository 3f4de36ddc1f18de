"""Lambda on the local AWS: errors, asynchronous calls, and EventBridge's delivery to its targets."""

import io
import json
import re
import time
import zipfile
from typing import Any

import pytest

from tests.local.conftest import ACCOUNT, Aws

HANDLER = """
import os, sys, time
class NotReady(Exception):
    pass
calls = 0
def handler(event, context):
    global calls
    calls += 1
    kind = event.get("kind")
    if kind == "raise":
        raise NotReady("not yet")
    if kind == "exit":
        sys.exit(1)
    if kind == "sleep":
        time.sleep(event["seconds"])
    if kind == "set":
        return {1, 2}
    return {"calls": calls, "pid": os.getpid()}
"""


def make_function(
    aws: Aws, name: str = "f", code: str = HANDLER, libraries: dict[str, str] | None = None, **more: Any
) -> str:
    """Create a Python function and return its ARN; `libraries` are further files of its zip."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for path, content in ({"app.py": code} | (libraries or {})).items():
            file.writestr(path, content)
    function = getattr(aws, "lambda").create_function(
        FunctionName=name,
        Runtime="python3.12",
        Handler="app.handler",
        Role=f"arn:aws:iam::{ACCOUNT}:role/any",
        Code={"ZipFile": archive.getvalue()},
        **({"Timeout": 5} | more),
    )
    return str(function["FunctionArn"])


def invoke(aws: Aws, event: dict[str, Any], name: str = "f") -> tuple[str | None, Any]:
    """Invoke a function; return what kind of error there was, and the payload."""
    answer = getattr(aws, "lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    return answer.get("FunctionError"), json.loads(answer["Payload"].read())


def test_an_error_carries_its_class_and_trace_and_keeps_the_worker(aws: Aws) -> None:
    make_function(aws)
    _, before = invoke(aws, {})
    kind, error = invoke(aws, {"kind": "raise"})
    _, after = invoke(aws, {})
    assert kind == "Unhandled"
    assert error["errorType"] == "NotReady"
    assert error["errorMessage"] == "not yet"
    assert error["requestId"]
    assert "in handler" in error["stackTrace"][0] and 'raise NotReady("not yet")' in error["stackTrace"][0]
    assert after == {"calls": before["calls"] + 2, "pid": before["pid"]}


@pytest.mark.parametrize(
    ("event", "error_type", "message"),
    [
        ({"kind": "exit"}, "Runtime.ExitError", "Runtime exited"),
        ({"kind": "set"}, "Runtime.MarshalError", "Unable to marshal response"),
        ({"kind": "sleep", "seconds": 3}, "Sandbox.Timedout", "Task timed out after 1.00 seconds"),
    ],
)
def test_errors_of_the_runtime(aws: Aws, event: dict[str, Any], error_type: str, message: str) -> None:
    make_function(aws, Timeout=1)
    kind, error = invoke(aws, event)
    assert (kind, error["errorType"]) == ("Unhandled", error_type)
    assert message in error["errorMessage"]


LOGS = """
import logging
log = logging.getLogger("mine")
def handler(event, context):
    log.debug("not written")
    fields = {"run_id": "monday", "shard": 0, "counts": [1], "level": "mine", "no": None}
    log.info("heard %s", event["word"], extra=fields)
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception("failed")
    return context.aws_request_id
"""


def logged(aws: Aws) -> list[str]:
    """Return what the function wrote itself."""
    events = aws.logs.filter_log_events(logGroupName="/aws/lambda/f")["events"]
    platform = ("START ", "END ", "REPORT ")
    return [event["message"] for event in events if not event["message"].startswith(platform)]


def test_in_the_format_json_a_record_has_its_fields_at_the_top_level(aws: Aws) -> None:
    make_function(aws, code=LOGS, LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "INFO"})
    _, request_id = invoke(aws, {"word": "é"})
    heard, failed = (json.loads(line) for line in logged(aws))
    assert re.fullmatch(r"[0-9-]{10}T[0-9:]{8}Z", heard.pop("timestamp"))
    of_lambda = {"level": "INFO", "message": "heard é", "logger": "mine", "requestId": request_id}
    assert heard == of_lambda | {"run_id": "monday", "shard": 0, "counts": [1]}
    assert (failed["level"], failed["errorType"], failed["errorMessage"]) == (
        "ERROR",
        "ZeroDivisionError",
        "division by zero",
    )
    assert "in handler" in failed["stackTrace"][0]


def test_in_the_format_text_a_record_is_a_line_without_its_fields(aws: Aws) -> None:
    make_function(aws, code=LOGS.replace("def handler", "log.setLevel(logging.INFO)\ndef handler"))
    invoke(aws, {"word": "hello"})
    (line,) = (line for line in logged(aws) if "heard hello" in line)
    assert line.startswith("[INFO]\t") and "monday" not in line


@pytest.mark.parametrize(
    "fields", ["{'message': 1}", "{'name': 1}", "{'taken': {1}}", "{'text': chr(0xD800)}"], ids=["1", "2", "3", "4"]
)
def test_a_record_that_cannot_be_written_fails_the_call(aws: Aws, fields: str) -> None:
    code = f"import logging\ndef handler(event, context):\n    logging.error('said', extra={fields})"
    make_function(aws, code=code, LoggingConfig={"LogFormat": "JSON"})
    assert invoke(aws, {})[0] == "Unhandled"


def test_a_module_that_cannot_be_imported(aws: Aws) -> None:
    make_function(aws, code="import nothing_of_that_name")
    _, error = invoke(aws, {})
    assert error["errorType"] == "Runtime.ImportModuleError"
    assert error["errorMessage"].startswith("Unable to import module 'app'")


def test_a_library_in_the_zip_counts_more_than_one_of_the_interpreter(aws: Aws) -> None:
    """Our code zip has its own boto3, and the engine's interpreter has another botocore."""
    code = "import botocore\ndef handler(event, context):\n    return botocore.__version__"
    make_function(aws, code=code, libraries={"botocore/__init__.py": "__version__ = 'shipped'"})
    assert invoke(aws, {}) == (None, "shipped")


def rule_to(aws: Aws, target: dict[str, Any]) -> None:
    """Make a rule that sends every event of the source `test` to a target."""
    aws.events.put_rule(Name="r", EventPattern=json.dumps({"source": ["test"]}))
    aws.events.put_targets(Rule="r", Targets=[{"Id": "t"} | target])


def send(aws: Aws, count: int = 1) -> None:
    aws.events.put_events(Entries=[{"Source": "test", "DetailType": "d", "Detail": "{}"}] * count)


RECORDER = """
import boto3, os
def handler(event, context):
    attempts = boto3.client("dynamodb").update_item(
        TableName="attempts", Key={"id": {"S": "x"}}, UpdateExpression="ADD n :one",
        ExpressionAttributeValues={":one": {"N": "1"}}, ReturnValues="ALL_NEW")["Attributes"]["n"]["N"]
    if int(attempts) <= int(os.environ["FAILURES"]):
        raise RuntimeError("again")
"""


def recorder(aws: Aws, *, failures: int, **more: Any) -> str:
    """Make a function that counts its calls and fails the first of them."""
    aws.dynamodb.create_table(
        TableName="attempts",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return make_function(aws, code=RECORDER, Environment={"Variables": {"FAILURES": str(failures)}}, **more)


def attempts(aws: Aws) -> int:
    item = aws.dynamodb.get_item(TableName="attempts", Key={"id": {"S": "x"}}).get("Item", {"n": {"N": "0"}})
    return int(item["n"]["N"])


def wait_for_attempts(aws: Aws, count: int) -> None:
    deadline = time.monotonic() + 15
    while attempts(aws) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    assert attempts(aws) == count


def test_an_event_is_tried_again_until_the_function_takes_it(aws: Aws) -> None:
    rule_to(aws, {"Arn": recorder(aws, failures=1)})
    send(aws)
    wait_for_attempts(aws, 2)


def test_an_event_that_never_succeeds_goes_to_the_dead_letter_queue(aws: Aws) -> None:
    queue, queue_arn = aws.make_queue("dead")
    arn = recorder(aws, failures=9, DeadLetterConfig={"TargetArn": queue_arn})
    getattr(aws, "lambda").put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=1)
    rule_to(aws, {"Arn": arn})
    send(aws)
    (message,) = aws.messages(queue, wait_seconds=10)
    assert json.loads(message["Body"])["source"] == "test", "the event itself"
    assert message["MessageAttributes"]["ErrorMessage"]["StringValue"] == "again"
    assert attempts(aws) == 2


def test_throttled_events_are_not_lost(aws: Aws) -> None:
    arn = recorder(aws, failures=0)
    getattr(aws, "lambda").put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    getattr(aws, "lambda").put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=0)
    rule_to(aws, {"Arn": arn})
    send(aws, count=6)
    wait_for_attempts(aws, 6)


@pytest.mark.parametrize("kind", ["lambda", "states"])
def test_an_event_for_a_missing_target_goes_to_the_queue_of_the_target(aws: Aws, kind: str) -> None:
    queue, queue_arn = aws.make_queue("dead")
    missing = "function:none" if kind == "lambda" else "stateMachine:none"
    target_arn = f"arn:aws:{kind}:us-east-1:{ACCOUNT}:{missing}"
    rule_to(aws, {"Arn": target_arn, "DeadLetterConfig": {"Arn": queue_arn}})
    send(aws)
    (message,) = aws.messages(queue, wait_seconds=5)
    assert json.loads(message["Body"])["source"] == "test"
    assert message["MessageAttributes"]["TARGET_ARN"]["StringValue"] == target_arn
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_RESOURCE"

"""Published versions of functions on the local AWS: each keeps its code, its configuration and its policy."""

import io
import json
import time
import urllib.request
import zipfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.process import Engine
from tests.local.conftest import ACCOUNT, Aws
from tests.local.sfn_probe import Account, failed, task, with_role
from tests.local.test_lambda import invoke, make_function, rule_to, send

ARN = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"
SEEN = """
import os
{extra}
def handler(event, context):
    return {{
        "code": {name!r},
        "word": os.environ.get("WORD"),
        "memory": os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"],
        "version": context.function_version,
        "arn": context.invoked_function_arn,
    }}
def other(event, context):
    return "another handler"
"""


def code(name: str, extra: str = "") -> str:
    return SEEN.format(name=name, extra=extra)


def zipped(files: dict[str, str]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for path, content in files.items():
            file.writestr(path, content)
    return archive.getvalue()


def functions(aws: Aws) -> Any:
    return getattr(aws, "lambda")


def update(aws: Aws, name: str, **more: Any) -> Any:
    return functions(aws).update_function_code(FunctionName="f", ZipFile=zipped({"app.py": code(name)}), **more)


def test_a_version_keeps_code_handler_environment_memory_and_layers(aws: Aws) -> None:
    layers = [
        functions(aws).publish_layer_version(
            LayerName="words", Content={"ZipFile": zipped({"python/layered.py": f"WORD = {word!r}"})}
        )["LayerVersionArn"]
        for word in ("old", "new")
    ]
    extra = "import layered; os.environ.setdefault('WORD', layered.WORD)"
    make_function(aws, code=code("one", extra), Publish=True, MemorySize=256, Layers=layers[:1])
    first = invoke(aws, {}, f"{ARN}:1")[1]
    functions(aws).update_function_configuration(
        FunctionName="f", Environment={"Variables": {"WORD": "set"}}, MemorySize=512, Layers=layers[1:]
    )
    functions(aws).delete_layer_version(LayerName="words", VersionNumber=1)
    update(aws, "two", Publish=True)
    functions(aws).update_function_configuration(FunctionName="f", Handler="app.other")
    assert first == {"code": "one", "word": "old", "memory": "256", "version": "1", "arn": f"{ARN}:1"}
    assert invoke(aws, {}, f"{ARN}:1")[1] == first
    second = {"code": "two", "word": "set", "memory": "512", "version": "2", "arn": f"{ARN}:2"}
    assert [invoke(aws, {}, f"{ARN}:2")[1], invoke(aws, {}, "f:2")[1]] == [second, second]
    assert invoke(aws, {})[1] == invoke(aws, {}, f"{ARN}:$LATEST")[1] == "another handler"


def test_a_version_has_its_own_arn_whoever_published_it(aws: Aws) -> None:
    make_function(aws, code=code("one"), Publish=True)
    assert update(aws, "two", Publish=True)["FunctionArn"] == f"{ARN}:2"
    update(aws, "three")
    assert functions(aws).publish_version(FunctionName="f")["FunctionArn"] == f"{ARN}:3"
    listed = functions(aws).list_versions_by_function(FunctionName="f")["Versions"]
    assert [(one["Version"], one["FunctionArn"]) for one in listed[1:]] == [(n, f"{ARN}:{n}") for n in "123"]


def test_what_is_unchanged_is_not_published_again(aws: Aws) -> None:
    make_function(aws, code=code("one"), Publish=True)
    assert functions(aws).publish_version(FunctionName="f")["Version"] == "1"
    assert update(aws, "one", Publish=True)["Version"] == "1", "the same code, deployed again"
    assert update(aws, "two", Publish=True)["Version"] == "2"
    functions(aws).update_function_configuration(FunctionName="f", MemorySize=512)
    assert functions(aws).publish_version(FunctionName="f")["Version"] == "3"


def test_the_code_of_a_version_can_be_fetched(aws: Aws) -> None:
    make_function(aws, code=code("one"), Publish=True)
    update(aws, "two", Publish=True)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for qualifier, name in (("1", "one"), ("2", "two"), ("$LATEST", "two")):
        found = functions(aws).get_function(FunctionName="f", Qualifier=qualifier)
        with direct.open(found["Code"]["Location"]) as response:
            files = zipfile.ZipFile(io.BytesIO(response.read()))
        assert files.read("app.py").decode() == code(name)


@pytest.mark.parametrize("name", ["f:7", f"{ARN}:7", f"{ARN}:prod"])
def test_a_version_that_does_not_exist_is_not_found(aws: Aws, name: str) -> None:
    make_function(aws, code=code("one"), Publish=True)
    with pytest.raises(ClientError) as error:
        invoke(aws, {}, name)
    assert error.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_a_deleted_function_takes_its_versions_with_it(aws: Aws) -> None:
    make_function(aws, code=code("one"), Publish=True)
    assert invoke(aws, {}, f"{ARN}:1")[1]["code"] == "one"
    functions(aws).delete_function(FunctionName="f")
    make_function(aws, code=code("new"), Publish=True)
    assert invoke(aws, {}, f"{ARN}:1")[1]["code"] == "new"


def test_versions_share_the_concurrency_of_their_function(aws: Aws) -> None:
    make_function(aws, code=code("one"), Publish=True)
    functions(aws).put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    for name in ("f", "f:1"):
        with pytest.raises(ClientError) as error:
            invoke(aws, {}, name)
        assert error.value.response["Error"]["Code"] == "TooManyRequestsException"


def test_an_event_reaches_the_version_that_the_rule_names(aws: Aws) -> None:
    queue, queue_arn = aws.make_queue("dead")
    make_function(aws, code="def handler(event, context): raise RuntimeError('old')", Publish=True)
    update(aws, "two")
    functions(aws).put_function_event_invoke_config(
        FunctionName="f",
        Qualifier="1",
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": queue_arn}},
    )
    rule_to(aws, {"Arn": f"{ARN}:1"})
    send(aws)
    (message,) = aws.messages(queue, wait_seconds=5)
    assert json.loads(message["Body"])["responsePayload"]["errorMessage"] == "old"


# --- From Step Functions, with IAM enforced ---


@pytest.fixture(scope="module")
def versions(guarded: Engine) -> Engine:
    """An engine that enforces IAM, with a function of two versions."""
    guarded.reset()
    aws = Aws(guarded.url)
    aws.make_role("any", service="lambda.amazonaws.com")
    make_function(aws, code=code("one"), Publish=True)
    update(aws, "two", Publish=True)
    update(aws, "three")
    time.sleep(0.1)
    return guarded


def may_invoke(engine: Engine, name: str, resource: str) -> Account:
    statement = {"Action": "lambda:InvokeFunction", "Resource": resource}
    return with_role(Account(engine.url), name, "states.amazonaws.com", statement)


def invoked(account: Account, **arguments: str) -> dict[str, Any]:
    return account.run(
        {"A": task("lambda:invoke", {"Payload": {}, **arguments}, Output="{% $states.result.Payload %}")}
    )


def test_a_state_calls_the_version_that_it_names(versions: Engine) -> None:
    caller = may_invoke(versions, "any-version", f"{ARN}:*")
    for arguments, name in (
        ({"FunctionName": f"{ARN}:1"}, "one"),
        ({"FunctionName": f"{ARN}:2"}, "two"),
        ({"FunctionName": ARN, "Qualifier": "1"}, "one"),
    ):
        assert json.loads(invoked(caller, **arguments)["output"])["code"] == name
    assert failed(invoked(caller, FunctionName=f"{ARN}:9")) == "Lambda.ResourceNotFoundException"


@pytest.mark.parametrize(
    ("number", "resource", "allowed"),
    [
        (0, ARN, {"f"}),
        (1, f"{ARN}:*", {"f:1", "f:2", "f?1"}),
        (2, f"{ARN}:1", {"f:1", "f?1"}),
        (3, f"{ARN}*", {"f", "f:1", "f:2", "f?1"}),
    ],
)
def test_a_policy_names_the_versions_that_may_be_called(
    versions: Engine, number: int, resource: str, allowed: set[str]
) -> None:
    calls = {
        "f": {"FunctionName": ARN},
        "f:1": {"FunctionName": f"{ARN}:1"},
        "f:2": {"FunctionName": f"{ARN}:2"},
        "f?1": {"FunctionName": ARN, "Qualifier": "1"},
    }
    caller = may_invoke(versions, f"may-call-{number}", resource)
    ends = {name: invoked(caller, **arguments) for name, arguments in calls.items()}
    assert {name for name, end in ends.items() if end["status"] == "SUCCEEDED"} == allowed
    assert {failed(end) for name, end in ends.items() if name not in allowed} <= {"Lambda.AWSLambdaException"}


def test_the_api_refuses_a_version_that_the_policy_does_not_name(versions: Engine) -> None:
    statement = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": ARN}
    client = Aws(versions.url).as_user("lambda", statement)
    assert client.invoke(FunctionName="f")["StatusCode"] == 200
    for arguments in ({"FunctionName": f"{ARN}:1"}, {"FunctionName": "f:1"}, {"FunctionName": "f", "Qualifier": "1"}):
        with pytest.raises(ClientError) as error:
            client.invoke(**arguments)
        assert error.value.response["Error"]["Code"] == "AccessDeniedException"

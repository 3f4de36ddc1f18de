"""The members, the answer and the errors of a state's AWS call, from botocore's models."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import botocore.session

CALLBACK = ".waitForTaskToken"
# `aws-sdk:<service>`: botocore's name of the service, and the prefix of its errors in Step Functions.
_SDK = {
    "bedrock": ("bedrock", "Bedrock"),
    "cloudwatch": ("cloudwatch", "CloudWatch"),
    "dynamodb": ("dynamodb", "DynamoDb"),
    "eventbridge": ("events", "EventBridge"),
    "s3": ("s3", "S3"),
    "sfn": ("stepfunctions", "Sfn"),
}
_OPTIMIZED = {
    "dynamodb:updateItem": ("dynamodb", "UpdateItem", "DynamoDB"),
    "events:putEvents": ("events", "PutEvents", "EventBridge"),
    "lambda:invoke": ("lambda", "Invoke", "Lambda"),
    "s3:getObject": ("s3", "GetObject", "S3"),
    "s3:putObject": ("s3", "PutObject", "S3"),
}
# Names that are in no service's model: AWS documents them beside the integrations.
_UNMODELLED = {
    # Step Functions' names for errors that have none, and for errors of its client.
    "Bedrock": {"BedrockException", "SdkClientException"},
    "CloudWatch": {"CloudWatchException", "SdkClientException"},
    "DynamoDb": {"DynamoDbException", "SdkClientException"},
    "DynamoDB": {"AmazonDynamoDBException", "SdkClientException"},
    # A refused entry fails the whole task.
    "EventBridge": {"FailedEntry", "ThrottlingException", "AmazonEventBridgeException", "SdkClientException"},
    "S3": {"S3Exception", "SdkClientException"},
    # Throttling is common to all services, and its name is not in the model of this one.
    "Sfn": {"SfnException", "SdkClientException", "ThrottlingException"},
    # A function's error without a type; a client that gave up.
    "Lambda": {"AWSLambdaException", "SdkClientException", "ClientExecutionTimeoutException", "Unknown"},
}
# A function's runtime that died or ran out of time.
_RUNTIME_ERRORS = {"Runtime.ExitError", "Runtime.OutOfMemory", "Sandbox.Timedout"}
_JSON_MEMBERS = {"PutEventsRequestEntry": {"Detail"}}
_STATES_ERRORS = {"States.ALL", "States.Timeout", "States.HeartbeatTimeout", "States.TaskFailed"}
_ATTRIBUTE_TYPES = {"S", "N", "M", "L"}


@dataclass(frozen=True)
class Call:
    """A call: botocore's model of the operation, the prefix of its errors, and how it is integrated."""

    service: str
    operation: Any
    prefix: str
    sdk: bool
    callback: bool


@cache
def call(resource: str) -> Call:
    """Return the call of a rendered `Resource`. Raises KeyError or botocore's errors if it does not exist.

    If a machine uses a new integration, add it to the tables above.
    """
    callback = resource.endswith(CALLBACK)
    path = resource.removeprefix("arn:aws:states:::").removesuffix(CALLBACK)
    sdk = path.startswith("aws-sdk:")
    if sdk:
        _, name, action = path.split(":")
        service, prefix = _SDK[name]
        if not action[0].islower():
            raise KeyError(f"{action} begins with a capital")
        operation = action[0].upper() + action[1:]
    else:
        service, operation, prefix = _OPTIMIZED[path]
    return Call(service, _model(service).operation_model(operation), prefix, sdk, callback)


@cache
def _model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


def sdk_name(member: str) -> str:
    """Return a member as Step Functions spells it: a capital first, acronyms as words."""
    name = member[:1].upper() + member[1:]
    return re.sub(r"[A-Z]{2,}(?=[A-Z][a-z]|$)", lambda found: found[0].capitalize(), name)


def input_problems(template: Any, called: Call) -> list[str]:
    """Return what is wrong with `Arguments`. Expressions count as right."""
    return list(_problems(template, called.operation.input_shape, called.sdk, "Arguments"))


def _problems(value: Any, shape: Any, sdk: bool, path: str) -> Iterator[str]:
    if isinstance(value, str) and value.startswith("{%"):
        return
    kind = shape.type_name
    if shape.name == "AttributeValue":
        if not isinstance(value, dict) or len(value) != 1 or not set(value) <= _ATTRIBUTE_TYPES:
            yield f"{path} is not one of {sorted(_ATTRIBUTE_TYPES)}"
    elif kind == "structure":
        yield from _structure_problems(value, shape, sdk, path)
    elif kind == "map":
        for key, item in value.items():
            yield from _problems(item, shape.value, sdk, f"{path}.{key}")
    elif kind == "list":
        for n, item in enumerate(value):
            yield from _problems(item, shape.member, sdk, f"{path}[{n}]")
    else:
        yield from _scalar_problems(value, shape, path)


def _structure_problems(value: Any, shape: Any, sdk: bool, path: str) -> Iterator[str]:
    members = {sdk_name(name) if sdk else name: name for name in shape.members}
    if not isinstance(value, dict):
        yield f"{path} is not an object"
        return
    yield from (f"{path}.{name} does not exist" for name in value if name not in members)
    yield from (
        f"{path}.{name} is missing"
        for name, wire in members.items()
        if wire in shape.required_members and name not in value
    )
    for name in members.keys() & value.keys():
        if name in _JSON_MEMBERS.get(shape.name, ()) and isinstance(value[name], dict):
            continue  # The optimized integration turns it into text.
        yield from _problems(value[name], shape.members[members[name]], sdk, f"{path}.{name}")


def _scalar_problems(value: Any, shape: Any, path: str) -> Iterator[str]:
    if shape.type_name == "string" and not isinstance(value, str):
        yield f"{path} is not a string"
    elif getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{path} is none of {shape.enum}"
    elif shape.type_name in ("integer", "long") and not isinstance(value, int):
        yield f"{path} is not a number"


def answers(called: Call, path: tuple[str, ...]) -> bool:
    """Return whether the call's answer has the member at `path`, a path below `$states.result`."""
    shape = called.operation.output_shape
    for n, name in enumerate(path):
        while shape.type_name == "list":
            shape = shape.member
        if shape.type_name == "map":
            shape = shape.value
        elif shape.type_name == "structure":
            members = {sdk_name(member) if called.sdk else member: member for member in shape.members}
            if name not in members:
                return False
            shape = shape.members[members[name]]
        else:
            # A function's answer may hold anything.
            return path[0] == "Payload" and n > 0
    return True


def knows_error(name: str, called: Call) -> bool:
    """Return whether the call can fail with an error that Step Functions gives this name."""
    if name in _STATES_ERRORS:
        return True
    prefix, _, error = name.rpartition(".")
    if not prefix or name in _RUNTIME_ERRORS:
        return called.service == "lambda"  # Names of our exceptions; tests/asl/test_function_errors.py checks them.
    if prefix != called.prefix:
        return False
    return error in _UNMODELLED[prefix] or error in _modelled_errors(called)


def _modelled_errors(called: Call) -> set[str]:
    """The end of every name of a Java SDK class, even if the API's own name does not end so."""
    names = {shape.name for shape in _model(called.service).error_shapes}
    return {name if name.endswith("Exception") else f"{name}Exception" for name in names}


@cache
def job_statuses() -> frozenset[str]:
    """Return the statuses of a batch job that Bedrock's model lists."""
    return frozenset(_model("bedrock").shape_for("ModelInvocationJobStatus").enum)

"""Task states: `aws-sdk` integrations, a few optimized ones, and waiting for a task token.

MiniStack has no `bedrock:invokeModel`, ignores an error of the call that hands over a task token, and accepts only a
number as TimeoutSeconds. Here, an integration that is not in the table below fails with States.Runtime.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from .calls import ServiceError, call
from .errors import StateError
from .executions import Execution
from .expressions import render, render_whole
from .nested import check_sync, nested_end
from .payload import dump
from .scope import Scope
from .tokens import close_token, open_token, wait_for_answer

_CALLBACK = ".waitForTaskToken"
_SYNC = ".sync:2"


@dataclass(frozen=True, slots=True)
class _Optimized:
    """An optimized integration: its error prefix, its base error and the members that take JSON instead of text."""

    error_prefix: str
    base_error: str
    callback: bool = False
    wire_names: bool = False
    json_members: tuple[str, ...] = ()


_DYNAMODB = _Optimized("DynamoDB", "AmazonDynamoDBException", wire_names=True)
_OPTIMIZED = {
    "dynamodb:getItem": _DYNAMODB,
    "dynamodb:putItem": _DYNAMODB,
    "dynamodb:updateItem": _DYNAMODB,
    "dynamodb:deleteItem": _DYNAMODB,
    "events:putEvents": _Optimized("EventBridge", "AmazonEventBridgeException", callback=True),
    "sns:publish": _Optimized("SNS", "AmazonSNSException", callback=True, json_members=("Message",)),
    "sqs:sendMessage": _Optimized("SQS", "AmazonSQSException", callback=True, json_members=("MessageBody",)),
    "lambda:invoke": _Optimized("Lambda", "AWSLambdaException", callback=True),
    "bedrock:invokeModel": _Optimized("Bedrock", "AmazonBedrockException"),
    "states:startExecution": _Optimized(
        "StepFunctions", "AWSStepFunctionsException", callback=True, json_members=("Input",)
    ),
}
_SDK_SERVICES = {"events": "eventbridge", "bedrock": "bedrockruntime", "states": "sfn"}


async def run_task(state: dict[str, Any], value: Any, scope: Scope) -> Any:
    """Run one attempt of a Task state and return its result. Raises StateError."""
    resource = state.get("Resource", "").removesuffix(_CALLBACK).removesuffix(_SYNC)
    callback = state.get("Resource", "").endswith(_CALLBACK)
    sync = state.get("Resource", "").endswith(_SYNC)
    if callback and scope.execution.machine.express:
        raise StateError("States.Runtime", "An EXPRESS workflow cannot wait for a task token.")
    token = open_token(scope.execution.arn) if callback else None
    if token:
        scope.context["Task"] = {"Token": token}
    try:
        bound = scope.bindings({"input": value})
        arguments = render(state["Arguments"], bound, "Arguments") if "Arguments" in state else value
        limit, heartbeat = (
            render_whole(state[field], bound, field) if field in state else None
            for field in ("TimeoutSeconds", "HeartbeatSeconds")
        )
        service, _, action = resource.removeprefix("arn:aws:states:::").rpartition(":")
        suffix = _CALLBACK if callback else _SYNC if sync else ""
        details = {"resourceType": service, "resource": f"{action}{suffix}"}
        parameters = scope.payload(arguments, "task input")
        scope.event("TaskScheduled", {**details, "region": scope.execution.region, "parameters": parameters})
        scope.event("TaskStarted", details)
        try:
            async with asyncio.timeout(limit):
                if sync:
                    check_sync(f"{service}:{action}", arguments, scope.execution)
                result = await _call(service, action, arguments, scope, callback)
                if sync:
                    scope.event("TaskSubmitted", {**details, "output": dump(result)})
                    result = await nested_end(result["ExecutionArn"])
                if token:
                    scope.event("TaskSubmitted", {**details, "output": dump(result)})
                    result = await wait_for_answer(token, heartbeat)
        except TimeoutError as error:
            raise scope.failed("TaskTimedOut", StateError("States.Timeout", ""), details) from error
        except StateError as error:
            kind = "TaskTimedOut" if error.error == "States.HeartbeatTimeout" else "TaskFailed"
            raise scope.failed(kind, error, details) from error
        scope.event("TaskSucceeded", {**details, "output": scope.payload(result, "result")})
        return result
    finally:
        if token:
            close_token(token)


async def _call(service: str, action: str, arguments: Any, scope: Scope, callback: bool) -> Any:
    role = scope.execution.machine.role_arn
    kind, _, sdk_service = service.rpartition(":")
    if kind == "aws-sdk":
        return await call(sdk_service, action, arguments, role)
    name = f"{service}:{action}"
    known = _OPTIMIZED.get(name)
    if known is None or (callback and not known.callback):
        suffix = _CALLBACK if callback else ""
        raise StateError("States.Runtime", f"The local engine has no integration {name}{suffix}.")
    if isinstance(arguments, dict):
        arguments = {
            k: dump(v) if k in known.json_members and not isinstance(v, str) else v for k, v in arguments.items()
        }
        if name == "events:putEvents":
            entries = [_event_entry(entry, scope.execution) for entry in arguments.get("Entries", [])]
            arguments = {**arguments, "Entries": entries}
        if name == "lambda:invoke" and "Payload" in arguments:
            arguments = {**arguments, "Payload": dump(arguments["Payload"])}
    try:
        result = await call(_SDK_SERVICES.get(service, service), action, arguments, role, wire_names=known.wire_names)
    except ServiceError as error:
        raise StateError(f"{known.error_prefix}.{error.code or known.base_error}", error.cause) from error
    return _READERS.get(name, _as_it_is)(result)


def _event_entry(entry: Any, execution: Execution) -> Any:
    """Return an entry with its detail as text, and with the ARNs of execution and machine in its resources."""
    if not isinstance(entry, dict):
        return entry
    detail, resources = entry.get("Detail", ""), entry.get("Resources", [])
    return {
        **entry,
        "Detail": detail if isinstance(detail, str) else dump(detail),
        "Resources": [*resources, execution.arn, execution.machine.arn],
    }


def _as_it_is(result: dict[str, Any]) -> dict[str, Any]:
    return result


def _read_lambda(result: dict[str, Any]) -> dict[str, Any]:
    text = result.get("Payload", "")
    if "FunctionError" in result:
        try:
            name = json.loads(text).get("errorType")
        except (ValueError, AttributeError):
            name = None
        raise StateError(name or "Lambda.Unknown", text)
    return {**result, "Payload": json.loads(text) if text else None}


def _read_model_answer(result: dict[str, Any]) -> dict[str, Any]:
    return {**result, "Body": json.loads(result["Body"])}


def _read_event_entries(result: dict[str, Any]) -> dict[str, Any]:
    if result.get("FailedEntryCount"):
        raise StateError("EventBridge.FailedEntry", dump(result))
    return result


_READERS = {
    "lambda:invoke": _read_lambda,
    "bedrock:invokeModel": _read_model_answer,
    "events:putEvents": _read_event_entries,
}

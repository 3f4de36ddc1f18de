"""The API actions that MiniStack lacks or answers differently from AWS; all others stay MiniStack's.

MiniStack has no redrive, no idempotent start and no check of definitions, and it forgets tracingConfiguration (so every
Terraform plan shows a change). StartExecution and similar actions use our own interpreter.
"""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ministack.core.responses import error_response_json, json_response
from ministack.services import stepfunctions as engine

from .asl import problems
from .errors import ApiError
from .executions import Execution, Machine, begin, end_executions_of, find_execution
from .interpreter import run_execution
from .map_run import find_map_run, forget_map_runs_of
from .payload import MAX_PAYLOAD_BYTES
from .tokens import send_task_failure, send_task_heartbeat, send_task_success

_NAME = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}")
_WRONG_TYPE = "This operation is not supported by this type of state machine"
Answer = tuple[int, dict[str, str], bytes]
Handler = Callable[[str, str, dict[str, str], bytes, dict[str, Any]], Awaitable[Answer]]


def start_from_engine(data: dict[str, Any]) -> Answer:
    """Start an execution for a service of the engine. It passes the request and expects the HTTP answer."""
    return _answered(_start_execution, data)


def _start_execution(data: dict[str, Any]) -> dict[str, Any]:
    """Start an execution. If one with the same name and input is running, return that one."""
    machine = _machine(data.get("stateMachineArn", ""))
    text, name = data.get("input", "{}"), data.get("name")
    _check_input(text)
    if name is not None and not _NAME.fullmatch(name):
        raise ApiError("InvalidName", f"Invalid Name: '{name}'")
    arn = f"{machine.arn.replace(':stateMachine:', ':execution:')}:{name}"
    existing = engine._executions.get(arn)
    if existing:
        if existing["status"] != "RUNNING" or existing["input"] != text:
            raise ApiError("ExecutionAlreadyExists", f"Execution Already Exists: '{arn}'")
        return {"executionArn": arn, "startDate": existing["startDate"]}
    execution = begin(machine, run_execution, name=name, text=text)
    execution.start()
    return {"executionArn": execution.arn, "startDate": execution.record["startDate"]}


def _start_sync_execution(data: dict[str, Any]) -> dict[str, Any]:
    if not _machine(data.get("stateMachineArn", "")).express:
        raise ApiError("StateMachineTypeNotSupported", _WRONG_TYPE)
    return _start_execution(data)


async def _finished(arn: str) -> dict[str, Any]:
    """Wait for a synchronous execution and return the answer to its start."""
    execution = _execution({"executionArn": arn})
    await execution.wait()
    shown = (
        "executionArn",
        "stateMachineArn",
        "name",
        "startDate",
        "stopDate",
        "status",
        "input",
        "inputDetails",
        "output",
        "outputDetails",
        "error",
        "cause",
    )
    return {name: execution.record[name] for name in shown if execution.record.get(name) is not None}


def _stop_execution(data: dict[str, Any]) -> dict[str, Any]:
    execution = _execution(data)
    if execution.machine.express:
        raise ApiError("StateMachineTypeNotSupported", _WRONG_TYPE)
    execution.stop(**{name: data[name] for name in ("error", "cause") if name in data})
    return {"stopDate": execution.record["stopDate"]}


def _redrive_execution(data: dict[str, Any]) -> dict[str, Any]:
    execution = _execution(data)
    status, reason = execution.redrive_status()
    if status != "REDRIVABLE":
        raise ApiError("ExecutionNotRedrivable", reason)
    execution.redrive()
    return {"redriveDate": execution.record["redriveDate"]}


def _describe_execution(data: dict[str, Any]) -> dict[str, Any]:
    execution = _execution(data)
    answer: dict[str, Any] = json.loads(engine._describe_execution(data)[2])
    status, reason = execution.redrive_status()
    answer.update(redriveCount=execution.record["redriveCount"], redriveStatus=status, redriveStatusReason=reason)
    if "redriveDate" in execution.record:
        answer["redriveDate"] = execution.record["redriveDate"]
    return answer


def _update_map_run(data: dict[str, Any]) -> dict[str, Any]:
    run = find_map_run(data.get("mapRunArn", ""))
    if run is None:
        raise ApiError("ResourceNotFound", f"Map Run Does Not Exist: '{data.get('mapRunArn')}'")
    run.update(data)
    return {}


def _validate_definition(data: dict[str, Any]) -> dict[str, Any]:
    found = [
        {"severity": "ERROR", "code": "SCHEMA_VALIDATION_FAILED", "message": message, "location": location}
        for location, message in problems(data.get("definition", ""))
    ]
    return {"result": "FAIL" if found else "OK", "diagnostics": found, "truncated": False}


def _create_state_machine(data: dict[str, Any]) -> Answer:
    _check_definition(data)
    return _with_tracing(data, engine._create_state_machine(data))


def _update_state_machine(data: dict[str, Any]) -> Answer:
    if "definition" in data:
        _check_definition(data)
    return _with_tracing(data, engine._update_state_machine(data))


def _delete_state_machine(data: dict[str, Any]) -> dict[str, Any]:
    """Delete a machine and its executions (on AWS these end at their next state). A missing machine is no error."""
    arn = data.get("stateMachineArn", "")
    end_executions_of(arn)
    forget_map_runs_of(arn)
    engine._delete_state_machine(data)
    for versions in (engine._state_machine_versions, engine._state_machine_aliases):
        for key in [key for key in versions if key.startswith(f"{arn}:")]:
            del versions[key]
    return {}


def _with_tracing(data: dict[str, Any], answer: Answer) -> Answer:
    if answer[0] == 200:
        arn = data.get("stateMachineArn") or json.loads(answer[2])["stateMachineArn"]
        record = engine._state_machines[arn]
        record["tracingConfiguration"] = data.get(
            "tracingConfiguration", record.get("tracingConfiguration", {"enabled": False})
        )
    return answer


def _check_definition(data: dict[str, Any]) -> None:
    found = problems(data.get("definition", ""))
    if found:
        lines = "; ".join(f"{message} at {location}" for location, message in found)
        raise ApiError("InvalidDefinition", f"Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: {lines}'")


def _check_input(text: str) -> None:
    if len(text.encode()) > MAX_PAYLOAD_BYTES:
        raise ApiError("ValidationException", f"The input has more than {MAX_PAYLOAD_BYTES} bytes")
    try:
        json.loads(text)
    except ValueError as error:
        raise ApiError("InvalidExecutionInput", f"Invalid State Machine Execution Input: '{error}'") from error


def _machine(arn: str) -> Machine:
    base = engine._resolve_state_machine_arn(arn)
    if base is None:
        raise ApiError("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'")
    current: Mapping[str, Any] = engine._state_machines[base]
    version = engine._state_machine_versions.get(engine._execution_version_arn(arn)) or current
    return Machine(
        arn=base,
        name=current["name"],
        role_arn=version["roleArn"],
        express=version["type"] == "EXPRESS",
        definition=json.loads(version["definition"]),
        logging=version["loggingConfiguration"],
    )


def _execution(data: dict[str, Any]) -> Execution:
    arn = data.get("executionArn", "")
    execution = find_execution(arn)
    if execution is None:
        raise ApiError("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
    return execution


_ACTIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "CreateStateMachine": _create_state_machine,
    "UpdateStateMachine": _update_state_machine,
    "DeleteStateMachine": _delete_state_machine,
    "ValidateStateMachineDefinition": _validate_definition,
    "StartExecution": _start_execution,
    "StartSyncExecution": _start_sync_execution,
    "StopExecution": _stop_execution,
    "RedriveExecution": _redrive_execution,
    "DescribeExecution": _describe_execution,
    "UpdateMapRun": _update_map_run,
    "SendTaskSuccess": send_task_success,
    "SendTaskFailure": send_task_failure,
    "SendTaskHeartbeat": send_task_heartbeat,
}


def wrap(original: Handler) -> Handler:
    """Return a handler that answers our actions and leaves the others to the original."""

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Answer:
        name = headers.get("x-amz-target", "").rpartition(".")[2]
        action = _ACTIONS.get(name)
        if action is None:
            return await original(method, path, headers, body, query)
        answer = _answered(action, json.loads(body or b"{}"))
        if name == "StartSyncExecution" and answer[0] == 200:
            answer = json_response(await _finished(json.loads(answer[2])["executionArn"]))
        finished: Answer = engine._finalize_response(answer)
        return finished

    return handle


def _answered(action: Callable[[dict[str, Any]], Any], data: dict[str, Any]) -> Answer:
    try:
        answer = action(data)
    except ApiError as error:
        answer = error_response_json(error.code, error.message, 400)
    response: Answer = answer if isinstance(answer, tuple) else json_response(answer)
    return response

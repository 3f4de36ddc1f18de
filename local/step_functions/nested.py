"""`states:startExecution.sync:2`: a state starts an execution of another machine and waits until that has ended.

MiniStack asks for no permission here. On AWS the role of the waiting machine needs more than StartExecution: it
describes and stops the execution, and manages a rule of EventBridge that reports its end.
"""

import asyncio
import json
from typing import Any

from ministack.core.responses import get_account_id, get_region

from .errors import StateError
from .executions import Execution, find_execution
from .gateway import check_role
from .payload import dump

_RULE = "StepFunctionsGetEventsForStepFunctionsExecutionRule"
_SHOWN = ("executionArn", "input", "inputDetails", "name", "startDate", "stateMachineArn", "status", "stopDate")


def check_sync(action: str, arguments: Any, waiting: Execution) -> None:
    """Refuse what AWS refuses of a state that waits. Raises StateError States.Runtime."""
    if action != "states:startExecution":
        raise StateError("States.Runtime", f"The local engine has no integration {action}.sync:2.")
    if waiting.machine.express:
        raise StateError("States.Runtime", "An EXPRESS workflow cannot wait for an execution.")
    machine = str(arguments.get("StateMachineArn", "")) if isinstance(arguments, dict) else ""
    executions = f"{machine.replace(':stateMachine:', ':execution:')}:*"
    rule = f"arn:aws:events:{get_region()}:{get_account_id()}:rule/{_RULE}"
    for needed in ("states:DescribeExecution", "states:StopExecution"):
        check_role(waiting.machine.role_arn, needed, executions)
    for needed in ("events:PutTargets", "events:PutRule", "events:DescribeRule"):
        check_role(waiting.machine.role_arn, needed, rule)


async def nested_end(arn: str) -> dict[str, Any]:
    """Wait for the end of an execution and return its description, with its output as JSON.

    Whoever stops waiting stops the execution too. Raises StateError States.TaskFailed where it did not end well.
    """
    execution = find_execution(arn)
    if execution is None:
        raise StateError("States.TaskFailed", f"Execution Does Not Exist: '{arn}'")
    try:
        await execution.wait()
    except asyncio.CancelledError:
        execution.stop()
        raise
    record = execution.record
    described = {f"{name[0].upper()}{name[1:]}": record[name] for name in _SHOWN}
    if record["status"] == "SUCCEEDED":
        return {**described, "Output": json.loads(record["output"]), "OutputDetails": record["outputDetails"]}
    errors = {name.capitalize(): record[name] for name in ("error", "cause") if record.get(name) is not None}
    raise StateError("States.TaskFailed", dump({**described, **errors}))

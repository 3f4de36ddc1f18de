"""Task tokens: the waiting tasks, their answers, and the errors for wrong answers.

MiniStack answers every unknown token with TaskDoesNotExist and never fails a task for a missed heartbeat. Here, a token
contains its execution. So three errors differ as on AWS: InvalidToken for a malformed token, TaskDoesNotExist for a
token of an unknown execution, and TaskTimedOut for a token that was answered or given up. A waiting task is a future,
which uses no thread.
"""

import asyncio
import base64
import json
import uuid
from dataclasses import dataclass
from typing import Any

from ministack.services import stepfunctions as engine

from .errors import ApiError, StateError
from .payload import MAX_PAYLOAD_BYTES


@dataclass(slots=True)
class _Waiter:
    answer: asyncio.Future[Any]
    beat: asyncio.Event


_waiters: dict[str, _Waiter] = {}


def open_token(execution_arn: str) -> str:
    """Return a new token. It can be answered at once, even before the task is handed over."""
    token = base64.urlsafe_b64encode(json.dumps([execution_arn, str(uuid.uuid4())]).encode()).decode()
    _waiters[token] = _Waiter(asyncio.get_running_loop().create_future(), asyncio.Event())
    return token


def close_token(token: str) -> None:
    """Stop waiting: later answers get TaskTimedOut."""
    _waiters.pop(token, None)


async def wait_for_answer(token: str, heartbeat_seconds: float | None) -> Any:
    """Wait for SendTaskSuccess and return its output.

    Raises the StateError of SendTaskFailure, or States.HeartbeatTimeout.
    """
    waiter = _waiters[token]
    while heartbeat_seconds is not None and not waiter.answer.done():
        beat = asyncio.ensure_future(waiter.beat.wait())
        try:
            await asyncio.wait((waiter.answer, beat), timeout=heartbeat_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            beat.cancel()
        if not waiter.answer.done() and not waiter.beat.is_set():
            raise StateError("States.HeartbeatTimeout", f"No heartbeat within {heartbeat_seconds} seconds.")
        waiter.beat.clear()
    return await waiter.answer


def send_task_success(data: dict[str, Any]) -> dict[str, Any]:
    """Answer the API call SendTaskSuccess."""
    waiter = _waiter(data)
    text = data.get("output") or ""
    if len(text.encode()) > MAX_PAYLOAD_BYTES:
        raise ApiError("InvalidOutput", f"Invalid Output: more than {MAX_PAYLOAD_BYTES} bytes")
    try:
        output = json.loads(text)
    except ValueError as error:
        raise ApiError("InvalidOutput", f"Invalid Output: {error}") from error
    waiter.answer.set_result(output)
    return {}


def send_task_failure(data: dict[str, Any]) -> dict[str, Any]:
    """Answer the API call SendTaskFailure."""
    _waiter(data).answer.set_exception(StateError(data.get("error"), data.get("cause")))
    return {}


def send_task_heartbeat(data: dict[str, Any]) -> dict[str, Any]:
    """Answer the API call SendTaskHeartbeat."""
    _waiter(data).beat.set()
    return {}


def _waiter(data: dict[str, Any]) -> _Waiter:
    token = data.get("taskToken", "")
    try:
        execution_arn, _ = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, AttributeError, TypeError) as error:
        raise ApiError("InvalidToken", "Invalid Token: 'Invalid token'") from error
    if execution_arn not in engine._executions:
        raise ApiError("TaskDoesNotExist", "Task does not exist")
    waiter = _waiters.get(token)
    if waiter is None or waiter.answer.done():
        raise ApiError("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
    return waiter

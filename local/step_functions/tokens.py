"""Task tokens: who waits, who may answer, and which error a wrong answer gets.

MiniStack answers every unknown token with TaskDoesNotExist and never misses a heartbeat. Here a token tells its
execution, so that a malformed token (InvalidToken), one of no known execution (TaskDoesNotExist) and one that was
answered or given up (TaskTimedOut) differ as on AWS. A waiting task is a future: it costs nothing until answered.
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
    """Return a new token that can be answered from now on, even before the task was handed over."""
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

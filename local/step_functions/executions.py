"""The life of an execution: start, end, stop, time-out and redrive, in the records that MiniStack's API shows.

MiniStack has no time-out of an execution and no redrive, and a stopped execution keeps calling services. Here an
execution is one task of the gateway's event loop. Its records are MiniStack's, so List, Describe and GetHistory work.
`begin` takes the function that runs the states, because that function uses this module: a Distributed Map begins
executions too.
"""

import asyncio
import json
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any

from ministack import app
from ministack.core.responses import get_account_id, get_region, now_iso
from ministack.services import stepfunctions as engine

from .errors import FINAL_ERRORS, StateError
from .logs import deliver
from .status_events import report_status

MAX_EVENTS = 25_000
REDRIVABLE = frozenset({"FAILED", "TIMED_OUT", "ABORTED"})
_logger = logging.getLogger("states")


@dataclass(frozen=True, slots=True)
class Machine:
    """The state machine of an execution, as it was at the start: later updates do not change it."""

    arn: str
    name: str
    role_arn: str
    express: bool
    definition: dict[str, Any]
    logging: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a redrive resumes: the state that was running, its input, and the variables at its entry."""

    state: str
    value: Any
    variables: dict[str, Any]


@dataclass(slots=True, eq=False)
class Execution:
    """A run of a state machine, or of a Distributed Map's processor for one item."""

    machine: Machine
    run_states: "Callable[[Execution], Awaitable[str]]"  # from `position` on, to the output as JSON text
    record: dict[str, Any]
    task: "asyncio.Task[None] | None" = None
    position: Position | None = None
    map_run_arn: str | None = None  # of the latest Map Run of the state at `position`
    interrupted: str | None = None  # the ARN of the Map Run that a redrive goes on with
    on_end: "Callable[[Execution], None] | None" = None
    logged_events: int = 0
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def arn(self) -> str:
        """The ARN of the execution."""
        return str(self.record["executionArn"])

    @property
    def region(self) -> str:
        """The Region of the execution."""
        return self.arn.split(":")[3]

    def start(self) -> None:
        """Run, or go on after a redrive. May be called from any thread, in the context of the account."""
        report_status(self.record, self.redrive_status())
        context = copy_context()
        app._MAIN_LOOP.call_soon_threadsafe(self._create_task, context, context=context)

    def _create_task(self, context: Any) -> None:
        if self.record["status"] == "RUNNING":  # else it was stopped before it began
            self.task = asyncio.get_running_loop().create_task(self._run(), context=context)

    async def wait(self) -> None:
        """Wait for the end."""
        await self._ended.wait()

    def enter(self, state: str, value: Any, variables: dict[str, Any]) -> None:
        """Note that a state is entered."""
        self.map_run_arn = None
        self.position = Position(state, value, variables)

    async def _run(self) -> None:
        try:
            async with asyncio.timeout(self.machine.definition.get("TimeoutSeconds")):
                output = await self.run_states(self)
        except TimeoutError:
            self.end("TIMED_OUT")
        except StateError as error:
            self.end("FAILED", **error.details())
        except Exception as error:  # A defect of the interpreter must fail the execution, not only appear in a log.
            _logger.exception("Execution %s", self.arn)
            self.end("FAILED", error="States.Runtime", cause=f"{type(error).__name__}: {error}")
        else:
            self.end("SUCCEEDED", output=output)

    def context(self) -> dict[str, Any]:
        """Return the context object as it is before the first state."""
        record = self.record
        execution = {
            "Id": self.arn,
            "Input": json.loads(record["input"]),
            "Name": record["name"],
            "RoleArn": self.machine.role_arn,
            "StartTime": record["startDate"],
            "RedriveCount": record["redriveCount"],
        }
        if record.get("redriveDate"):
            execution["RedriveTime"] = record["redriveDate"]
        return {"Execution": execution, "StateMachine": {"Id": self.machine.arn, "Name": self.machine.name}}

    def add_event(self, kind: str, details: Mapping[str, Any], previous: int) -> int:
        """Append an event to the history and return its id. Raises StateError at the limit of the history."""
        events = self.record["events"]
        if len(events) >= MAX_EVENTS - 1 and not self.machine.express and not kind.startswith("Execution"):
            raise StateError(
                "States.Runtime", f"The execution reached the maximum number of history events ({MAX_EVENTS})."
            )
        event = {"id": len(events) + 1, "previousEventId": previous, "type": kind, "timestamp": now_iso()}
        if details:
            generic = next((g for g in ("StateEntered", "StateExited") if kind.endswith(g)), kind)
            event[f"{generic[0].lower()}{generic[1:]}EventDetails"] = dict(details)
        events.append(event)
        return len(events)

    def end(self, status: str, **details: str) -> None:
        """End the execution. `details` are those of its last event: output, or error and cause."""
        self.record.update(details, status=status, stopDate=now_iso())
        kind = {"TIMED_OUT": "ExecutionTimedOut"}.get(status, f"Execution{status.capitalize()}")
        self.add_event(kind, details, len(self.record["events"]))
        report_status(self.record, self.redrive_status())
        deliver(self.record, self.record["events"][self.logged_events :], self.machine.name, self.machine.logging)
        self.logged_events = len(self.record["events"])
        self._ended.set()
        if self.on_end:
            self.on_end(self)

    def stop(self, **details: str) -> None:
        """Abort a running execution and everything below it."""
        if self.record["status"] == "RUNNING":
            self.end("ABORTED", **details)
            if self.task:
                self.task.cancel()

    def begin_child(self, machine: Machine, text: str, map_run_arn: str) -> "Execution":
        """Record a child execution of a Map Run."""
        return begin(machine, self.run_states, name=None, text=text, map_run_arn=map_run_arn)

    def redrive_status(self) -> tuple[str, str]:
        """Return AWS's words for whether the execution can be redriven, and the reason if it cannot."""
        status = self.record["status"]
        if "mapRunArn" in self.record:
            return "REDRIVABLE_BY_MAP_RUN", "Execution is redriven together with its Map Run"
        if status in REDRIVABLE and len(self.record["events"]) >= MAX_EVENTS - 1:
            return "NOT_REDRIVABLE", "Execution event history limit exceeded"
        if status in REDRIVABLE and not self.machine.express:
            return "REDRIVABLE", ""
        return "NOT_REDRIVABLE", f"Execution is {status} and cannot be redriven"

    def redrive(self) -> None:
        """Go on from the state that failed. The history continues, and retry counts start again."""
        record = self.record
        # A Map Run that ended with such an error would fail again, so AWS starts a new one.
        self.interrupted = None if record.get("error") in FINAL_ERRORS else self.map_run_arn
        for name in ("error", "cause"):
            record.pop(name, None)
        record.update(
            status="RUNNING", stopDate=None, output=None, redriveDate=now_iso(), redriveCount=record["redriveCount"] + 1
        )
        self.add_event("ExecutionRedriven", {"redriveCount": record["redriveCount"]}, len(record["events"]))
        self._ended.clear()
        self.start()


_executions: dict[str, Execution] = {}


def find_execution(arn: str) -> Execution | None:
    """Return an execution that this process started."""
    return _executions.get(arn)


def begin(
    machine: Machine,
    run_states: Callable[[Execution], Awaitable[str]],
    *,
    name: str | None,
    text: str,
    map_run_arn: str | None = None,
) -> Execution:
    """Record a new execution with its input as JSON text. `start` makes it run."""
    name = name or str(uuid.uuid4())
    stem = f"arn:aws:states:{get_region()}:{get_account_id()}"
    scope = machine.arn.rpartition(":stateMachine:")[2]
    arn = f"{stem}:execution:{scope}:{name}"
    if machine.express:
        arn = f"{stem}:express:{scope}:{name}:{uuid.uuid4()}"
    record = {
        "executionArn": arn,
        "stateMachineArn": machine.arn,
        "name": name,
        "status": "RUNNING",
        "startDate": now_iso(),
        "stopDate": None,
        "redriveCount": 0,
        "input": text,
        "inputDetails": {"included": True},
        "output": None,
        "outputDetails": {"included": True},
        "sync": machine.express or map_run_arn is not None,  # MiniStack's word for: no status-change events
        "events": [],
    }
    if map_run_arn:
        record["mapRunArn"] = map_run_arn
    execution = Execution(machine, run_states, record)
    execution.add_event("ExecutionStarted", {"input": text, "roleArn": machine.role_arn}, 0)
    engine._executions[arn] = record
    _executions[arn] = execution
    return execution


def end_executions_of(machine_arn: str) -> None:
    """End and forget the executions of a deleted machine, and their children. Their names may be used again."""
    of_machine = [one for one in _executions.values() if belongs_to(one.record["stateMachineArn"], machine_arn)]
    for execution in of_machine:
        execution.stop()
        del _executions[execution.arn]
        engine._executions.pop(execution.arn, None)


def belongs_to(arn: str, machine_arn: str) -> bool:
    """Return whether an ARN is that of the machine, or of the children of one of its Distributed Maps."""
    return arn == machine_arn or arn.startswith(f"{machine_arn}/")


def forget_executions() -> None:
    """Cancel all executions without a record, because all records are being deleted."""
    for execution in _executions.values():
        if execution.task:
            execution.task.cancel()
    _executions.clear()

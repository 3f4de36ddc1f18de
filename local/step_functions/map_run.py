"""Distributed Map: one child execution for each item or batch, started as MaxConcurrency allows.

In MiniStack, children have the parent's context and no history, live changes and MaxConcurrency expressions are
ignored, failures are counted only at the end, and children keep running if the parent stops. Here, a child is an
ordinary execution, a Map Run reacts to each end, and a redrive runs only the children that did not succeed.
"""

import asyncio
import uuid
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

from ministack.core.responses import now_iso
from ministack.services import stepfunctions as engine

from .errors import StateError
from .executions import Execution, belongs_to
from .expressions import render_percentage, render_whole
from .gateway import check_role
from .map_items import batch_size, child_input, read_items
from .map_results import inline_results, write_results, writes_to_s3
from .scope import Scope

_COUNTS = (
    "pending",
    "running",
    "succeeded",
    "failed",
    "timedOut",
    "aborted",
    "total",
    "resultsWritten",
    "failuresNotRedrivable",
    "pendingRedrive",
)
_COUNTED_AS = {
    "RUNNING": "running",
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "TIMED_OUT": "timedOut",
    "ABORTED": "aborted",
}
_MOST_CHILDREN = 10_000
_map_runs: dict[str, "MapRun"] = {}


@dataclass(slots=True, eq=False)
class _Child:
    """The items of one child, and its execution after its start."""

    first: int
    items: list[Any]
    execution: Execution | None = None
    counted_as: str = "pending"


async def run_distributed_map(state: dict[str, Any], value: Any, scope: Scope) -> Any:
    """Run a Distributed Map state once and return its result. Raises StateError."""
    if scope.execution.machine.express:
        raise StateError("States.Runtime", "An EXPRESS workflow cannot hold a Distributed Map.")
    scope.event("MapStateStarted", {"length": 0})
    interrupted, scope.execution.interrupted = scope.execution.interrupted if scope.top else None, None
    run = find_map_run(interrupted) if interrupted else None
    if run:
        run.prepare_redrive()
        scope.event("MapRunRedriven", {"mapRunArn": run.arn, "redriveCount": run.record["redriveCount"]})
    else:
        machine = scope.execution.machine
        check_role(machine.role_arn, "states:StartExecution", machine.arn)
        run = MapRun(state, value, scope, await read_items(state, value, scope))
        scope.event("MapRunStarted", {"mapRunArn": run.arn})
    if scope.top:
        scope.execution.map_run_arn = run.arn
    try:
        result = await run.run(scope)
    except StateError as error:
        raise scope.failed("MapRunFailed", error, {}) from error
    scope.event("MapRunSucceeded")
    scope.event("MapStateSucceeded")
    return result


class MapRun:
    """A Map Run: its children, its counts and limits, and the record that the API shows."""

    def __init__(self, state: dict[str, Any], value: Any, scope: Scope, items: list[Any]) -> None:
        bound = scope.bindings({"input": value})
        self.state = state
        self.value = value
        # A threshold is set by the definition or by UpdateMapRun. Without one, no failure is tolerated.
        self.tolerated: dict[str, float | None] = dict.fromkeys(("toleratedFailureCount", "toleratedFailurePercentage"))
        if "ToleratedFailureCount" in state:
            self.tolerated["toleratedFailureCount"] = render_whole(
                state["ToleratedFailureCount"], bound, "ToleratedFailureCount"
            )
        if "ToleratedFailurePercentage" in state:
            self.tolerated["toleratedFailurePercentage"] = render_percentage(
                state["ToleratedFailurePercentage"], bound, "ToleratedFailurePercentage"
            )
        size = batch_size(state, value, scope)
        self.children = [_Child(first, items[first : first + size]) for first in range(0, len(items), size)]
        self._changed = asyncio.Event()
        machine = scope.execution.machine
        label = state.get("Label") or str(uuid.uuid4())
        self.machine = replace(
            machine,
            arn=f"{machine.arn}/{label}",
            definition=state["ItemProcessor"],
            express=state["ItemProcessor"]["ProcessorConfig"].get("ExecutionType", "STANDARD") == "EXPRESS",
        )
        self.arn = f"{machine.arn.replace(':stateMachine:', ':mapRun:')}/{label}:{uuid.uuid4()}"
        self.record: dict[str, Any] = {
            "mapRunArn": self.arn,
            "executionArn": scope.execution.arn,
            "status": "RUNNING",
            "startDate": now_iso(),
            "maxConcurrency": render_whole(state.get("MaxConcurrency", 0), bound, "MaxConcurrency"),
            "redriveCount": 0,
            **{name: limit or 0 for name, limit in self.tolerated.items()},
            "itemCounts": dict.fromkeys(_COUNTS, 0) | {"total": len(items), "pending": len(items)},
            "executionCounts": dict.fromkeys(_COUNTS, 0) | {"total": len(self.children), "pending": len(self.children)},
            "_stateMachineArn": self.machine.arn,
        }
        engine._map_runs[self.arn] = self.record
        _map_runs[self.arn] = self

    async def run(self, scope: Scope) -> Any:
        """Run the children that did not succeed yet and return the state's result. Raises StateError."""
        try:
            await self._run_children(scope)
            result = await self._result(scope)
        except asyncio.CancelledError:
            self._close("ABORTED")
            raise
        except BaseException:
            self._close("FAILED")
            raise
        self._close("SUCCEEDED")
        return result

    async def _run_children(self, scope: Scope) -> None:
        waiting = deque(child for child in self.children if child.counted_as != "succeeded")
        counts = self.record["executionCounts"]
        while not self._failed_too_often():
            if waiting and counts["running"] < (self.record["maxConcurrency"] or _MOST_CHILDREN):
                self._start(waiting.popleft(), scope)
                await asyncio.sleep(0)  # Let other tasks and the gateway run between two starts.
            elif waiting or counts["running"]:
                self._changed.clear()
                await self._changed.wait()
            else:
                return

    def _start(self, child: _Child, scope: Scope) -> None:
        if child.execution and not self.machine.express:
            self._count(child, "running")
            child.execution.redrive()
            return
        text = child_input(self.state, self.value, scope, child.first, child.items)
        child.execution = scope.execution.begin_child(self.machine, text, self.arn)
        child.execution.on_end = lambda execution: self._ended(child, execution)
        self._count(child, "running")
        child.execution.start()

    def _ended(self, child: _Child, execution: Execution) -> None:
        self._count(child, _COUNTED_AS[execution.record["status"]])
        self._changed.set()

    def _count(self, child: _Child, as_what: str) -> None:
        for name, weight in (("executionCounts", 1), ("itemCounts", len(child.items))):
            self.record[name][child.counted_as] -= weight
            self.record[name][as_what] += weight
        child.counted_as = as_what

    def _failed_too_often(self) -> bool:
        counts = self.record["itemCounts"]
        failed = counts["failed"] + counts["timedOut"] + counts["aborted"]
        count, percentage = self.tolerated["toleratedFailureCount"], self.tolerated["toleratedFailurePercentage"]
        if count is None and percentage is None:
            return bool(failed)
        return (count is not None and failed > count) or (
            percentage is not None and failed * 100 > percentage * counts["total"]
        )

    async def _result(self, scope: Scope) -> Any:
        failed = self._failed_too_often()
        self._stop_children()
        executions = [child.execution for child in self.children if child.execution]
        result: Any = None
        if writes_to_s3(self.state):
            result = await write_results(self.state, self.value, scope, self.arn, executions)
            for name in ("executionCounts", "itemCounts"):
                counts = self.record[name]
                counts["resultsWritten"] = counts["total"] - counts["pending"]
        if failed:
            raise StateError(
                "States.ExceedToleratedFailureThreshold", "The specified tolerated failure threshold was exceeded"
            )
        return result if writes_to_s3(self.state) else inline_results(self.state, executions)

    def _stop_children(self) -> None:
        for child in self.children:
            if child.execution:
                child.execution.stop()

    def _close(self, status: str) -> None:
        self._stop_children()
        self.record.update(status=status, stopDate=now_iso())

    def prepare_redrive(self) -> None:
        """Open the Map Run again, so that `run` continues with the children that did not succeed."""
        for child in self.children:
            if child.counted_as != "succeeded":
                self._count(child, "pending")
        self.record.update(status="RUNNING", redriveCount=self.record["redriveCount"] + 1, redriveDate=now_iso())
        self.record.pop("stopDate", None)

    def update(self, changes: dict[str, Any]) -> None:
        """Change limits while the Map Run is running."""
        for name in ("maxConcurrency", *self.tolerated):
            if name in changes:
                self.record[name] = changes[name]
        self.tolerated.update({name: changes[name] for name in self.tolerated if name in changes})
        self._changed.set()


def forget_map_runs_of(machine_arn: str) -> None:
    """Forget the Map Runs of a machine that is deleted."""
    for run in list(_map_runs.values()):
        if belongs_to(run.record["_stateMachineArn"], machine_arn):
            del _map_runs[run.arn]
            engine._map_runs.pop(run.arn, None)


def forget_map_runs() -> None:
    """Forget every Map Run, because all records are being deleted."""
    _map_runs.clear()


def find_map_run(arn: str) -> MapRun | None:
    """Return a Map Run that this process started."""
    return _map_runs.get(arn)

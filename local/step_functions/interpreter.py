"""Run states: one coroutine runs a chain of states, so that a waiting execution needs no thread.

MiniStack's interpreter uses a thread for each execution, branch and iteration. It does not stop the children of an
ended execution, ignores MaxDelaySeconds and JitterStrategy, evaluates Assign after Output, and has no Retry for errors
in Output. Here, a stop cancels the coroutine and everything below it.
"""

import asyncio
import json
import random
from collections import ChainMap, Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ministack.core.responses import now_iso
from ministack.services import stepfunctions as engine

from .asl import is_distributed
from .errors import StateError, error_matches
from .executions import Execution
from .expressions import render, render_text, render_whole
from .map_items import plain_items
from .map_run import run_distributed_map
from .scope import Scope
from .tasks import run_task


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The result of a state: its output, the variables that it assigns, and the next state, if any."""

    output: Any
    assign: dict[str, Any]
    next: str | None


async def run_execution(execution: Execution) -> str:
    """Run the states of an execution, all or from where a redrive resumes; return its output as JSON text.

    Raises StateError.
    """
    record, resumed = execution.record, execution.position
    value = resumed.value if resumed else json.loads(record["input"])
    variables: ChainMap[str, Any] = ChainMap(dict(resumed.variables) if resumed else {})
    scope = Scope(execution, execution.context(), variables, last_event=len(record["events"]))
    start = resumed.state if resumed else None
    output = await _run_states(execution.machine.definition, value, scope, start)
    return scope.payload(output, "output")


async def _run_states(machine: dict[str, Any], value: Any, scope: Scope, start: str | None = None) -> Any:
    """Run a chain of states from `start`, or from its beginning, and return its output. Raises StateError."""
    name: str | None = start or machine["StartAt"]
    while name is not None:
        state = machine["States"][name]
        kind = state["Type"]
        scope.context["State"] = {"Name": name, "EnteredTime": now_iso(), "RetryCount": 0}
        scope.context.pop("Task", None)
        if scope.top:
            scope.execution.enter(name, value, dict(scope.variables))
        scope.event(f"{kind}StateEntered", {"name": name, "input": scope.payload(value, "input")})
        outcome = await _RUNNERS[kind](state, value, scope)
        scope.variables.update(outcome.assign)
        if kind != "Fail":
            scope.event(f"{kind}StateExited", {"name": name, "output": scope.payload(outcome.output, "output")})
        value, name = outcome.output, outcome.next
    return value


def _finish(rule: dict[str, Any], scope: Scope, states: dict[str, Any], default: Any, target: str | None) -> _Outcome:
    """Evaluate Output and Assign together: neither sees the result of the other."""
    bound = scope.bindings(states)
    output = render(rule["Output"], bound, "Output") if "Output" in rule else default
    assign = render(rule.get("Assign", {}), bound, "Assign")
    scope.payload(assign, "set of variables")
    return _Outcome(output, assign, target)


async def _run_pass(state: dict[str, Any], value: Any, scope: Scope) -> _Outcome:
    return _finish(state, scope, {"input": value}, value, state.get("Next"))


async def _run_fail(state: dict[str, Any], value: Any, scope: Scope) -> _Outcome:
    bound = scope.bindings({"input": value})
    error, cause = (render_text(state[field], bound, field) if field in state else None for field in ("Error", "Cause"))
    raise StateError(error, cause)


async def _run_choice(state: dict[str, Any], value: Any, scope: Scope) -> _Outcome:
    bound = scope.bindings({"input": value})
    for rule in state["Choices"]:
        met = render(rule["Condition"], bound, "Condition")
        if not isinstance(met, bool):
            raise StateError("States.QueryEvaluationError", f"The Condition {rule['Condition']} is not a boolean.")
        if met:
            return _finish(rule, scope, {"input": value}, value, rule["Next"])
    if "Default" not in state:
        raise StateError("States.NoChoiceMatched", "No choice rule matched, and there is no Default.")
    return _finish(state, scope, {"input": value}, value, state["Default"])


async def _run_wait(state: dict[str, Any], value: Any, scope: Scope) -> _Outcome:
    bound = scope.bindings({"input": value})
    if "Seconds" in state:
        seconds: float = render_whole(state["Seconds"], bound, "Seconds")
    else:
        until = render_text(state["Timestamp"], bound, "Timestamp")
        seconds = (datetime.fromisoformat(until) - datetime.now(UTC)).total_seconds()
    await _pause(seconds)
    return _finish(state, scope, {"input": value}, value, state.get("Next"))


async def _run_guarded(state: dict[str, Any], value: Any, scope: Scope) -> _Outcome:
    """Run a Task, Parallel or Map state under its Retry and Catch rules."""
    attempt = _attempt(state)
    retries: Counter[int] = Counter()
    while True:
        scope.context["State"]["RetryCount"] = retries.total()
        try:
            result = await attempt(state, value, scope)
            states = {"input": value, "result": result}
            return _finish(state, scope, states, result, state.get("Next"))
        except StateError as error:
            if error.error == "States.QueryEvaluationError":
                scope.event("EvaluationFailed", {**error.details(), "state": scope.context["State"]["Name"]})
            delay = _retry_delay(state.get("Retry", []), error.error, retries)
            if delay is None:
                return _caught(state, value, scope, error)
            await _pause(delay)


def _retry_delay(rules: list[dict[str, Any]], error: str | None, retries: Counter[int]) -> float | None:
    """Return the seconds before the next attempt, or None if there is none. The first matching rule decides."""
    for index, rule in enumerate(rules):
        if error_matches(rule["ErrorEquals"], error):
            if retries[index] >= rule.get("MaxAttempts", 3):
                return None
            delay = rule.get("IntervalSeconds", 1) * rule.get("BackoffRate", 2.0) ** min(retries[index], 64)
            delay = min(delay, rule.get("MaxDelaySeconds", delay))
            retries[index] += 1
            return random.uniform(0, delay) if rule.get("JitterStrategy") == "FULL" else delay
    return None


def _caught(state: dict[str, Any], value: Any, scope: Scope, error: StateError) -> _Outcome:
    for rule in state.get("Catch", []):
        if error_matches(rule["ErrorEquals"], error.error):
            output = {"Error": error.error, "Cause": error.cause}
            return _finish(rule, scope, {"input": value, "errorOutput": output}, output, rule["Next"])
    raise error


def _attempt(state: dict[str, Any]) -> Callable[[dict[str, Any], Any, Scope], Awaitable[Any]]:
    if state["Type"] == "Map":
        return run_distributed_map if is_distributed(state) else _run_inline_map
    return run_task if state["Type"] == "Task" else _run_branches


async def _run_branches(state: dict[str, Any], value: Any, scope: Scope) -> list[Any]:
    bound = scope.bindings({"input": value})
    arguments = render(state["Arguments"], bound, "Arguments") if "Arguments" in state else value
    scope.event("ParallelStateStarted")
    results = await _together(_run_states(branch, arguments, scope.inner()) for branch in state["Branches"])
    scope.event("ParallelStateSucceeded")
    return results


async def _run_inline_map(state: dict[str, Any], value: Any, scope: Scope) -> list[Any]:
    bound = scope.bindings({"input": value})
    items = plain_items(state, value, bound)
    limit = render_whole(state.get("MaxConcurrency", 0), bound, "MaxConcurrency")
    free = asyncio.Semaphore(limit or 40)  # AWS runs up to about 40 iterations at once
    scope.event("MapStateStarted", {"length": len(items)})

    async def iterate(index: int, item: Any) -> Any:
        async with free:
            inner = scope.inner(Map={"Item": {"Index": index, "Value": item}})
            details = {"name": scope.context["State"]["Name"], "index": index}
            inner.event("MapIterationStarted", details)
            if "ItemSelector" in state:
                item = render(state["ItemSelector"], inner.bindings({"input": value}), "ItemSelector")
            result = await _run_states(state["ItemProcessor"], item, inner)
            inner.event("MapIterationSucceeded", details)
            return result

    results = await _together(iterate(index, item) for index, item in enumerate(items))
    scope.event("MapStateSucceeded")
    return results


async def _together(runs: Iterable[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Run coroutines at the same time; the first failure stops the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run) for run in runs]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


async def _pause(seconds: float) -> None:
    await asyncio.sleep(max(0.0, seconds * engine._SFN_WAIT_SCALE))


_RUNNERS: dict[str, Callable[[dict[str, Any], Any, Scope], Coroutine[Any, Any, _Outcome]]] = {
    "Pass": _run_pass,
    "Succeed": _run_pass,
    "Fail": _run_fail,
    "Choice": _run_choice,
    "Wait": _run_wait,
    "Task": _run_guarded,
    "Parallel": _run_guarded,
    "Map": _run_guarded,
}

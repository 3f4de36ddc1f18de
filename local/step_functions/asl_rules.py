"""The rules of AWS for the values in a state: numbers, names, error lists, expressions.

A number from an expression is checked when the state runs.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeGuard

MAX_DEFINITION_BYTES = 1_048_576
_MAX_NAME = 80  # of a state and of a variable
_LABEL = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,40}")
_CONSTANT = ("Type", "Resource", "Next", "Default", "ErrorEquals", "Label", "JitterStrategy")
_SCOPES = ("ItemProcessor", "Branches")  # The states in them are checked one by one.

Problem = tuple[str, str]
_Rule = tuple[str, Callable[[float], bool]]


def _whole(least: int, most: int = 99_999_999) -> _Rule:
    return f"a whole number from {least} to {most}", lambda n: n == int(n) and least <= n <= most


_STATE_NUMBERS: dict[str, _Rule] = {  # or an expression
    "TimeoutSeconds": _whole(1),
    "HeartbeatSeconds": _whole(1),
    "Seconds": _whole(0),
    "MaxConcurrency": _whole(0),
    "ToleratedFailureCount": _whole(0),
    "ToleratedFailurePercentage": ("a number from 0 to 100", lambda n: 0 <= n <= 100),
}
_RETRY_NUMBERS: dict[str, _Rule] = {
    "IntervalSeconds": _whole(1),
    "MaxAttempts": _whole(0),
    "BackoffRate": ("a number of at least 1", lambda n: n >= 1),
    "MaxDelaySeconds": _whole(1, 31_622_400),
}


def flow_problems(start: Any, targets: dict[str, list[Any]], path: str) -> Iterator[Problem]:
    """Yield what is wrong with the names and transitions of a scope's states; `targets` are the next states of each."""
    yield from (
        (f"{path}/{name}", f"The name is over {_MAX_NAME} characters") for name in targets if len(name) > _MAX_NAME
    )
    if all(targets.values()):
        yield path, "Workflow has no terminal state"
        return
    reached: set[Any] = set()
    waiting = [start]
    while waiting:
        if (name := waiting.pop()) not in reached:
            reached.add(name)
            waiting += targets.get(name, [])
    yield from ((f"{path}/{name}", f'State "{name}" is not reachable') for name in targets if name not in reached)


def state_problems(state: dict[str, Any], path: str) -> Iterator[Problem]:
    """Yield what is wrong inside one state."""
    if state["Type"] == "Task" and not state.get("Resource"):
        yield path, "must have a Resource"
    if state["Type"] == "Wait" and ("Seconds" in state) == ("Timestamp" in state):
        yield path, "must have either Seconds or Timestamp"
    yield from _numbers(state, _STATE_NUMBERS, path, expressions=True)
    timeout, heartbeat = state.get("TimeoutSeconds"), state.get("HeartbeatSeconds")
    if _is_number(timeout) and _is_number(heartbeat) and heartbeat >= timeout:
        yield f"{path}/HeartbeatSeconds", "must be less than TimeoutSeconds"
    if "Label" in state and not _LABEL.fullmatch(str(state["Label"])):
        yield f"{path}/Label", "must have 1 to 40 characters, without white space and special characters"
    yield from _constants(state, path)
    for field in ("Retry", "Catch", "Choices"):
        for index, rule in enumerate(state.get(field, [])):
            if isinstance(rule, dict):
                place, last = f"{path}/{field}[{index}]", index == len(state[field]) - 1
                yield from _constants(rule, place)
                yield from _rule_problems(rule, field, place, last=last)
    yield from _half_expressions({key: value for key, value in state.items() if key not in _SCOPES}, path)


def _rule_problems(rule: dict[str, Any], field: str, path: str, *, last: bool) -> Iterator[Problem]:
    if field != "Retry" and "Next" not in rule:
        yield path, "must have a Next"
    if field == "Choices":
        if "Condition" not in rule:
            yield path, "must have a Condition"
        return
    names = rule.get("ErrorEquals")
    if not isinstance(names, list) or not names:
        yield f"{path}/ErrorEquals", "must be a list of at least one error"
    elif "States.ALL" in names and (len(names) > 1 or not last):
        yield f"{path}/ErrorEquals", "States.ALL must stand alone, and in the last rule"
    yield from _numbers(rule, _RETRY_NUMBERS, path, expressions=False)
    interval, most = rule.get("IntervalSeconds", 1), rule.get("MaxDelaySeconds")
    if _is_number(most) and _is_number(interval) and most <= interval:
        yield f"{path}/MaxDelaySeconds", "must be greater than IntervalSeconds"
    if rule.get("JitterStrategy", "NONE") not in ("NONE", "FULL"):
        yield f"{path}/JitterStrategy", "must be NONE or FULL"


def _constants(part: dict[str, Any], path: str) -> Iterator[Problem]:
    """Yield expressions where none may be, and variables that cannot be assigned."""
    for field in _CONSTANT:
        values = part.get(field)
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, str) and value.startswith("{%"):
                yield f"{path}/{field}", "must not be an expression"
    for name in part.get("Assign", {}):
        if name == "states" or len(name) > _MAX_NAME:
            yield (
                f"{path}/Assign",
                f"A variable must not be called 'states' or have over {_MAX_NAME} characters: {name}",
            )


def _numbers(part: dict[str, Any], rules: dict[str, _Rule], path: str, *, expressions: bool) -> Iterator[Problem]:
    for field, (what, fits) in rules.items():
        value = part.get(field)
        if expressions and isinstance(value, str) and value.startswith("{%"):
            continue
        if field in part and not (_is_number(value) and fits(value)):
            yield f"{path}/{field}", f"must be {what}{', or an expression' if expressions else ''}"


def _half_expressions(value: Any, path: str) -> Iterator[Problem]:
    """Yield strings that look like expressions but would be used as texts."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key != "Comment":
                yield from _half_expressions(item, f"{path}/{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _half_expressions(item, f"{path}[{index}]")
    elif isinstance(value, str):
        text = value.strip()
        opened, closed = text.startswith("{%"), text.endswith("%}")
        if opened != closed or (opened and text != value):
            yield path, "An expression must start with {% and end with %}, without anything around it"


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)

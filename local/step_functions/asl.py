"""Check the definition of a state machine when it is created, updated or validated.

MiniStack accepts any text as a definition and ignores what it does not know, so a misspelt field passes the local
run. Here every field that the interpreter does not carry out is an error, and so is a transition that leads nowhere.
`asl_rules.py` has what AWS forbids inside a state.
"""

import json
from collections.abc import Iterator
from typing import Any

from .asl_rules import MAX_DEFINITION_BYTES, flow_problems, state_problems

_FLOW = frozenset({"Next", "End", "Output", "Assign"})
_GUARD = frozenset({"Retry", "Catch"})
_STATE_FIELDS = {
    "Pass": _FLOW,
    "Task": _FLOW | _GUARD | {"Resource", "Arguments", "TimeoutSeconds", "HeartbeatSeconds"},
    "Choice": frozenset({"Choices", "Default", "Output", "Assign"}),
    "Wait": _FLOW | {"Seconds", "Timestamp"},
    "Succeed": frozenset({"Output"}),
    "Fail": frozenset({"Error", "Cause"}),
    "Parallel": _FLOW | _GUARD | {"Branches", "Arguments"},
    "Map": _FLOW | _GUARD | {"Items", "ItemProcessor", "ItemSelector", "MaxConcurrency"},
}
_DISTRIBUTED_FIELDS = frozenset(
    {"ItemReader", "ItemBatcher", "ResultWriter", "Label", "ToleratedFailurePercentage", "ToleratedFailureCount"}
)
_PARTS = {  # field -> what its object, or each object of its list, may hold
    "Retry": {"ErrorEquals", "IntervalSeconds", "MaxAttempts", "BackoffRate", "MaxDelaySeconds", "JitterStrategy"},
    "Catch": {"ErrorEquals", "Next", "Output", "Assign"},
    "Choices": {"Condition", "Next", "Output", "Assign"},
    "ItemReader": {"Resource", "Arguments", "ReaderConfig"},
    "ReaderConfig": {"InputType", "MaxItems", "CSVHeaderLocation", "CSVHeaders", "CSVDelimiter"},
    "ItemBatcher": {"MaxItemsPerBatch", "BatchInput"},
    "ResultWriter": {"Resource", "Arguments", "WriterConfig"},
    "WriterConfig": {"Transformation", "OutputType"},
}


def problems(definition: str) -> list[tuple[str, str]]:
    """Return what is wrong with a definition as pairs of location and message; empty when it can run."""
    if len(definition.encode()) > MAX_DEFINITION_BYTES:
        return [("/", f"The definition has more than {MAX_DEFINITION_BYTES} bytes")]
    try:
        machine = json.loads(definition)
    except ValueError as error:
        return [("/", f"The definition is not JSON: {error}")]
    if not isinstance(machine, dict):
        return [("/", "The definition is not a JSON object")]
    if machine.get("QueryLanguage") != "JSONata":
        return [("/QueryLanguage", 'The local engine runs definitions with "QueryLanguage": "JSONata" only')]
    allowed = {"StartAt", "States", "TimeoutSeconds", "QueryLanguage", "Version"}
    return [*_unknown(machine, allowed, ""), *_states(machine, "", outer=frozenset())]


def _unknown(part: Any, allowed: set[str] | frozenset[str], path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(part, dict):
        yield path, "must be an object"
        return
    for field in part:
        if field not in allowed and field != "Comment":
            yield f"{path}/{field}", "Field is not supported"


def _states(machine: dict[str, Any], path: str, *, outer: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield the problems of a scope's states; `outer` are the variables that outer scopes assign."""
    states = machine.get("States")
    if not isinstance(states, dict) or not states:
        yield f"{path}/States", "must be an object with at least one state"
        return
    if machine.get("StartAt") not in states:
        yield f"{path}/StartAt", f"names no state: {machine.get('StartAt')}"
    assigned = {name for state in states.values() for name in _assigned(state)}
    for name in sorted(assigned & outer):
        yield f"{path}/States", f"Variable is assigned in an outer scope too: {name}"
    leads = {name: list(_targets(state)) for name, state in states.items() if isinstance(state, dict)}
    yield from flow_problems(machine.get("StartAt"), leads, f"{path}/States")
    for name, state in states.items():
        yield from _state(state, states, f"{path}/States/{name}", outer=outer | assigned)


def _state(state: Any, states: dict[str, Any], path: str, *, outer: frozenset[str]) -> Iterator[tuple[str, str]]:
    kind = state.get("Type") if isinstance(state, dict) else None
    if kind not in _STATE_FIELDS:
        yield path, f"has an unknown Type: {kind}"
        return
    allowed = _STATE_FIELDS[kind] | {"Type"}
    if kind == "Map":
        if is_distributed(state):
            allowed |= _DISTRIBUTED_FIELDS
        yield from _processor(state.get("ItemProcessor"), path, outer=outer)
    yield from _unknown(state, allowed, path)
    yield from state_problems(state, path)
    if "Next" in allowed and ("Next" in state) == bool(state.get("End")):
        yield path, 'must have either Next or "End": true'
    if kind == "Choice" and not state.get("Choices"):
        yield f"{path}/Choices", "must not be empty"
    for target in _targets(state):
        if target not in states:
            yield path, f"leads to a state that does not exist: {target}"
    for branch in state.get("Branches", []):
        yield from _states(branch, f"{path}/Branches", outer=outer)
    yield from _parts(state, path)


def _processor(processor: Any, path: str, *, outer: frozenset[str]) -> Iterator[tuple[str, str]]:
    path = f"{path}/ItemProcessor"
    yield from _unknown(processor, {"ProcessorConfig", "StartAt", "States"}, path)
    if isinstance(processor, dict):
        yield from _states(processor, path, outer=outer)


def _parts(state: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for field, allowed in _PARTS.items():
        value = state.get(field)
        for part in value if isinstance(value, list) else [value] if field in state else []:
            yield from _unknown(part, allowed, f"{path}/{field}")
            if isinstance(part, dict) and field in ("ItemReader", "ResultWriter"):
                yield from _parts(part, f"{path}/{field}")


def _rules(state: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects that may assign variables and have a Next: the state, its Catches and its Choices."""
    if isinstance(state, dict):
        yield state
        yield from (rule for rule in [*state.get("Catch", []), *state.get("Choices", [])] if isinstance(rule, dict))


def _assigned(state: Any) -> Iterator[str]:
    for rule in _rules(state):
        yield from rule.get("Assign", {})


def _targets(state: dict[str, Any]) -> Iterator[Any]:
    for rule in _rules(state):
        for field in ("Next", "Default"):
            if field in rule:
                yield rule[field]


def is_distributed(state: dict[str, Any]) -> bool:
    """Return whether a Map state runs its items as child executions."""
    mode = (state.get("ItemProcessor") or {}).get("ProcessorConfig", {}).get("Mode")
    return bool(mode == "DISTRIBUTED")

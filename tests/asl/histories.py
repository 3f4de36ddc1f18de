"""What an execution did, read from its history."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from .machines import Json, State, Way


@dataclass(slots=True)
class Visit:
    """One visit of a state: the errors of its attempts, whether the last one failed, and the next state."""

    state: str
    attempts: int = 0
    errors: list[str] = field(default_factory=list)
    failed: bool = False
    next: str | None = None


@dataclass(slots=True)
class Ended:
    """An execution that has ended. `chain` is the name of its machine; for a child, the Map's label follows."""

    chain: str
    description: Json
    events: list[Json]
    children: list["Ended"] = field(default_factory=list)

    @property
    def status(self) -> str:
        return str(self.description["status"])

    @property
    def input(self) -> Any:
        return json.loads(self.description["input"])

    @property
    def output(self) -> Any:
        return json.loads(self.description["output"])

    def of(self, label: str) -> list["Ended"]:
        """Return the children of one Map, in the order of their numbers."""
        return sorted((c for c in self.children if c.chain.endswith(f"/{label}")), key=lambda c: c.number)

    @property
    def number(self) -> Any:
        """The number of a child's job, shard or chunk, or its job's name. It differs between the children of a Map."""
        return next(self.input[key] for key in ("number", "shard", "chunk", "job_name") if key in self.input)

    def visits(self) -> list[Visit]:
        found: list[Visit] = []
        for event in self.events:
            kind, details = event["type"], _details(event)
            if kind.endswith("StateEntered"):
                if found:
                    found[-1].next = details["name"]
                found.append(Visit(details["name"]))
            elif kind == "TaskScheduled":
                found[-1].attempts += 1
                found[-1].failed = False
            elif kind in ("TaskFailed", "TaskTimedOut", "EvaluationFailed", "MapRunFailed"):
                found[-1].errors.append(details["error"])
                found[-1].failed = True
        return found

    def visited(self) -> list[str]:
        return [visit.state for visit in self.visits()]

    def calls(self) -> Iterator[tuple[str, Any]]:
        """Yield the state and the arguments of each call, repeated ones too."""
        state = ""
        for event in self.events:
            details = _details(event)
            if event["type"].endswith("StateEntered"):
                state = details["name"]
            elif event["type"] == "TaskScheduled":
                yield state, json.loads(details["parameters"])

    def outputs(self) -> Iterator[tuple[str, str]]:
        """Yield the name and the output of each state that was left."""
        for event in self.events:
            if event["type"].endswith("StateExited"):
                yield _details(event)["name"], _details(event)["output"]

    def state_output(self, state: str) -> Any:
        return json.loads(dict(self.outputs())[state])

    def transitions(self) -> int:
        """Return what is billed: each state entered and each attempt after the first."""
        return sum(1 + max(0, visit.attempts - 1) for visit in self.visits())


def _details(event: Json) -> Json:
    return next((value for key, value in event.items() if key.endswith("EventDetails")), {})


def covers(names: Sequence[str], error: str) -> bool:
    """Return whether a rule's ErrorEquals covers an error."""
    return error in names or "States.ALL" in names


def ways_taken(state: State, visit: Visit) -> Iterator[str]:
    """Yield the kinds of the ways and the retriers that a visit of the state used: `catch 0`, `retry 1`, …"""
    retried = visit.errors[: visit.attempts - 1]
    for error in retried:
        yield f"retry {next(n for n, rule in enumerate(state.retriers()) if covers(rule['ErrorEquals'], error))}"
    if visit.next is not None:
        yield _way_out(state, visit).kind


def _way_out(state: State, visit: Visit) -> Way:
    caught = visit.failed
    for way in state.ways():
        if caught == way.kind.startswith("catch") and (not caught or covers(way.rule["ErrorEquals"], visit.errors[-1])):
            if way.target == visit.next:
                return way
            if caught:
                break  # the first rule that covers the error decides
    raise AssertionError(f"{state} went to {visit.next} after {visit.errors[-1:]}, which no rule of it says")

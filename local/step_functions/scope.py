"""What a running chain of states shares: variables, the context object and its place in the history.

Each branch of a Parallel state and each iteration of a Map has its own scope. It can read the variables of the outer
scope, but its own variables are not visible outside. In MiniStack all share one dictionary, so variables leak out.
"""

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import StateError
from .executions import Execution
from .expressions import bindings
from .payload import MAX_PAYLOAD_BYTES, dump


@dataclass(slots=True)
class Scope:
    """The surroundings of a running state. `top` is false inside a branch or an iteration."""

    execution: Execution
    context: dict[str, Any]
    variables: ChainMap[str, Any]
    top: bool = True
    last_event: int = 0

    def inner(self, **context: Any) -> "Scope":
        """Return the scope of a branch or an iteration."""
        return Scope(self.execution, {**self.context, **context}, self.variables.new_child(), False, self.last_event)

    def bindings(self, states: Mapping[str, Any]) -> dict[str, Any]:
        """Return the names that a state's expressions can use. `states` are `$states` without the context."""
        return bindings(self.variables, {**states, "context": self.context})

    def event(self, kind: str, details: Mapping[str, Any] | None = None) -> None:
        """Append an event to the history of the execution."""
        self.last_event = self.execution.add_event(kind, details or {}, self.last_event)

    def failed(self, kind: str, error: StateError, details: Mapping[str, Any]) -> StateError:
        """Append the event of a failure and return the error, to be raised."""
        self.event(kind, {**details, **error.details()})
        return error

    def payload(self, value: Any, what: str) -> str:
        """Return a value as JSON. Raises StateError States.DataLimitExceeded over 256 KiB."""
        text = dump(value)
        if len(text) * 4 > MAX_PAYLOAD_BYTES and len(text.encode()) > MAX_PAYLOAD_BYTES:
            raise StateError(
                "States.DataLimitExceeded",
                f"The state '{self.context.get('State', {}).get('Name')}' has a {what} of more than the "
                f"{MAX_PAYLOAD_BYTES} bytes that Step Functions carries.",
            )
        return text

"""Two kinds of errors: a state that fails inside an execution, and an API call that is refused.

In MiniStack, `States.ALL` matches every error. On AWS, no Retry or Catch matches `States.Runtime` and
`States.DataLimitExceeded`, and `States.TaskFailed` does not match a time-out.
"""

from collections.abc import Iterable

FINAL_ERRORS = frozenset({"States.Runtime", "States.DataLimitExceeded"})
_TIMEOUTS = frozenset({"States.Timeout", "States.HeartbeatTimeout"})


class StateError(Exception):
    """Fail a state with an error name and a cause; both may be absent, as SendTaskFailure allows."""

    def __init__(self, error: str | None, cause: str | None) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause

    def details(self) -> dict[str, str]:
        """Return the members of a history event for the error, as far as they are set."""
        return {k: v for k, v in (("error", self.error), ("cause", self.cause)) if v is not None}


class ApiError(Exception):
    """Refuse an API call with the error code and message that AWS would answer."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def error_matches(names: Iterable[str], error: str | None) -> bool:
    """Return whether the `ErrorEquals` of a Retry or Catch rule covers an error."""
    if error in FINAL_ERRORS:
        return False
    covering = {"States.ALL", error}
    if error not in _TIMEOUTS:
        covering.add("States.TaskFailed")
    if error == "States.HeartbeatTimeout":
        # Recordings of AWS name a missed heartbeat States.Timeout, its documentation States.HeartbeatTimeout.
        covering.add("States.Timeout")
    return not covering.isdisjoint(names)

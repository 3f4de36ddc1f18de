"""The edge of a function: it checks the contract of events, and gives errors names that the state machines know.

It also logs a record for each call, so that the log has every call of a run.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

from bedrock_batch.aws.transient import is_transient
from bedrock_batch.contracts.version import check_contract
from bedrock_batch.errors import TransientError
from bedrock_batch.keys import name_of_folder

Handler = Callable[[dict[str, Any], object], dict[str, Any]]

_LOG = logging.getLogger(__name__)
logging.getLogger("bedrock_batch").setLevel(logging.INFO)

_OF_EVENT = ("run_id", "shard", "chunk", "input_key", "raw_key")
_OF_RESULT = ("next", "step", "rounds", "passes", "jobs", "rows", "shards")
"""The fields of a record from the event and from the function's result. None of them has text of rows."""


def at_edge(handler: Handler) -> Handler:
    """Check the event's contract, then call. Raise TransientError for errors after which the next call may succeed.

    The message of a TransientError begins with the name of the original error. Step Functions sees only the name of the
    class, so it must be this class, not a subclass.
    """
    function = handler.__module__.rpartition(".")[2]

    @wraps(handler)
    def called(event: dict[str, Any], context: object) -> dict[str, Any]:
        start = time.monotonic()
        about = {"function": function, **_about(event)}
        try:
            check_contract(event)
            result = handler(event, context)
        except Exception as err:
            transient = isinstance(err, TransientError) or is_transient(err)
            error = TransientError.__name__ if transient else type(err).__name__
            _LOG.warning("failed", extra={**about, **_seconds(start), "error": error, "cause": type(err).__name__})
            if transient and type(err) is not TransientError:
                raise TransientError(f"{type(err).__name__}: {err}") from err
            raise
        _LOG.info("done", extra={**about, **_seconds(start), **_fields(result, _OF_RESULT)})
        return result

    return called


def _about(event: object) -> dict[str, Any]:
    """Return the fields of a record about the event: its run, and its part of the run."""
    if not isinstance(event, Mapping):
        return {}
    of_run = {"run_id": name_of_folder(str(event["run_key"]))} if "run_key" in event else {}
    return of_run | _fields(event, _OF_EVENT)


def _fields(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


def _seconds(start: float) -> dict[str, float]:
    return {"seconds": round(time.monotonic() - start, 3)}

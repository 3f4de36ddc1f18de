"""The edge of a function: it reads events of its contract, and its errors have names that the state machines know."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from bedrock_batch.aws.transient import is_transient
from bedrock_batch.contracts.version import check_contract
from bedrock_batch.errors import TransientError

Handler = Callable[[dict[str, Any], object], dict[str, Any]]


def at_edge(handler: Handler) -> Handler:
    """Check the event's contract, then call; raise TransientError for every error that may be gone at the next call.

    The message of a TransientError begins with the name of the error that it stands for. Step Functions sees the
    name of the class alone, so it must be this very class and none below it.
    """

    @wraps(handler)
    def called(event: dict[str, Any], context: object) -> dict[str, Any]:
        check_contract(event)
        try:
            return handler(event, context)
        except Exception as err:
            below = isinstance(err, TransientError) and type(err) is not TransientError
            if below or is_transient(err):
                raise TransientError(f"{type(err).__name__}: {err}") from err
            raise

    return called

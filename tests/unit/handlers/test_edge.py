"""The edge of a function: it checks the contract before anything else, and logs a record for each call."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from bedrock_batch.contracts.version import CONTRACT
from bedrock_batch.errors import BudgetExceeded, ChunkTaken, ContractMismatch, TransientError
from bedrock_batch.handlers.edge import at_edge


def test_a_handler_sees_no_event_of_another_contract() -> None:
    seen: list[dict[str, Any]] = []

    @at_edge
    def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
        seen.append(event)
        return {}

    for event in ({}, {"contract": CONTRACT + 1}, {"contract": CONTRACT - 2}):
        with pytest.raises(ContractMismatch):
            handler(event, None)
    handler({"contract": CONTRACT}, None)
    handler({"contract": CONTRACT - 1}, None)
    assert [event["contract"] for event in seen] == [CONTRACT, CONTRACT - 1]


OF_A_RECORD = set(logging.makeLogRecord({}).__dict__) | {"message"}

WORK = "teams/nlp/reviews/work/monday/"


def record(caplog: pytest.LogCaptureFixture) -> tuple[str, dict[str, Any]]:
    """Return the message and the fields of the one record of a call; each took some time."""
    (found,) = caplog.records
    given = {name: value for name, value in found.__dict__.items() if name not in OF_A_RECORD}
    assert given.pop("seconds") >= 0
    assert given.pop("function") == "test_edge"
    return found.getMessage(), given


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ({"run_id": "monday", "input": {"prompt": {"text": "secret"}}}, {}),
        ({"run_key": WORK + "run.json", "shard": 0, "jobs": []}, {"shard": 0}),
        ({"run_key": WORK + "run-1.json", "chunk": 3, "raw_key": "r"}, {"chunk": 3, "raw_key": "r"}),
        ({"run_key": WORK + "run.json", "input_key": "i"}, {"input_key": "i"}),
    ],
    ids=["state", "shard", "chunk", "pool"],
)
def test_a_call_says_whose_run_it_was_for(
    caplog: pytest.LogCaptureFixture, event: dict[str, Any], fields: dict[str, Any]
) -> None:
    @at_edge
    def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
        return {"next": "join", "step": 2, "message": "secret"}

    handler({"contract": CONTRACT, **event}, None)
    assert record(caplog) == ("done", {"run_id": "monday", **fields, "next": "join", "step": 2})


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (BudgetExceeded("secret"), "BudgetExceeded"),
        (TransientError("secret"), "TransientError"),
        (ChunkTaken("secret"), "TransientError"),
        (ConnectionResetError("secret"), "ConnectionResetError"),
        (KeyError("secret"), "KeyError"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_call_that_failed_says_by_which_error_and_not_its_sentence(
    caplog: pytest.LogCaptureFixture, raised: Exception, error: str
) -> None:
    @at_edge
    def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
        raise raised

    with pytest.raises(Exception, match="secret") as caught:
        handler({"contract": CONTRACT, "run_id": "monday"}, None)
    assert type(caught.value).__name__ == error
    assert record(caplog) == ("failed", {"run_id": "monday", "error": error, "cause": type(raised).__name__})


@pytest.mark.parametrize("event", [None, [], {"run_id": "monday"}, {"run_key": 3}], ids=repr)
def test_an_event_that_is_none_of_ours_is_refused_and_noted(caplog: pytest.LogCaptureFixture, event: Any) -> None:
    never: Callable[..., Any] = at_edge(lambda event, context: {})
    with pytest.raises(ContractMismatch):
        never(event, None)
    (found,) = caplog.records
    assert (found.message, found.__dict__["error"]) == ("failed", "ContractMismatch")

"""The edge of a function looks at the contract before anything else is done."""

from typing import Any

import pytest

from bedrock_batch.contracts.version import CONTRACT
from bedrock_batch.errors import ContractMismatch
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

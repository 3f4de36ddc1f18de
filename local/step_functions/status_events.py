"""Send the event `Step Functions Execution Status Change` when the status of a STANDARD execution changes.

In MiniStack's event, many dates are wrong by a millisecond, there is no redrive, and only FAILED has error and cause.
"""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ministack.services import eventbridge
from ministack.services import stepfunctions as engine

_EPOCH = datetime.fromtimestamp(0, UTC)
_logger = logging.getLogger("states")


def report_status(record: Mapping[str, Any], redrive: tuple[str, str]) -> None:
    """Send the event of an execution's status; `redrive` says whether it can be redriven, and why not.

    If the event cannot be sent, the execution does not fail.
    """
    if record["sync"]:
        return
    ended_well = record["status"] == "SUCCEEDED"
    detail = {
        "executionArn": record["executionArn"],
        "stateMachineArn": record["stateMachineArn"],
        "name": record["name"],
        "status": record["status"],
        "startDate": _milliseconds(record["startDate"]),
        "stopDate": _milliseconds(record["stopDate"]),
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "redriveCount": record["redriveCount"],
        "redriveDate": _milliseconds(record.get("redriveDate")),
        "redriveStatus": redrive[0],
        "redriveStatusReason": redrive[1],
        "error": record.get("error"),
        "cause": record.get("cause"),
        **_payload("input", record["input"]),
        **(_payload("output", record["output"]) if ended_well else {"output": None, "outputDetails": None}),
    }
    entry = {
        "Source": "aws.states",
        "DetailType": "Step Functions Execution Status Change",
        "Detail": json.dumps(detail),
        "Resources": [record["executionArn"]],
    }
    try:
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
    except Exception:
        _logger.exception("The event of %s", record["executionArn"])


def _milliseconds(date: str | None) -> int | None:
    """Return an ISO date as whole milliseconds since 1970. Floats would lose a millisecond."""
    return None if date is None else (datetime.fromisoformat(date) - _EPOCH) // timedelta(milliseconds=1)


def _payload(name: str, text: str) -> dict[str, Any]:
    included = len(text) <= engine._STATUS_EVENT_PAYLOAD_CAP
    return {name: text if included else None, f"{name}Details": {"included": included}}

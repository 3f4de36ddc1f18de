"""Deliver histories to CloudWatch Logs. In MiniStack, a logging configuration has no effect.

All events are written when the execution ends, not while it runs. As on AWS, delivery is best effort: a missing log
group causes no error.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ministack.services import cloudwatch_logs

from .payload import dump

_ERROR_MARKS = ("Failed", "TimedOut", "Aborted")
_EXECUTION_DATA = frozenset({"input", "output", "parameters"})


def deliver(
    record: Mapping[str, Any], events: Iterable[dict[str, Any]], machine_name: str, settings: Mapping[str, Any]
) -> None:
    """Write the events of an execution to the log groups in the settings of its machine."""
    level = settings.get("level", "OFF")
    if level == "OFF":
        return
    lines = [
        _line(record, event, bool(settings.get("includeExecutionData")))
        for event in events
        if level == "ALL"
        or (
            any(mark in event["type"] for mark in _ERROR_MARKS)
            and (level == "ERROR" or event["type"].startswith("Execution"))
        )
    ]
    for destination in settings.get("destinations", []) if lines else []:
        group = destination["cloudWatchLogsLogGroup"]["logGroupArn"].split(":log-group:")[1].removesuffix(":*")
        stream = f"states/{machine_name}/{record['name']}"
        cloudwatch_logs._create_log_stream({"logGroupName": group, "logStreamName": stream})
        cloudwatch_logs._put_log_events({"logGroupName": group, "logStreamName": stream, "logEvents": lines})


def _line(record: Mapping[str, Any], event: dict[str, Any], with_data: bool) -> dict[str, Any]:
    details: dict[str, Any] = next((value for key, value in event.items() if key.endswith("EventDetails")), {})
    millis = int(datetime.fromisoformat(event["timestamp"]).timestamp() * 1000)
    message = {
        "id": str(event["id"]),
        "type": event["type"],
        "previous_event_id": str(event["previousEventId"]),
        "details": {k: v for k, v in details.items() if with_data or k not in _EXECUTION_DATA},
        "event_timestamp": str(millis),
        "execution_arn": record["executionArn"],
        "redrive_count": str(record["redriveCount"]),
    }
    return {"timestamp": millis, "message": dump(message)}

"""Repair of CloudWatch's DescribeAlarms in the Query protocol, which Terraform's AWS provider 5 speaks.

MiniStack's XML leaves out most members (Period, Statistic, Dimensions, actions), so a plan shows a change.
Its JSON answer is complete, so this answers the request with that, converted to XML.
"""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

_NUMBERED = ("AlarmNames", "AlarmTypes")


def install(app: Any) -> None:
    """Put the repair into the engine."""
    engines_own = app.SERVICE_HANDLERS["monitoring"]

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Any:
        parameters = {name: values[0] for name, values in (query | _form(headers, body)).items()}
        if parameters.get("Action") != "DescribeAlarms":
            return await engines_own(method, path, headers, body, query)
        json_headers = {
            "content-type": "application/json",
            "x-amz-target": "GraniteServiceVersion20100801.DescribeAlarms",
        }
        answer = await engines_own("POST", "/", json_headers, json.dumps(_document(parameters)).encode(), {})
        status, _, document = answer
        if status != 200:
            return await engines_own(method, path, headers, body, query)
        result = json.loads(document)
        lists = {
            name: [_shown(alarm) for alarm in result.get(name, [])] for name in ("MetricAlarms", "CompositeAlarms")
        }
        token = {"NextToken": result["NextToken"]} if "NextToken" in result else {}
        return 200, {"Content-Type": "text/xml"}, _response(lists | token)

    app.SERVICE_HANDLERS["monitoring"] = handle


def _form(headers: dict[str, str], body: bytes) -> dict[str, list[str]]:
    if "form-urlencoded" not in headers.get("content-type", ""):
        return {}
    return parse_qs(body.decode(), keep_blank_values=True)


def _document(parameters: dict[str, str]) -> dict[str, Any]:
    """Turn `AlarmNames.member.1=a` into lists, and keep the plain members that DescribeAlarms has."""
    document: dict[str, Any] = {
        name: parameters[name]
        for name in ("AlarmNamePrefix", "StateValue", "MaxRecords", "NextToken")
        if name in parameters
    }
    for name in _NUMBERED:
        numbered = sorted(
            (int(key.rsplit(".", 1)[-1]), value)
            for key, value in parameters.items()
            if key.startswith(f"{name}.member.")
        )
        if numbered:
            document[name] = [value for _, value in numbered]
    return document


def _shown(alarm: dict[str, Any]) -> dict[str, Any]:
    """Return an alarm as AWS shows it: times in words, and one kind of statistic only."""
    shown = {
        name: f"{datetime.fromtimestamp(value, UTC):%Y-%m-%dT%H:%M:%SZ}" if name.endswith("Timestamp") else value
        for name, value in alarm.items()
    }
    if shown.get("ExtendedStatistic"):
        del shown["Statistic"]
    return shown


def _response(result: dict[str, Any]) -> bytes:
    xml = (
        '<DescribeAlarmsResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"><DescribeAlarmsResult>'
        f"{_xml(result)}</DescribeAlarmsResult><ResponseMetadata><RequestId>local</RequestId></ResponseMetadata>"
        "</DescribeAlarmsResponse>"
    )
    return xml.encode()


def _xml(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"<{name}>{_xml(member)}</{name}>" for name, member in value.items() if member is not None)
    if isinstance(value, list):
        return "".join(f"<member>{_xml(item)}</member>" for item in value)
    if isinstance(value, bool):
        return str(value).lower()
    return escape(str(value))

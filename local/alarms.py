"""Repair of CloudWatch's alarms, so that Terraform reads back what it has written.

MiniStack forgets the metrics of a metric expression (`Metrics`). In the Query protocol, which Terraform's AWS provider
5 speaks, its DescribeAlarms leaves out most members (Period, Statistic, Dimensions, actions). After both, a plan shows
a change. Its JSON answer is complete, so this answers with that, converted to XML.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from ministack.services import cloudwatch

Answer = tuple[int, dict[str, str], bytes]
Operation = Callable[[Mapping[str, Any], dict[str, Any], bool, bool], Answer]
"""It gets the parameters of the Query protocol or a document, and says which: in CBOR, in JSON."""

_OF_ONE_METRIC = ("Namespace", "MetricName", "Dimensions", "Period", "Unit", "Statistic", "ExtendedStatistic")
_MOST_METRICS = 10


def install() -> None:
    """Put the repairs into the engine."""
    cloudwatch._put_metric_alarm = _with_metrics(cloudwatch._put_metric_alarm)
    cloudwatch._describe_alarms = _with_all_members(cloudwatch._describe_alarms)


def _with_metrics(engines_own: Operation) -> Operation:
    """Keep the metrics of an expression, in place of the one metric that other alarms have."""

    def put(parameters: Mapping[str, Any], document: dict[str, Any], is_cbor: bool, is_json: bool = False) -> Answer:
        asked = document if is_cbor or is_json else _nested(parameters)
        metrics = [_typed(one) for one in asked.get("Metrics") or ()]
        wrong = _wrong(asked, metrics)
        if wrong:
            refused: Answer = cloudwatch._error("ValidationError", wrong, 400, use_json=is_json, use_cbor=is_cbor)
            return refused
        answer = engines_own(parameters, document, is_cbor, is_json)
        if metrics and answer[0] == 200:
            alarm = cloudwatch._alarms[asked["AlarmName"]]
            for name in _OF_ONE_METRIC:
                alarm.pop(name, None)
            alarm["Metrics"] = metrics
        return answer

    return put


def _typed(metric: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item of `Metrics` with the types of the service model: in the Query protocol all values are texts."""
    typed = dict(metric, ReturnData=str(metric.get("ReturnData", True)).lower() == "true")
    if "MetricStat" in metric:
        typed["MetricStat"] = dict(metric["MetricStat"], Period=int(metric["MetricStat"]["Period"]))
    return typed


def _wrong(asked: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]]) -> str:
    """Return which documented rule an alarm breaks."""
    if not metrics:
        return "" if asked.get("MetricName") else "Either MetricName or Metrics must be given"
    both = [name for name in _OF_ONE_METRIC if asked.get(name)]
    if both:
        return f"Metrics and {', '.join(both)} exclude each other"
    if [("Expression" in one) for one in metrics if one["ReturnData"]] != [True]:
        return "Exactly one of Metrics must have ReturnData true, and this one must be an expression"
    if sum("MetricStat" in one for one in metrics) > _MOST_METRICS:
        return f"An expression may have {_MOST_METRICS} metrics"
    return ""


def _with_all_members(engines_own: Operation) -> Operation:
    """Answer the Query protocol with all that the answer in JSON has."""

    def describe(
        parameters: Mapping[str, Any], document: dict[str, Any], is_cbor: bool, is_json: bool = False
    ) -> Answer:
        if is_cbor or is_json:
            return engines_own(parameters, document, is_cbor, is_json)
        status, _, body = engines_own({}, _nested(parameters), False, True)
        if status != 200:
            return engines_own(parameters, document, False, False)
        result = json.loads(body)
        for name in ("MetricAlarms", "CompositeAlarms"):
            result[name] = [_shown(alarm) for alarm in result[name]]
        inner = f"<DescribeAlarmsResult>{_xml(result)}</DescribeAlarmsResult>"
        answer: Answer = cloudwatch._xml(200, "DescribeAlarmsResponse", inner)
        return answer

    return describe


def _nested(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of parameters: `Metrics.member.1.Id=a` is `{"Metrics": [{"Id": "a"}]}`."""
    document: dict[str, Any] = {}
    for name in parameters:
        *path, last = name.split(".")
        place = document
        for step in path:
            place = place.setdefault(step, {})
        place[last] = cloudwatch._p(parameters, name)
    return {name: _with_lists(value) for name, value in document.items()}


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value.keys() == {"member"}:
        return [_with_lists(value["member"][number]) for number in sorted(value["member"], key=int)]
    return {name: _with_lists(member) for name, member in value.items()}


def _shown(alarm: dict[str, Any]) -> dict[str, Any]:
    """Return an alarm as AWS shows it: times in words, and one kind of statistic only."""
    shown = {
        name: f"{datetime.fromtimestamp(value, UTC):%Y-%m-%dT%H:%M:%SZ}" if name.endswith("Timestamp") else value
        for name, value in alarm.items()
    }
    if shown.get("ExtendedStatistic"):
        del shown["Statistic"]
    return shown


def _xml(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"<{name}>{_xml(member)}</{name}>" for name, member in value.items() if member is not None)
    if isinstance(value, list):
        return "".join(f"<member>{_xml(item)}</member>" for item in value)
    if isinstance(value, bool):
        return str(value).lower()
    return escape(str(value))

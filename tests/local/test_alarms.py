"""Alarms of CloudWatch: what Terraform writes, it reads back."""

import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest

from local.process import Engine
from tests.local.conftest import ACCOUNT, Aws

TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:topic"
FAILED = {
    "AlarmName": "failed-runs",
    "Namespace": "AWS/States",
    "MetricName": "ExecutionsFailed",
    "Dimensions": [{"Name": "StateMachineArn", "Value": "arn:aws:states:us-east-1:000000000000:stateMachine:m"}],
    "Statistic": "Sum",
    "Period": 300,
    "EvaluationPeriods": 1,
    "Threshold": 0.0,
    "ComparisonOperator": "GreaterThanThreshold",
    "TreatMissingData": "notBreaching",
    "ActionsEnabled": True,
    "AlarmActions": [TOPIC],
}


def throttles(function: str) -> dict[str, Any]:
    """Return an item of `Metrics`: the throttles of a function."""
    dimensions = [{"Name": "FunctionName", "Value": function}]
    metric = {"Namespace": "AWS/Lambda", "MetricName": "Throttles", "Dimensions": dimensions}
    return {"Id": function, "MetricStat": {"Metric": metric, "Period": 300, "Stat": "Sum"}, "ReturnData": False}


SUM = {"Id": "all", "Expression": "SUM(METRICS())", "Label": "all <functions>", "ReturnData": True}
THROTTLED = {
    "AlarmName": "throttled",
    "Metrics": [SUM, throttles("plan"), throttles("join")],
    "EvaluationPeriods": 6,
    "Threshold": 0.0,
    "ComparisonOperator": "GreaterThanThreshold",
    "TreatMissingData": "notBreaching",
    "ActionsEnabled": True,
    "AlarmActions": [TOPIC],
}


def query(engine: Engine, action: str, asked: Mapping[str, Any]) -> ElementTree.Element:
    """Call CloudWatch in the Query protocol, which today's boto3 does not speak any more; return the answer."""
    authorization = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/monitoring/aws4_request, Signature=x"
    data = urlencode({"Action": action, "Version": "2010-08-01", **dict(flat("", asked))}).encode()
    request = urllib.request.Request(engine.url, data=data, headers={"Authorization": authorization})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request) as response:
        text = response.read().decode().replace('xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"', "")
    return ElementTree.fromstring(text)


def flat(name: str, value: Any) -> list[tuple[str, str]]:
    """Return the parameters of the Query protocol for a value."""
    if isinstance(value, Mapping):
        parts = [(f"{name}.{key}".lstrip("."), member) for key, member in value.items()]
    elif isinstance(value, list):
        parts = [(f"{name}.member.{number}", member) for number, member in enumerate(value, 1)]
    else:
        return [(name, str(value).lower() if isinstance(value, bool) else str(value))]
    return [pair for key, member in parts for pair in flat(key, member)]


def described(engine: Engine, name: str) -> dict[str, Any]:
    """Return an alarm as DescribeAlarms has it, without what CloudWatch adds; empty members count as left out."""
    (alarm,) = query(engine, "DescribeAlarms", {"AlarmNames": [name]}).findall(".//MetricAlarms/member")
    assert (alarm.findtext("StateUpdatedTimestamp") or "").endswith("Z")
    of_cloudwatch = {"AlarmArn", "AlarmConfigurationUpdatedTimestamp"}
    members = {member.tag: plain(member) for member in alarm}
    return {
        tag: value
        for tag, value in members.items()
        if value not in ("", []) and tag not in of_cloudwatch and not tag.startswith("State")
    }


def plain(element: ElementTree.Element) -> Any:
    """Return an XML element as a value; numbers and booleans get their types."""
    if element.tag in ("Period", "EvaluationPeriods"):
        return int(element.text or "")
    if element.tag == "Threshold":
        return float(element.text or "")
    if element.tag in ("ReturnData", "ActionsEnabled"):
        return {"true": True, "false": False}[element.text or ""]
    if len(element) and all(member.tag == "member" for member in element):
        return [plain(member) for member in element]
    return {member.tag: plain(member) for member in element} if len(element) else element.text or ""


@pytest.mark.parametrize("written", [FAILED, THROTTLED], ids=["of a metric", "of an expression"])
@pytest.mark.parametrize("protocol", ["query", "of boto3"])
def test_an_alarm_reads_back_as_it_was_written(
    engine: Engine, aws: Aws, written: dict[str, Any], protocol: str
) -> None:
    if protocol == "query":
        query(engine, "PutMetricAlarm", written)
    else:
        aws.cloudwatch.put_metric_alarm(**written)
    assert described(engine, written["AlarmName"]) == written
    (alarm,) = aws.cloudwatch.describe_alarms(AlarmNames=[written["AlarmName"]])["MetricAlarms"]
    assert {name: alarm[name] for name in written} == written


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"MetricName": "Throttles", "Period": 60}, "exclude each other"),
        ({"Metrics": [throttles("plan")]}, "must have ReturnData true"),
        ({"Metrics": [SUM, SUM | {"Id": "more"}]}, "must have ReturnData true"),
        ({"Metrics": [throttles("plan") | {"ReturnData": True}]}, "must be an expression"),
        ({"Metrics": [SUM, *(throttles(f"f{number}") for number in range(11))]}, "10 metrics"),
        ({"Metrics": []}, "must be given"),
    ],
)
def test_an_expression_that_cloudwatch_refuses_is_refused(
    engine: Engine, aws: Aws, wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(aws.cloudwatch.exceptions.ClientError, match=said):
        aws.cloudwatch.put_metric_alarm(**(THROTTLED | wrong))
    with pytest.raises(HTTPError, match="400"):
        query(engine, "PutMetricAlarm", THROTTLED | wrong)
    assert aws.cloudwatch.describe_alarms()["MetricAlarms"] == []

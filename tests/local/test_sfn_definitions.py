"""Step Functions on the local AWS: the definitions that AWS refuses are refused, and say where."""

import json
from typing import Any

import pytest

from tests.local.sfn_probe import ROLE, Account, distributed, give, put, task

_ALL = ["States.ALL"]
_GET = ("dynamodb:getItem", {"TableName": "t"})
_LONG = "x" * 81


def _retry(**numbers: Any) -> dict[str, Any]:
    return {**put("k"), "Retry": [{"ErrorEquals": _ALL, **numbers}]}


def _catch(*names: list[str]) -> dict[str, Any]:
    return {**put("k"), "Catch": [{"ErrorEquals": list(one), "Next": "Z"} for one in names]}


def _definition(states: dict[str, Any]) -> str:
    return json.dumps({"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states})


_STATES = {  # what is refused of state A, and where
    "next": (give(1, Next="B"), "/States/A"),
    "no-end": ({"Type": "Pass"}, "/States/A"),
    "jsonpath": ({**give(1), "ResultPath": "$"}, "/States/A/ResultPath"),
    "misspelt": ({**put("k"), "TimeoutSecond": 1}, "/States/A/TimeoutSecond"),
    "path-field": ({**distributed({"B": give(1)}), "MaxConcurrencyPath": "$.n"}, "/States/A/MaxConcurrencyPath"),
    "inside": (distributed({"B": {"Type": "Nope"}}), "/States/A/ItemProcessor/States/B"),
    "variable-of-outer-scope": (
        {**distributed({"B": give(1, Assign={"x": 1})}), "Assign": {"x": 2}},
        "/States/A/ItemProcessor/States",
    ),
    "no-resource": ({"Type": "Task", "End": True}, "/States/A"),
    "wait-for-nothing": ({"Type": "Wait", "End": True}, "/States/A"),
    "wait-for-two": ({"Type": "Wait", "Seconds": 1, "Timestamp": "2026-01-01T00:00:00Z", "End": True}, "/States/A"),
    "wait-for-a-text": ({"Type": "Wait", "Seconds": "1", "End": True}, "/States/A/Seconds"),
    "timeout": (task(*_GET, TimeoutSeconds=0), "/States/A/TimeoutSeconds"),
    "heartbeat": (task(*_GET, TimeoutSeconds=10, HeartbeatSeconds=10), "/States/A/HeartbeatSeconds"),
    "label": ({**distributed({"B": give(1)}), "Label": "x" * 41}, "/States/A/Label"),
    "label-characters": ({**distributed({"B": give(1)}), "Label": "my jobs"}, "/States/A/Label"),
    "concurrency": (distributed({"B": give(1)}, MaxConcurrency=-1), "/States/A/MaxConcurrency"),
    "tolerated": (distributed({"B": give(1)}, ToleratedFailurePercentage=101), "/States/A/ToleratedFailurePercentage"),
    "interval": (_retry(IntervalSeconds=0), "/States/A/Retry[0]/IntervalSeconds"),
    "interval-as-text": (_retry(IntervalSeconds="{% 1 %}"), "/States/A/Retry[0]/IntervalSeconds"),
    "attempts": (_retry(MaxAttempts=-1), "/States/A/Retry[0]/MaxAttempts"),
    "backoff": (_retry(BackoffRate=0.9), "/States/A/Retry[0]/BackoffRate"),
    "delay": (_retry(MaxDelaySeconds=31_622_401), "/States/A/Retry[0]/MaxDelaySeconds"),
    "delay-of-interval": (_retry(IntervalSeconds=5, MaxDelaySeconds=5), "/States/A/Retry[0]/MaxDelaySeconds"),
    "jitter": (_retry(JitterStrategy="HALF"), "/States/A/Retry[0]/JitterStrategy"),
    "no-errors": (_catch([]), "/States/A/Catch[0]/ErrorEquals"),
    "all-in-company": (_catch(["States.ALL", "Boom"]), "/States/A/Catch[0]/ErrorEquals"),
    "all-before-others": (_catch(_ALL, ["Boom"]), "/States/A/Catch[0]/ErrorEquals"),
    "catch-to-nowhere": ({**put("k"), "Catch": [{"ErrorEquals": _ALL}]}, "/States/A/Catch[0]"),
    "condition": ({"Type": "Choice", "Choices": [{"Next": "Z"}], "Default": "Z"}, "/States/A/Choices[0]"),
    "half-opened": (give("{% 1 "), "/States/A/Output"),
    "half-closed": (give({"a": ["1 %}"]}), "/States/A/Output/a[0]"),
    "spaces-around": (give(" {% 1 %} "), "/States/A/Output"),
    "expression-as-resource": (task("{% $x %}", {}) | {"Resource": "{% $x %}"}, "/States/A/Resource"),
    "expression-as-error": (_catch(["{% 'Boom' %}"]), "/States/A/Catch[0]/ErrorEquals"),
    "reserved-name": (give(1, Assign={"states": 1}), "/States/A/Assign"),
    "long-variable": (give(1, Assign={_LONG: 1}), "/States/A/Assign"),
}


@pytest.mark.parametrize(("state", "location"), _STATES.values(), ids=_STATES)
def test_a_state_that_aws_refuses_is_refused(account: Account, state: dict[str, Any], location: str) -> None:
    leads_on = any("Z" in json.dumps(state.get(field, "")) for field in ("Catch", "Choices"))
    definition = _definition({"A": state, **({"Z": give(1)} if leads_on else {})})
    answer = account.sfn.validate_state_machine_definition(definition=definition)
    assert answer["result"] == "FAIL"
    assert location in [problem["location"] for problem in answer["diagnostics"]]


@pytest.mark.parametrize(
    "definition",
    [
        "{",
        '{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}',
        _definition({"A": give(1, Next="B"), "B": give(1, Next="A")}),
        _definition({"A": give(1), "B": give(1)}),
        _definition({"A": give(1, Next="Z"), "B": give(1, Next="C"), "C": give(1, Next="B"), "Z": give(1)}),
        _definition({_LONG: give(1)}),
        _definition({"A": give("x" * 1_048_576)}),
    ],
    ids=["no-json", "jsonpath", "no-end", "unreachable", "unreachable-loop", "long-name", "large"],
)
def test_a_machine_that_aws_refuses_is_refused(account: Account, definition: str) -> None:
    with pytest.raises(account.sfn.exceptions.InvalidDefinition):
        account.sfn.create_state_machine(name="refused", roleArn=ROLE, definition=definition)


def test_what_aws_takes_is_taken(account: Account) -> None:
    """The edges of the rules, and texts in data that would break a rule as fields."""
    retry = [
        {"ErrorEquals": ["Boom"], "IntervalSeconds": 1, "MaxDelaySeconds": 2, "BackoffRate": 1, "MaxAttempts": 0},
        {"ErrorEquals": _ALL, "JitterStrategy": "FULL"},
    ]
    arguments = {"TableName": "{% 'p' & 'q' %}", "Key": {"Seconds": {"S": "1"}, "Next": {"S": "{% 'a' %}"}}}
    state = task(_GET[0], arguments, TimeoutSeconds="{% 3 %}", HeartbeatSeconds=2, Retry=retry, Next="B")
    definition = _definition({"A": state, "B": give("20 % of {it}", Assign={"x" * 80: 1})})
    answer = account.sfn.validate_state_machine_definition(definition=definition)
    assert (answer["result"], answer["diagnostics"]) == ("OK", [])

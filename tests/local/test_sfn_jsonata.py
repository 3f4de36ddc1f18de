"""Step Functions on the local AWS: JSONata, variables, retries."""

import itertools
import json
import time
from collections.abc import Iterator

import pytest

from local.process import Engine
from tests.local.sfn_probe import (
    Account,
    failed,
    give,
    put,
    task,
)

# --- JSONata ---


@pytest.mark.parametrize("expression", ["$states.input.nothing", "$states.result", "$nothing", "$eval('1')"])
def test_an_undefined_argument_is_an_error_that_can_be_caught(account: Account, expression: str) -> None:
    catch = [{"ErrorEquals": ["States.QueryEvaluationError"], "Next": "Caught"}]
    states = {"A": task("dynamodb:getItem", {"TableName": f"{{% {expression} %}}"}, Catch=catch), "Caught": give("ok")}
    assert account.result(states) == "ok"


@pytest.mark.parametrize("field", ["Output", "Assign"])
def test_an_undefined_output_or_variable_is_an_error(account: Account, field: str) -> None:
    state = {"Type": "Pass", "End": True, field: {"a": "{% $states.input.nothing %}"}}
    assert failed(account.run({"A": state})) == "States.QueryEvaluationError"


def test_an_error_in_the_output_of_a_task_is_caught(account: Account) -> None:
    catch = [
        {
            "ErrorEquals": ["States.QueryEvaluationError"],
            "Next": "Caught",
            "Assign": {"n": 2},
            "Output": "{% $states.errorOutput.Error %}",
        }
    ]
    state = put("output-error", Output="{% $states.result.nothing %}", Catch=catch, Assign={"n": 1})
    assert account.result({"A": state, "Caught": give("{% [$states.input, $n] %}")}) == [
        "States.QueryEvaluationError",
        2,
    ]


def test_output_and_assign_see_the_values_at_entry(account: Account) -> None:
    states = {
        "A": give(None, Assign={"n": 1}, Next="B"),
        "B": give("{% $n %}", Assign={"n": "{% $n + 1 %}", "before": "{% $n %}"}, Next="C"),
        "C": give("{% [$states.input, $n, $before] %}"),
    }
    assert account.result(states) == [1, 2, 1]


def test_the_clock_moves_between_evaluations_and_stands_still_within_one(account: Account) -> None:
    clock = {
        "now": "{% $map([1..200], function() { $toMillis($now()) }) %}",
        "millis": "{% $map([1..200], function() { $millis() }) %}",
    }
    states = {
        "A": give(clock, Next="Wait"),
        "Wait": {"Type": "Wait", "Seconds": 1, "Next": "B"},
        "B": give({"before": "{% $states.input %}", "after": clock}),
    }
    machine = account.machine(states)

    def run() -> list[int]:
        end = account.ended(account.sfn.start_execution(stateMachineArn=machine, input="{}")["executionArn"])
        seen = json.loads(end["output"])
        values = [set(seen[when][name]) for when in ("before", "after") for name in ("now", "millis")]
        assert [len(value) for value in values] == [1, 1, 1, 1]
        return [value.pop() for value in values]

    first, second = run(), run()
    assert first[0] + 1000 <= first[2] + 1 and first[1] + 1000 <= first[3] + 1
    assert first[3] < second[0] <= second[1] <= time.time() * 1000


def test_null_stays_null_and_input_that_looks_like_code_stays_text(account: Account) -> None:
    value = {"none": None, "text": "{% 1 + 1 %}"}
    each = {"Type": "Map", "ItemProcessor": {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}}
    assert account.result({"A": give("{% $states.input.none %}")}, value) is None
    assert account.result({"M": {**each, "Items": "{% [$states.input] %}", "End": True}}, value) == [value]
    assert account.result({"M": {**each, "End": True}}, [value]) == [value]


def test_numbers_stay_as_they_were_sent(account: Account) -> None:
    sent = '{"limit": 30.0, "n": 30, "x": [1.0, 2.5], "large": 1e300}'
    each = {"Type": "Map", "ItemProcessor": {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}}
    states = {
        "A": give("{% $states.input %}", Assign={"kept": "{% $states.input.limit %}"}, Next="B"),
        "B": {**each, "Items": "{% [$states.input.x] %}", "Output": {"x": "{% $states.result %}"}, "Next": "C"},
        "C": give("{% $merge([$states.input, {'limit': $kept, 'half': 4 / 2, 'sum': 1.5 + 1.5}]) %}"),
    }
    result = account.result(states, json.loads(sent))
    assert json.dumps(result) == '{"x": [1.0, 2.5], "limit": 30.0, "half": 2, "sum": 3}'


def test_a_branch_keeps_its_variables_to_itself(account: Account) -> None:
    inner = {
        "StartAt": "A",
        "States": {"A": give(None, Assign={"m": "{% $n + 1 %}"}, Next="B"), "B": give("{% $m %}")},
    }
    states = {
        "Set": give(None, Assign={"n": 1}, Next="Fork"),
        "Fork": {"Type": "Parallel", "Branches": [inner, inner], "Next": "See"},
        "See": give("{% [$states.input, $exists($m)] %}"),
    }
    assert account.result(states) == [2, 2, False]


def test_the_functions_of_step_functions_are_there(account: Account) -> None:
    result = account.result(
        {
            "A": give(
                {
                    "parse": "{% $parse($states.input) %}",
                    "hash": "{% $hash('a', 'SHA-256') %}",
                    "uuid": "{% $length($uuid()) %}",
                    "range": "{% $range(1, 7, 3) %}",
                    "partition": "{% $partition([1..3], 2) %}",
                    "random": "{% $random() < 1 %}",
                }
            )
        },
        '{"a":[null]}',
    )
    assert result == {
        "parse": {"a": [None]},
        "hash": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
        "uuid": 36,
        "range": [1, 4, 7],
        "partition": [[1, 2], [3]],
        "random": True,
    }


@pytest.mark.parametrize("seconds", ["{% 0.5 %}", "{% -1 %}", "{% '1' %}"])
def test_a_wait_takes_whole_seconds_only(account: Account, seconds: str) -> None:
    wait = {"Type": "Wait", "Seconds": seconds, "End": True}
    assert failed(account.run({"W": wait})) == "States.QueryEvaluationError"


def test_fail_takes_expressions(account: Account) -> None:
    fail = {"Type": "Fail", "Error": "{% $states.input.e %}", "Cause": "{% 'of ' & $states.input.e %}"}
    end = account.run({"F": fail}, {"e": "Mine"})
    assert (end["error"], end["cause"]) == ("Mine", "of Mine")


# --- Retry ---


@pytest.fixture
def fast(engine: Engine) -> Iterator[None]:
    """Waits and retry delays at a twentieth of their length."""
    engine.wait_scale(0.05)
    yield
    engine.wait_scale(1)


def _attempts(account: Account, arn: str) -> list[float]:
    times = [e["timestamp"].timestamp() for e in account.events(arn) if e["type"] == "TaskScheduled"]
    return [later - earlier for earlier, later in itertools.pairwise(times)]


@pytest.mark.usefixtures("fast")
def test_delays_grow_to_their_limit_and_every_rule_counts_its_own_attempts(account: Account) -> None:
    retry = [
        {"ErrorEquals": ["Other"]},
        {
            "ErrorEquals": ["DynamoDb.ResourceNotFoundException"],
            "IntervalSeconds": 2,
            "BackoffRate": 10,
            "MaxDelaySeconds": 4,
            "MaxAttempts": 3,
        },
    ]
    key = {"pk": {"S": "{% $string($states.context.State.RetryCount) %}"}}
    end = account.run({"A": task("aws-sdk:dynamodb:getItem", {"TableName": "nowhere", "Key": key}, Retry=retry)})
    assert failed(end) == "DynamoDb.ResourceNotFoundException"
    details = [event.get("taskScheduledEventDetails") for event in account.events(end["executionArn"])]
    assert [json.loads(one["parameters"])["Key"]["pk"]["S"] for one in details if one] == ["0", "1", "2", "3"]
    first, second, third = _attempts(account, end["executionArn"])
    assert first > 0.09 and second > 0.19 and 0.19 < third < 5  # 10 s without the limit


@pytest.mark.usefixtures("fast")
def test_full_jitter_spreads_the_delays(account: Account) -> None:
    retry = [
        {
            "ErrorEquals": ["States.ALL"],
            "IntervalSeconds": 8,
            "BackoffRate": 1,
            "MaxAttempts": 8,
            "JitterStrategy": "FULL",
        }
    ]
    end = account.run({"A": task("aws-sdk:dynamodb:getItem", {"TableName": "nowhere", "Key": {}}, Retry=retry)})
    delays = _attempts(account, end["executionArn"])
    assert len(delays) == 8
    assert min(delays) < 0.3  # 0.4 s each without jitter


def test_states_all_does_not_cover_a_runtime_error(account: Account) -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    states = {"A": task("aws-sdk:nowhere:nothing", {}, Catch=catch), "Caught": give("wrong")}
    assert failed(account.run(states)) == "States.Runtime"

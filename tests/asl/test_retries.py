"""What is retried, and how: every Retry is made from the policies of asl/retries.json."""

import json
from collections.abc import Iterator

import pytest

from . import services
from .machines import FILES, ROOT, Json, State, definition, tasks

each_file = pytest.mark.parametrize("name", FILES)
each_task = pytest.mark.parametrize("state", tasks(), ids=str)

RETRIES = json.loads((ROOT / "asl" / "retries.json").read_text())
POLICIES = {
    name: {field: value for field, value in policy.items() if field != "Comment"}
    for name, policy in RETRIES["policies"].items()
}


def tasks_of(machine: Json) -> Iterator[tuple[str, Json]]:
    """Yield the tasks of a file by their names, including those of its Maps' children."""
    for name, body in machine["States"].items():
        if body["Type"] == "Task":
            yield name, body
        if "ItemProcessor" in body:
            yield from tasks_of(body["ItemProcessor"])


@each_file
def test_retry_is_made_of_the_policies_that_retries_json_names(name: str) -> None:
    found = list(tasks_of(definition(name)))
    assert [state for state, _ in found] == list(RETRIES["states"][name]), "each task once, in the order of the file"
    for state, body in found:
        assert body["Retry"] == [POLICIES[policy] for policy in RETRIES["states"][name][state]], state


def test_every_policy_is_used_and_no_two_are_alike() -> None:
    assert set(RETRIES["states"]) == set(FILES)
    used = {policy for states in RETRIES["states"].values() for policies in states.values() for policy in policies}
    assert used == set(POLICIES)
    assert len({json.dumps(policy, sort_keys=True) for policy in POLICIES.values()}) == len(POLICIES)


def test_functions_are_all_retried_alike() -> None:
    functions = {state.name for state in tasks() if services.call(state.body["Resource"]).service == "lambda"}
    retried = [named for states in RETRIES["states"].values() for state, named in states.items() if state in functions]
    assert len(retried) > 1
    # PlanUnfinished is not a failure, so it has its own number of attempts.
    assert {tuple(name for name in named if name != "plan-unfinished") for named in retried} == {
        ("lambda-full", "lambda")
    }


@each_task
def test_retry_backs_off_within_bounds_and_with_jitter(state: State) -> None:
    fields = {"ErrorEquals", "IntervalSeconds", "BackoffRate", "MaxDelaySeconds", "MaxAttempts", "JitterStrategy"}
    seen: set[str] = set()
    for retrier in state.retriers():
        assert set(retrier) == fields
        assert retrier["JitterStrategy"] == "FULL"
        assert retrier["IntervalSeconds"] < retrier["MaxDelaySeconds"]
        assert not seen & set(retrier["ErrorEquals"]), "only the first retrier that knows an error counts"
        seen |= set(retrier["ErrorEquals"])


@each_task
def test_an_answer_that_stays_out_is_asked_for_again(state: State) -> None:
    """All calls except functions may be repeated after a time-out. Only a callback's time-out has another meaning."""
    called = services.call(state.body["Resource"])
    retried = {name for retrier in state.retriers() for name in retrier["ErrorEquals"]}
    assert ("States.Timeout" in retried) == (not called.callback and called.service != "lambda")

"""The gate: whether too many rows of a run failed."""

import pytest

from bedrock_batch.errors import TooManyFailures
from bedrock_batch.run.gate import gate, gate_each
from bedrock_batch.run.reconcile import Totals, reconcile
from tests.unit.run.test_reconcile import joined


def totals(**outcomes: int) -> Totals:
    rows = sum(outcomes.values())
    shards = [joined(0, rows=rows, outcomes=outcomes, errors={"400": 7, "Stopped": 2}, messages={"400": "no such key"})]
    return reconcile(shards, shards=1, rows=rows)


@pytest.mark.parametrize(
    "outcomes",
    [
        {"succeeded": 100},
        {"succeeded": 90, "failed": 10},
        {"succeeded": 89, "truncated": 1, "failed": 5, "missing": 5},
        {"succeeded": 9, "failed": 1, "skipped": 90},
        {"truncated": 100},
        {"invalid": 100},
        {"succeeded": 1, "failed": 40, "missing": 8, "skipped": 90},
    ],
)
def test_the_gate_lets_pass_what_is_tolerated(outcomes: dict[str, int]) -> None:
    gate(totals(**outcomes), tolerated_failure_percentage=10)


@pytest.mark.parametrize(
    ("outcomes", "tolerated", "words"),
    [
        ({"succeeded": 89, "failed": 9, "missing": 2}, 10, r"11 of 100 rows that were sent have no answer \(11.0%"),
        ({"succeeded": 999, "failed": 1}, 0, r"1 of 1000 .*\(0.1%, but at most 0% are tolerated\)"),
        ({"succeeded": 40, "failed": 10, "skipped": 90}, 10, "10 of 50 rows that were sent"),
        ({"succeeded": 50, "missing": 50}, 49.5, "at most 49.5% are tolerated"),
        (
            {"failed": 9},
            100,
            r'9 of 9 rows .* have no answer: 9 failed\. Most frequent errors: 400 \(7 rows\): "no such key", Stopped',
        ),
        ({"skipped": 9}, 100, "0 of 0 rows that were sent"),
    ],
)
def test_the_gate_stops_what_is_not(outcomes: dict[str, int], tolerated: float, words: str) -> None:
    with pytest.raises(TooManyFailures, match=words):
        gate(totals(**outcomes), tolerated_failure_percentage=tolerated)


def test_every_model_is_judged_by_itself() -> None:
    good, bad = totals(succeeded=99, failed=1), totals(succeeded=80, failed=20)
    assert gate_each({"a": good, "b": good}, tolerated_failure_percentage=10) == []
    warned = gate_each({"a": good, "b": bad, "c": bad}, tolerated_failure_percentage=10)
    assert [warning[:13] for warning in warned] == ["b: 20 of 100 ", "c: 20 of 100 "]
    with pytest.raises(TooManyFailures, match=r"^b: 20 of 100 .* c: 20 of 100 "):
        gate_each({"b": bad, "c": bad}, tolerated_failure_percentage=10)

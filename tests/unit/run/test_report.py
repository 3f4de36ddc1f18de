"""The report: shards add up to the input, and the gate judges the whole."""

from typing import Any

import pytest

from bedrock_batch.contracts.lines import Joined
from bedrock_batch.errors import JoinIncomplete, TooManyFailures
from bedrock_batch.run.report import Report, gate, gate_each, reconcile, retried_counts


def joined(shard: int, **changes: Any) -> Joined:
    values: dict[str, Any] = {
        "shard": shard,
        "rows": 10,
        "output_key": f"runs/r/output/part-{shard:05d}.parquet",
        "bytes": 100,
        "outcomes": {"succeeded": 9, "failed": 1},
        "leftovers": 1,
        "input_tokens": 50,
        "output_tokens": 20,
        "errors": {"429": 1},
        "messages": {"429": "slow down"},
    }
    return Joined(**values | changes)


def test_retried_rows_are_counted_by_what_they_have_now() -> None:
    shards = [joined(0, retried={"truncated": 2, "succeeded": 3}), joined(1), joined(2, retried={"succeeded": 1})]
    assert retried_counts(shards) == {"records": 6, "succeeded": 4, "truncated": 2}


def report(**outcomes: int) -> Report:
    rows = sum(outcomes.values())
    shards = [joined(0, rows=rows, outcomes=outcomes, errors={"400": 7, "Stopped": 2}, messages={"400": "no such key"})]
    return reconcile(shards, shards=1, rows=rows)


def test_shards_add_up_in_table_order() -> None:
    other = joined(2, outcomes={"succeeded": 4, "missing": 4, "skipped": 2}, errors={"Stopped": 4, "NullColumn": 2})
    found = reconcile([other, joined(0), joined(1)], shards=3, rows=30)
    assert found.to_json() == {
        "rows": 30,
        "shards": 3,
        "bytes": 300,
        "outcomes": {"succeeded": 22, "truncated": 0, "invalid": 0, "failed": 2, "skipped": 2, "missing": 4},
        "leftovers": 3,
        "input_tokens": 150,
        "output_tokens": 60,
        "errors": {"Stopped": 4, "429": 2, "NullColumn": 2},
        "error_messages": {"429": "slow down"},
        "met_max_tokens": 0,
        "parts": [
            {"shard": shard, "key": f"runs/r/output/part-{shard:05d}.parquet", "rows": 10, "bytes": 100}
            for shard in range(3)
        ],
    }


@pytest.mark.parametrize(
    ("shards", "rows", "words"),
    [
        ([joined(0), joined(2)], 30, "^shard 00001 without an output part"),
        ([joined(number) for number in range(0, 3)] + [joined(1)], 30, "shard 00001 joined twice"),
        ([joined(0), joined(1), joined(2, rows=11)], 31, "shard 00002 whose rows do not add up"),
        (
            [joined(0), joined(1), joined(2, outcomes={"succeeded": 9, "lost": 1})],
            30,
            "shard 00002 whose rows do not add up",
        ),
        ([joined(0), joined(1), joined(2), joined(3)], 40, "shard 00003 not of this run"),
        ([joined(0), joined(1), joined(2)], 31, "the parts have 30 rows together, the input has 31"),
        ([], 30, "shards 00000, 00001, 00002 without an output part"),
    ],
)
def test_what_does_not_add_up_is_named(shards: list[Joined], rows: int, words: str) -> None:
    with pytest.raises(JoinIncomplete, match=words):
        reconcile(shards, shards=3, rows=rows)


def test_many_shards_are_not_all_named() -> None:
    with pytest.raises(JoinIncomplete, match=r"00009 and 90 more without an output part"):
        reconcile([], shards=100, rows=1)


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
    gate(report(**outcomes), tolerated_failure_percentage=10)


@pytest.mark.parametrize(
    ("outcomes", "tolerated", "words"),
    [
        ({"succeeded": 89, "failed": 9, "missing": 2}, 10, r"11 of 100 rows sent have no answer \(11.0%"),
        ({"succeeded": 999, "failed": 1}, 0, r"1 of 1000 .*\(0.1%, tolerated are 0%\)"),
        ({"succeeded": 40, "failed": 10, "skipped": 90}, 10, "10 of 50 rows sent"),
        ({"succeeded": 50, "missing": 50}, 49.5, "tolerated are 49.5%"),
        (
            {"failed": 9},
            100,
            r'9 of 9 rows sent have no answer: 9 failed\. Most frequent errors: 400 \(7 rows\): "no such key", Stopped',
        ),
        ({"skipped": 9}, 100, "0 of 0 rows sent"),
    ],
)
def test_the_gate_stops_what_is_not(outcomes: dict[str, int], tolerated: float, words: str) -> None:
    with pytest.raises(TooManyFailures, match=words):
        gate(report(**outcomes), tolerated_failure_percentage=tolerated)


def test_every_model_is_judged_by_itself() -> None:
    good, bad = report(succeeded=99, failed=1), report(succeeded=80, failed=20)
    assert gate_each({"a": good, "b": good}, tolerated_failure_percentage=10) == []
    warned = gate_each({"a": good, "b": bad, "c": bad}, tolerated_failure_percentage=10)
    assert [warning[:13] for warning in warned] == ["b: 20 of 100 ", "c: 20 of 100 "]
    with pytest.raises(TooManyFailures, match=r"^b: 20 of 100 .* c: 20 of 100 "):
        gate_each({"b": bad, "c": bad}, tolerated_failure_percentage=10)


def test_shards_of_a_later_model_add_up_by_themselves() -> None:
    found = reconcile([joined(5), joined(4)], shards=2, rows=20, first=4)
    assert [part["shard"] for part in found.parts] == [4, 5]
    with pytest.raises(JoinIncomplete, match="shard 00004 without an output part; shard 00003 not of this run"):
        reconcile([joined(5), joined(3)], shards=2, rows=20, first=4)

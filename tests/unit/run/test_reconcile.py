"""The counts of a run: its shards add up to the input."""

from typing import Any

import pytest

from bedrock_batch.contracts.results import Joined
from bedrock_batch.errors import JoinIncomplete
from bedrock_batch.run.reconcile import reconcile, retried_counts


def joined(shard: int, **changes: Any) -> Joined:
    values: dict[str, Any] = {
        "shard": shard,
        "rows": 10,
        "output_key": f"reviews/output/r/part-{shard:05d}.parquet",
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
            {"shard": shard, "key": f"reviews/output/r/part-{shard:05d}.parquet", "rows": 10, "bytes": 100}
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
        ([joined(0), joined(1), joined(2)], 31, "the parts together have 30 rows, but the input has 31"),
        ([], 30, "shards 00000, 00001, 00002 without an output part"),
    ],
)
def test_what_does_not_add_up_is_named(shards: list[Joined], rows: int, words: str) -> None:
    with pytest.raises(JoinIncomplete, match=words):
        reconcile(shards, shards=3, rows=rows)


def test_many_shards_are_not_all_named() -> None:
    with pytest.raises(JoinIncomplete, match=r"00009 and 90 more without an output part"):
        reconcile([], shards=100, rows=1)


def test_shards_of_a_later_model_add_up_by_themselves() -> None:
    found = reconcile([joined(5), joined(4)], shards=2, rows=20, first=4)
    assert [part["shard"] for part in found.parts] == [4, 5]
    with pytest.raises(JoinIncomplete, match="shard 00004 without an output part; shard 00003 not of this run"):
        reconcile([joined(5), joined(3)], shards=2, rows=20, first=4)

"""Record ids, and the place that they have in every line that we write for Bedrock."""

from collections.abc import Callable

import pyarrow as pa
import pytest

from bedrock_batch import keys
from bedrock_batch.join.ask_again import larger
from bedrock_batch.record_ids import ROW_DIGITS, SHARD_DIGITS, id_in, record_id, row_of, rows_of, shard_prefix
from bedrock_batch.records.ready_made import ReadyMade
from bedrock_batch.records.render import Renderer

SHARD, ROW = 42, 17
RETRY = {"outcomes": ["truncated"], "max_tokens": 900, "place": "/max_tokens"}


def rendered() -> bytes:
    table = pa.record_batch({"a": ["one", "two"]})
    return Renderer({"max_tokens": 5, "text": "{a}"}, table.schema, shard=SHARD).render(table, ROW).data


def ready_made() -> bytes:
    table = pa.record_batch({"modelInput": ['{"max_tokens":5}', "{}"]})
    return ReadyMade(shard=SHARD, nulls="error", first_row=0, most_bytes=1000).render(table, ROW).data


def test_the_digits_have_room_for_every_shard_and_row() -> None:
    assert (keys.MAX_SHARDS, keys.MAX_SHARD_ROWS) == (10**SHARD_DIGITS, 10**ROW_DIGITS)
    assert len({len(record_id(0, 0)), len(record_id(keys.MAX_SHARDS - 1, keys.MAX_SHARD_ROWS - 1))}) == 1


@pytest.mark.parametrize("written", [rendered, ready_made])
def test_every_line_holds_its_id_where_it_is_looked_for(written: Callable[[], bytes]) -> None:
    first, second = written().splitlines()
    assert [id_in(line) for line in (first, second, larger(first, RETRY))] == [
        record_id(SHARD, row) for row in (ROW, ROW + 1, ROW)
    ]
    assert larger(first, RETRY) != first


def test_an_id_names_a_row_of_its_own_shard_alone() -> None:
    ids = [record_id(SHARD, row) for row in (3, 0, 999_999)]
    found = rows_of(ids, shard_prefix(SHARD))
    assert found is not None
    assert found.tolist() == [3, 0, 999_999]
    assert [row_of(one, shard_prefix(SHARD), 1000) for one in ids] == [3, 0, None]
    assert [row_of(one, shard_prefix(SHARD + 1), 1000) for one in ids] == [None] * 3
    assert rows_of(ids, shard_prefix(SHARD + 1)) is None

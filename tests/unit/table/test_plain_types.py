"""Lists of floats as JSON: the same for every kind of list, slice and gap."""

import json
import math
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_batch.table import plain_types

NUMBERS = st.none() | st.floats(width=16)
PAIRS = st.lists(st.none() | st.lists(NUMBERS, min_size=2, max_size=2), max_size=8)
LISTS = st.lists(st.none() | st.lists(NUMBERS, max_size=4), max_size=8)


def as_json_has_it(value: Any) -> Any:
    if isinstance(value, list):
        return [as_json_has_it(one) for one in value]
    return value if value is None or math.isfinite(value) else None


@pytest.mark.parametrize("floats", [pa.float16(), pa.float32(), pa.float64()])
@given(rows=LISTS, pairs=PAIRS, start=st.integers(0, 3))
def test_lists_of_floats_are_written_as_they_are(floats: pa.DataType, rows: Any, pairs: Any, start: int) -> None:
    kinds = [(pa.list_(floats), rows), (pa.large_list(floats), rows), (pa.list_(floats, 2), pairs)]
    for kind, values in kinds:
        column = plain_types.to_plain(pa.array(values, kind).slice(start))
        read = [json.loads(cell) for cell in plain_types.json_cells(column)]
        assert pa.array(read, column.type) == pa.array(as_json_has_it(values[start:]), column.type)


def test_floats_of_32_bits_have_their_own_digits() -> None:
    column = pa.array([[0.1], None, []], pa.list_(pa.float32()))
    assert plain_types.json_cells(column) == [b"[0.1]", b"null", b"[]"]

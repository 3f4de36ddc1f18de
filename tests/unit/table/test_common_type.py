"""Types of one column in different files: one that holds all values with the same text, or none."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_batch.table.common_type import common, usual

CATEGORIES = pa.dictionary(pa.int32(), pa.string())
NANO = pa.timestamp("ns")
SAME: list[tuple[pa.DataType, pa.DataType, pa.DataType]] = [
    (pa.null(), pa.list_(pa.int8()), pa.list_(pa.int8())),
    (pa.string(), pa.large_string(), pa.large_string()),
    (pa.string(), pa.dictionary(pa.int8(), pa.string()), pa.string()),
    (pa.dictionary(pa.int8(), pa.string()), CATEGORIES, CATEGORIES),
    (pa.binary(4), pa.binary(5), pa.binary()),
    (pa.binary(), pa.large_binary(), pa.large_binary()),
    (pa.int8(), pa.int64(), pa.int64()),
    (pa.uint8(), pa.uint16(), pa.uint16()),
    (pa.uint8(), pa.int8(), pa.int16()),
    (pa.uint32(), pa.int8(), pa.int64()),
    (pa.timestamp("s"), NANO, NANO),
    (pa.timestamp("us", "UTC"), pa.timestamp("ms", "+00:00"), pa.timestamp("us", "UTC")),
    (pa.timestamp("us", "Etc/UTC"), pa.timestamp("us", "UTC"), pa.timestamp("us", "UTC")),
    (pa.date32(), pa.date64(), pa.date32()),
    (pa.time32("s"), pa.time64("us"), pa.time64("us")),
    (pa.duration("s"), pa.duration("ms"), pa.duration("ms")),
    (pa.decimal128(5, 2), pa.decimal128(9, 2), pa.decimal128(9, 2)),
    (pa.decimal128(38, 2), pa.decimal256(39, 2), pa.decimal256(39, 2)),
    (pa.list_(pa.int8()), pa.large_list(pa.int16()), pa.large_list(pa.int16())),
    (pa.list_(pa.float32(), 2), pa.list_(pa.float32(), 3), pa.list_(pa.float32())),
    (pa.list_(pa.null()), pa.list_(pa.string()), pa.list_(pa.string())),
    (pa.struct([("a", pa.int8()), ("b", pa.null())]), pa.struct([("b", pa.string()), ("a", pa.int16())]),
     pa.struct([("a", pa.int16()), ("b", pa.string())])),
    (pa.map_(pa.string(), pa.int8()), pa.map_(pa.string(), pa.int16()), pa.map_(pa.string(), pa.int16())),
]  # fmt: skip
DIFFERENT = [
    (pa.string(), pa.int64()),
    (pa.int64(), pa.float64()),
    (pa.float32(), pa.float64()),
    (pa.uint64(), pa.int64()),
    (pa.timestamp("us"), pa.timestamp("us", "UTC")),
    (pa.timestamp("us", "UTC"), pa.timestamp("us", "Europe/Paris")),
    (pa.date32(), pa.timestamp("us")),
    (pa.decimal128(5, 2), pa.decimal128(5, 1)),
    (pa.bool_(), pa.int8()),
    (pa.string(), pa.binary()),
    (pa.list_(pa.string()), pa.list_(pa.int8())),
    (pa.struct([("a", pa.int8())]), pa.struct([("b", pa.int8())])),
    (pa.struct([("a", pa.int8())]), pa.map_(pa.string(), pa.int8())),
]


@pytest.mark.parametrize(("one", "other", "expected"), SAME)
def test_types_that_differ_harmlessly_have_one(one: pa.DataType, other: pa.DataType, expected: pa.DataType) -> None:
    one, other, expected = map(usual, (one, other, expected))
    for found in (common(one, other), common(other, one)):
        assert found is not None
        assert found == expected or pa.types.is_struct(expected)
        for kind in (one, other):
            pa.nulls(1, kind).cast(found)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_types_that_would_change_values_have_none(one: pa.DataType, other: pa.DataType) -> None:
    assert common(usual(one), usual(other)) is None
    assert common(usual(other), usual(one)) is None


VALUES: dict[pa.DataType, Any] = {
    pa.int8(): [-128, 127],
    pa.uint8(): [0, 255],
    pa.int32(): [-(2**31), 2**31 - 1],
    pa.uint32(): [2**32 - 1],
    pa.int64(): [2**63 - 1],
    pa.string(): ["a", ""],
    pa.large_string(): ["b"],
    pa.dictionary(pa.int32(), pa.string()): ["c"],
    pa.timestamp("s"): [datetime(2026, 1, 1)],
    pa.timestamp("us"): [datetime(2026, 1, 1, microsecond=1)],
    pa.decimal128(5, 2): [Decimal("1.50")],
    pa.decimal128(9, 2): [Decimal("1234567.25")],
    pa.null(): [None],
}


@given(pair=st.tuples(*[st.sampled_from(list(VALUES))] * 2), nested=st.sampled_from(["no", "list", "struct"]))
def test_every_value_stays_what_it_is(pair: tuple[pa.DataType, pa.DataType], nested: str) -> None:
    def wrap(kind: pa.DataType) -> pa.DataType:
        return {"no": kind, "list": pa.list_(pa.field("element", kind)), "struct": pa.struct([("m", kind)])}[nested]

    found = common(wrap(pair[0]), wrap(pair[1]))
    if found is None:
        return
    for kind in pair:
        values = [{"no": one, "list": [one, None], "struct": {"m": one}}[nested] for one in VALUES[kind]]
        assert pa.array([*values, None], wrap(kind)).cast(found).to_pylist() == [*values, None]


def test_what_a_file_says_of_its_own_cells_is_not_the_table_s() -> None:
    required = pa.field("m", pa.string_view(), nullable=False)
    assert usual(pa.struct([required])) == pa.struct([("m", pa.string())])
    assert usual(pa.list_(required)) == pa.list_(pa.field("element", pa.string()))
    assert usual(pa.map_(pa.string_view(), pa.field("value", pa.int8(), nullable=False))) == pa.map_(
        pa.string(), pa.int8()
    )

"""Any table, in any format and packing, cut into any shards: the same rows, in order, with the same values."""

import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.errors import EmptyInput
from tests.functional.tables import QUOTAS, csv_bytes, describe, gz, jsonl_bytes, parquet_bytes, put, read_all, zst

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\\ufeff'), min_size=1, max_size=4),
    min_size=2,
    max_size=4,
    unique=True,
)
PACKINGS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gz, ".zst": zst}

fast = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def tables(draw: st.DrawFn, cell: st.SearchStrategy[Any]) -> tuple[list[str], list[list[Any]]]:
    names = draw(NAMES)
    return names, draw(st.lists(st.lists(cell, min_size=len(names), max_size=len(names)), min_size=1, max_size=12))


def cells() -> st.SearchStrategy[Any]:
    """Cells of JSON: a column may have values of any kinds, and often has only one kind."""
    integer = st.integers(-(2**70), 2**70) | st.integers(-9, 9)
    number = st.floats(allow_nan=False, allow_infinity=False)
    return st.none() | TEXT | integer | number | st.booleans() | st.lists(integer | TEXT, max_size=2)


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
@given(table=tables(TEXT), most=st.integers(1, 9))
@fast
def test_text_tables(aws: None, suffix: str, packing: str, table: tuple[list[str], list[list[str]]], most: int) -> None:
    names, rows = table
    s3 = S3(clients.s3())
    body = csv_bytes([names, *rows], delimiter="\t" if suffix == "tsv" else ",")
    found = describe(s3, put(f"t.{suffix}{packing}", PACKINGS[packing](body)))
    assert found.schema.names == names
    assert [
        list(row.values()) for row in read_all(s3, found, quotas=QUOTAS | {"min_records": 1, "max_records": most})
    ] == rows


@pytest.mark.parametrize("packing", PACKINGS)
@given(table=tables(cells()), most=st.integers(1, 9), kept=st.randoms(use_true_random=False))
@fast
def test_json_tables(aws: None, packing: str, table: tuple[list[str], list[list[Any]]], most: int, kept: Any) -> None:
    names, cells = table
    # A null is written, or its key left out.
    rows = [
        {name: cell for name, cell in zip(names, row, strict=True) if cell is not None or kept.random() < 0.5}
        for row in cells
    ]
    s3 = S3(clients.s3())
    if not any(rows):
        with pytest.raises(EmptyInput, match="has rows, but no column"):
            describe(s3, put(f"t.jsonl{packing}", PACKINGS[packing](jsonl_bytes(rows))))
        return
    found = describe(s3, put(f"t.jsonl{packing}", PACKINGS[packing](jsonl_bytes(rows, ascii_only=kept.random() < 0.5))))
    read = read_all(s3, found, quotas=QUOTAS | {"min_records": 1, "max_records": most})
    assert len(read) == len(rows)
    as_json = found.table.jsonl["as_json"]
    for before, after in zip(rows, read, strict=True):
        for name, value in after.items():
            assert same(before.get(name), value, as_json=name in as_json)
        assert before.keys() <= after.keys()


def same(written: Any, read: Any, *, as_json: bool) -> bool:
    """Return whether nothing was lost: JSON text is parsed again, and numbers are compared by value and not by type."""
    if as_json and read is not None:
        read = json.loads(read)
    numbers = (int, float)
    if isinstance(written, numbers) and not isinstance(written, bool):
        return isinstance(read, numbers) and not isinstance(read, bool) and read == written
    return type(read) is type(written) and read == written


@given(table=tables(st.none() | TEXT), most=st.integers(1, 9), group=st.integers(1, 5))
@fast
def test_parquet_tables(aws: None, table: tuple[list[str], list[list[Any]]], most: int, group: int) -> None:
    names, cells = table
    rows = [dict(zip(names, row, strict=True)) for row in cells]
    written = pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in names]))
    s3 = S3(clients.s3())
    found = describe(s3, put("t.parquet", parquet_bytes(written, row_group_size=group)))
    assert read_all(s3, found, quotas=QUOTAS | {"min_records": 1, "max_records": most}) == rows

"""Files of one table with different columns, compared with plain Python's reading of their rows."""

import io
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from bedrock_batch.aws.s3 import S3
from bedrock_batch.errors import SchemaMismatch
from bedrock_batch.table import input_files, read
from tests.conftest import BUCKET
from tests.functional.tables import read_all
from tests.functional.whole import MemoryS3

DAY = datetime(2026, 11, 1, tzinfo=UTC)
KINDS: dict[str, list[tuple[pa.DataType, list[Any]]]] = {
    # Types of which any two make one, each with values that it holds.
    "number": [
        (pa.int8(), [-128, 127]),
        (pa.uint8(), [0, 255]),
        (pa.int32(), [-(2**31)]),
        (pa.uint32(), [2**32 - 1]),
        (pa.int64(), [2**63 - 1]),
    ],
    "text": [
        (pa.string(), ["a", ""]),
        (pa.large_string(), ["b"]),
        (pa.string_view(), ["a longer text than a view holds"]),
        (pa.dictionary(pa.int32(), pa.string()), ["c", "d"]),
    ],
    "time": [(pa.timestamp(unit, zone), [DAY]) for unit in ("ms", "us") for zone in ("UTC", "+00:00", "Etc/UTC")],
    "list": [(pa.list_(pa.int8()), [[1, None], []]), (pa.large_list(pa.int64()), [[2**40]])],
    "struct": [
        (pa.struct([("x", pa.int8()), ("y", pa.string())]), [{"x": 1, "y": None}]),
        (pa.struct([("y", pa.large_string()), ("x", pa.int16())]), [{"x": 300, "y": "z"}]),
        (pa.struct([pa.field("x", pa.int8(), nullable=False), pa.field("y", pa.string())]), [{"x": 2, "y": "w"}]),
    ],
}


@st.composite
def parts(draw: st.DrawFn) -> list[pa.Table]:
    """Draw some files: the same columns in any order, each of a type of its own; some have no rows or no values."""
    names = draw(st.lists(st.sampled_from(list(KINDS)), min_size=1, unique=True))
    tables = []
    for _ in range(draw(st.integers(1, 4))):
        rows = draw(st.integers(0, 4))
        columns = {}
        for name in draw(st.permutations(names)):
            kind, values = draw(st.sampled_from(KINDS[name]))
            if draw(st.integers(0, 5)) == 0:
                kind, values = pa.null(), [None]
            columns[name] = pa.array(
                draw(st.lists(st.none() | st.sampled_from(values), min_size=rows, max_size=rows)), kind
            )
        tables.append(pa.table(columns))
    return tables


def stored(tables: list[pa.Table]) -> S3:
    s3 = S3(MemoryS3())
    for number, table in enumerate(tables):
        out = io.BytesIO()
        pq.write_table(table, out)
        s3.put(BUCKET, f"in/{number}.parquet", out.getvalue())
    return s3


@settings(max_examples=150)
@given(tables=parts())
def test_files_that_differ_harmlessly_are_one_table(tables: list[pa.Table]) -> None:
    expected = [row for table in tables for row in table.to_pylist()]
    if not expected:
        return
    s3 = stored(tables)
    found = read.describe(read.Files(s3, input_files.find(s3, f"s3://{BUCKET}/in/")), options={})
    assert read_all(s3, found, max_records=3) == expected
    assert found.schema.names == next(table for table in tables if table.num_rows).column_names


@given(pair=st.permutations(list(KINDS)))
def test_kinds_that_have_nothing_in_common_are_refused(pair: list[str]) -> None:
    one, other = (KINDS[name][0] for name in pair[:2])
    s3 = stored([pa.table({"c": pa.array(values, kind)}) for kind, values in (one, other)])
    files = read.Files(s3, input_files.find(s3, f"s3://{BUCKET}/in/"))
    try:
        read.describe(files, options={})
    except SchemaMismatch as err:
        assert "1.parquet" in str(err) and "0.parquet" in str(err) and '"c"' in str(err)
    else:
        raise AssertionError(f"{pair[:2]} became one column")

"""The frame: the join reads the written rows, and a cell that cannot be written is an error before the first job."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal
from time import process_time
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import Piece
from bedrock_batch.contracts.run import Source
from bedrock_batch.errors import MalformedInput
from bedrock_batch.table import batch_bytes, frame, parquet_format, schemas
from bedrock_batch.table.parquet_format import ParquetReader
from bedrock_batch.table.schemas import Selection
from tests.conftest import BUCKET
from tests.functional.whole import MemoryS3
from tests.unit.factories import make_run, make_shard

COLUMNS = {
    "text": pa.array(["a", None, "é😀\n"]),
    "large text": pa.array(["a", None, ""], pa.large_string()),
    "categories": pa.array(["a", None, "a"]).dictionary_encode(),
    "small categories": pa.array(["a", None, "a"]).dictionary_encode().cast(pa.dictionary(pa.int8(), pa.string())),
    "timestamp of seconds": pa.array([datetime(2026, 11, 22), None, datetime(1969, 1, 1)], pa.timestamp("s")),
    "timestamp of a zone": pa.array([1, None, 2], pa.timestamp("us", "Europe/Paris")),
    "date64": pa.array([date(2026, 1, 1), None, date(1969, 1, 1)], pa.date64()),
    "time of seconds": pa.array([time(1, 2, 3), None, time(0)], pa.time32("s")),
    "duration": pa.array([1, None, 2], pa.duration("s")),
    "half": pa.array([0.5, None, 2], pa.float16()),
    "uint64": pa.array([2**64 - 1, None, 0], pa.uint64()),
    "decimal": pa.array([Decimal("1.50"), None, Decimal(0)], pa.decimal256(60, 2)),
    "bytes": pa.array([b"\xff", None, b""]),
    "null": pa.nulls(3),
    "list": pa.array([[1, None], None, []], pa.list_(pa.field("item", pa.int32()))),
    "large list": pa.array([["a"], None, []], pa.large_list(pa.string())),
    "struct": pa.array([{"a": 1, "b": ["x"]}, None, {"a": None, "b": None}]),
    "map": pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())),
    "vector": pa.array([[0.1, -2], None, [3, 4]], pa.list_(pa.float32(), 2)),
    "uuid": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(16), None, bytes(16)], pa.binary(16))),
}


def stored(s3: S3, batch: pa.RecordBatch, form: str, **output: Any) -> pa.Table:
    """Write a frame of the batch and read it back."""
    run = make_run(
        bucket=BUCKET,
        table=replace(make_run().table, schema=schemas.packed(batch.schema)),
        output={"format": form, "prefix": "", **output},
    )
    kept = frame.schema_of(run)
    with s3.writer(BUCKET, run.frame_key(0)) as out:
        frame.write_frame([batch, batch], kept, out, form=form, first_row=0)
    batches = frame.read_frame(s3, run, make_shard(0, rows=2 * batch.num_rows))
    return pa.Table.from_batches(list(batches), kept)


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("name", COLUMNS)
def test_every_type_comes_back_as_it_was(name: str, form: str) -> None:
    batch = pa.record_batch({name: COLUMNS[name]})
    frame.check(batch.schema, form)
    found = stored(S3(MemoryS3()), batch, form)
    assert found.schema.equals(batch.schema, check_metadata=True)
    assert found.to_pylist() == 2 * batch.to_pylist()


def test_only_kept_columns_are_stored() -> None:
    batch = pa.record_batch(COLUMNS)
    found = stored(S3(MemoryS3()), batch, "parquet", columns=["map", "text"])
    assert found.to_pylist() == 2 * batch.select(["text", "map"]).to_pylist(), "in the order of the table"


def bad_text(*texts: bytes) -> pa.StringArray:
    """Return text that is not UTF-8, as Parquet files may hold it."""
    raw = pa.array(texts, pa.binary())
    return pa.StringArray.from_buffers(len(texts), raw.buffers()[1], raw.buffers()[2], raw.buffers()[0])


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize(
    "make",
    [
        lambda bad: bad,
        lambda bad: pa.ListArray.from_arrays(pa.array(range(len(bad) + 1), pa.int32()), bad),
        lambda bad: pa.StructArray.from_arrays([bad], ["t"]),
        lambda bad: pa.MapArray.from_arrays(pa.array(range(len(bad) + 1), pa.int32()), ["k"] * len(bad), bad),
        lambda bad: pa.DictionaryArray.from_arrays(pa.array(range(len(bad))), bad),
    ],
    ids=["text", "list", "struct", "map", "categories"],
)
def test_a_cell_that_the_output_cannot_hold_is_named(make: Callable[[pa.Array], pa.Array], form: str) -> None:
    batches = [
        pa.record_batch({"good": ["x"] * 3, "bad": make(bad_text(b"a", b"", b"b"))}),
        pa.record_batch({"good": ["x"] * 3, "bad": make(bad_text(b"a", b"secret\xff", b"\xfe"))}),
    ]
    with pytest.raises(MalformedInput) as caught:
        frame.write_frame(batches, batches[0].schema, io.BytesIO(), form=form, first_row=100)
    told = str(caught.value)
    assert told.startswith(f'Row 105 of the table, column "bad", cannot be written as {form} (rows count from 1')
    assert "secret" not in told and "output.columns" in told
    frame.write_frame(batches, batches[0].schema, io.BytesIO(), form="parquet", first_row=100)


def test_a_cell_that_parquet_cannot_hold_is_named_though_it_is_written_with_others() -> None:
    schema = pa.schema([pa.field("good", pa.int64()), pa.field("bad", pa.int64(), nullable=False)])
    batches = [
        pa.RecordBatch.from_arrays([pa.array([1, 2]), pa.array([1, last])], schema=schema) for last in (2, None, 4)
    ]
    with pytest.raises(MalformedInput, match='Row 4 of the table, column "bad", cannot be written as parquet'):
        frame.write_frame(batches, schema, io.BytesIO(), form="parquet", first_row=0)


def test_an_error_of_the_rows_stays_what_it_is() -> None:
    def rows() -> Any:
        yield pa.record_batch({"a": [1]})
        raise ValueError("not of the writer")

    with pytest.raises(ValueError, match="not of the writer"):
        frame.write_frame(rows(), pa.schema([("a", pa.int64())]), io.BytesIO(), form="csv", first_row=0)


CELLS = st.none() | st.sampled_from(["", "a", "b" * 40, "c" * 400])


@settings(max_examples=60)
@given(
    texts=st.lists(CELLS, min_size=1, max_size=60),
    group_rows=st.integers(1, 30),
    dictionary=st.booleans(),
    nested=st.sampled_from(["text", "struct", "list"]),
    data=st.data(),
)
def test_any_range_of_a_file_is_read_in_bounded_batches(
    texts: list[str | None], group_rows: int, dictionary: bool, nested: str, data: st.DataObject
) -> None:
    column = pa.array(texts, pa.string())
    if nested == "struct":
        column = pa.StructArray.from_arrays([column], ["t"])
    elif nested == "list":
        column = pa.array([[text, "x"] if text else None for text in texts], pa.list_(pa.string()))
    table = pa.table({"n": list(range(len(texts))), "a.b": column})
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=group_rows, use_dictionary=dictionary)
    body = out.getvalue()
    low = data.draw(st.integers(0, len(texts) - 1))
    high = data.draw(st.integers(low + 1, len(texts)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch_bytes, "MOST_BYTES", 500)
        patch.setattr(parquet_format, "_STEP_ROWS", 4)
        reader = ParquetReader(lambda _: lambda start, end: body[start:end])
        source = Source("b", "k", "e", len(body), len(texts))
        selection = Selection(table.schema, table.schema)
        batches = list(reader.read(source, Piece(0, low, high, high - low), selection, row=1))
    assert pa.Table.from_batches(batches).to_pylist() == table.slice(low, high - low).to_pylist()
    for batch in batches:
        # A batch may exceed the limit by one step, which has at most 500 bytes or is one row.
        assert batch_bytes.of_rows(batch).sum() <= 2 * 500 + 4 * (2 * 400 + 60)


def wide(rows: int, cells: Callable[[int], pa.Array], **options: Any) -> tuple[Source, bytes, Selection]:
    """Return a file of 40 columns in one row group."""
    table = pa.table({f"c{number}": cells(number) for number in range(40)})
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=rows, **options)
    source = Source("b", "k", "e", len(out.getvalue()), rows)
    return source, out.getvalue(), Selection(table.schema, table.schema)


def test_the_buffers_of_many_columns_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_format, "_BUFFER_BYTES", 4 << 20)
    rows = 130_000
    plain = {"use_dictionary": False, "compression": "none", "data_page_size": 64 << 10}
    source, body, selection = wide(rows, lambda number: pa.array(range(number, number + rows)), **plain)
    before, most = pa.total_allocated_bytes(), 0
    for _ in ParquetReader(lambda _: lambda start, end: body[start:end]).read(
        source, Piece(0, 0, 5_000, 5_000), selection, row=1
    ):
        most = max(most, pa.total_allocated_bytes() - before)
    assert len(body) > 20 << 20
    assert most < 20 << 20


def test_the_dictionaries_of_many_columns_are_looked_at_together(monkeypatch: pytest.MonkeyPatch) -> None:
    source, body, selection = wide(100, lambda number: pa.array([f"{number} x", None] * 50))
    opened = 0

    def open_(*arguments: Any, **options: Any) -> pq.ParquetFile:
        nonlocal opened
        opened += 1
        return real(*arguments, **options)

    real = pq.ParquetFile
    monkeypatch.setattr(pq, "ParquetFile", open_)
    reader = ParquetReader(lambda _: lambda start, end: body[start:end])
    batches = list(reader.read(source, Piece(0, 0, 100, 100), selection, row=1))
    assert sum(batch.num_rows for batch in batches) == 100
    assert opened <= 3


def test_the_rows_that_may_still_be_refused_are_not_counted_anew_for_each_batch() -> None:
    """Tiny row groups and files of a few rows make thousands of batches."""
    batch = pa.record_batch({f"c{number}": ["x"] for number in range(10)})
    began = process_time()
    frame.write_frame([batch] * 3_000, batch.schema, io.BytesIO(), form="parquet", first_row=0)
    assert process_time() - began < 10, "once it took a minute"

"""The output's formats: CSV and JSON lines have the same values as Parquet."""

import base64
import csv
import io
import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from bedrock_batch.errors import InvalidRunInput, MissingColumn
from bedrock_batch.record_ids import record_id
from bedrock_batch.table import frame, write, write_parquet, write_text
from bedrock_batch.table.schemas import kept as kept_columns
from tests.functional.join.test_join_shard import Bench, answers
from tests.unit.factories import keys_of
from tests.unit.output_lines import TITAN, line

COLUMNS: dict[str, tuple[pa.Array, list[Any]]] = {
    # Column, and what JSON holds of it.
    "text, quoted": (pa.array(['say "hi",\r\n\u2028', None, ""]), ['say "hi",\r\n\u2028', None, ""]),
    "int64": (pa.array([2**62, None, -1]), [2**62, None, -1]),
    "uint64": (pa.array([2**64 - 1, None, 0], pa.uint64()), [2**64 - 1, None, 0]),
    "double": (pa.array([0.1, None, float("nan")]), [0.1, None, None]),
    "float": (pa.array([0.1, None, 1e20], pa.float32()), [0.1, None, 1e20]),
    "bool": (pa.array([True, None, False]), [True, None, False]),
    "decimal": (pa.array([Decimal("1.50"), None, Decimal("-2.00")]), ["1.50", None, "-2.00"]),
    "date": (pa.array([date(2026, 11, 22), None, date(1969, 1, 1)]), ["2026-11-22", None, "1969-01-01"]),
    "timestamp": (pa.array([1, None, 10**18], pa.timestamp("ns")), [
        "1970-01-01 00:00:00.000000001", None, "2001-09-09 01:46:40.000000000"]),
    "duration": (pa.array([1, None, 2], pa.duration("ms")), [1, None, 2]),
    "binary": (pa.array([b"\xff", None, b""]), ["/w==", None, ""]),
    "dictionary": (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
    "list": (pa.array([[1, None], None, []]), [[1, None], None, []]),
    "list of binary": (pa.array([[b"\xff"], None, []]), [["/w=="], None, []]),
    "struct %s": (
        pa.array([{"a b": 1, "when": datetime(2026, 1, 1)}, None, {"a b": None, "when": None}]),
        [{"a b": 1, "when": "2026-01-01 00:00:00.000000"}, None, {"a b": None, "when": None}],
    ),
    "map": (
        pa.array([[("k", 1), ("k", 2)], None, []], pa.map_(pa.string(), pa.int64())),
        [[["k", 1], ["k", 2]], None, []],
    ),
    "vector": (pa.array([[0.1, -2], None, [3, 4]], pa.list_(pa.float32(), 2)), [[0.1, -2.0], None, [3.0, 4.0]]),
}  # fmt: skip
BATCH = pa.record_batch({name: column for name, (column, _) in COLUMNS.items()})
EXPECTED = [
    dict(zip(COLUMNS, row, strict=True)) for row in zip(*(values for _, values in COLUMNS.values()), strict=True)
]


def written(form: str, batches: list[pa.RecordBatch], schema: pa.Schema = BATCH.schema) -> bytes:
    out = io.BytesIO()
    write.write(batches, schema, out, form=form, unique=["vector"])
    return out.getvalue()


def test_every_type_has_its_form_in_json_lines() -> None:
    frame.check(BATCH.schema, "jsonl")
    lines = written("jsonl", [BATCH, BATCH.slice(1)]).decode().split("\n")
    found = [json.loads(one) for one in lines[:-1]]
    assert found == EXPECTED + EXPECTED[1:]
    assert [list(row) for row in found] == [list(COLUMNS)] * 5


def test_every_type_has_its_form_in_csv() -> None:
    frame.check(BATCH.schema, "csv")
    data = written("csv", [BATCH, BATCH.slice(1)]).decode()
    header, *rows = csv.reader(io.StringIO(data, newline=""))
    assert header == list(COLUMNS)
    for row, expected in zip(rows, EXPECTED + EXPECTED[1:], strict=True):
        cells = dict(zip(header, row, strict=True))
        for name, value in expected.items():
            nested = pa.types.is_nested(BATCH.schema.field(name).type)
            if name == "double" and value is None:
                assert cells[name] in ("", "nan")
            elif isinstance(value, str) or value is None:
                assert cells[name] == (value or "")
            else:
                assert json.loads(cells[name]) == value, name
                assert not nested or cells[name].startswith(("[", "{"))


def test_csv_keeps_null_and_empty_text_apart() -> None:
    data = written("csv", [BATCH.select(["text, quoted", "int64"])], BATCH.select(["text, quoted", "int64"]).schema)
    assert data.split(b"\n")[-3:] == [b",", b'"",-1', b""]
    options = pa.csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""])
    parse = pa.csv.ParseOptions(newlines_in_values=True)
    read = pa.csv.read_csv(io.BytesIO(data), parse_options=parse, convert_options=options)
    assert read.to_pylist() == BATCH.select(["text, quoted", "int64"]).to_pylist()


def test_row_groups_stream_and_encodings_fit_the_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = pa.schema([("label", pa.string()), ("a.b", pa.struct([("c", pa.string())])), ("answer", pa.string())])
    columns = [pa.array(["x", "y"] * 50), pa.array([{"c": "z"}] * 100), pa.array([f"text {i}" for i in range(100)])]
    batch = pa.record_batch(columns, schema=schema)
    monkeypatch.setattr(write_parquet, "ROW_GROUP_BYTES", batch.nbytes + 1)
    out = io.BytesIO()
    write_parquet.write([batch] * 5, schema, out, unique=["answer"])
    file = pq.ParquetFile(out)
    assert file.read().equals(pa.Table.from_batches([batch] * 5))
    assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [200, 200, 100]
    label, nested, answer = (file.metadata.row_group(0).column(index) for index in range(3))
    assert "RLE_DICTIONARY" in label.encodings and "RLE_DICTIONARY" not in answer.encodings
    assert {label.compression, nested.compression, answer.compression} == {"ZSTD"}
    assert label.statistics.has_min_max and answer.statistics is None


def test_a_table_without_rows_is_still_a_file() -> None:
    assert written("jsonl", []) == b""
    assert next(csv.reader(io.StringIO(written("csv", []).decode()))) == list(COLUMNS)
    assert written("csv", []).count(b"\n") == 1
    assert pq.read_table(io.BytesIO(written("parquet", []))).equals(BATCH.schema.empty_table())


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a", "b", None]).dictionary_encode(),
        pa.nulls(3),
        pa.array(["a", "b", None], pa.string_view()),
        pa.array([b"a", b"b", None], pa.binary_view()),
        pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(16), bytes(16), None], pa.binary(16))),
    ],
    ids=lambda column: str(column.type),
)
def test_parquet_takes_columns_whose_values_arrow_cannot_count(column: pa.Array) -> None:
    batch = pa.record_batch({"odd": column, "vector": ["x", "y", "z"]})
    assert pa.parquet.read_table(io.BytesIO(written("parquet", [batch], batch.schema))).to_batches() == [batch]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize(
    "kind",
    [
        pa.struct([("x", pa.int64()), ("x", pa.int64())]),
        pa.timestamp("us", tz="No/Where"),
        pa.list_(pa.timestamp("us", tz="No/Where")),
    ],
)
def test_a_type_without_a_form_is_refused_by_name(form: str, kind: pa.DataType) -> None:
    schema = pa.schema([("ok", pa.int64()), ("odd", kind)])
    with pytest.raises(InvalidRunInput, match=f'{form} cannot hold the column "odd" .* Set it to parquet'):
        frame.check(schema, form)
    frame.check(schema, "parquet")


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize(
    "kind", [pa.month_day_nano_interval(), pa.struct([]), pa.dense_union([pa.field("x", pa.int8())])]
)
def test_a_type_that_parquet_does_not_have_cannot_be_kept(form: str, kind: pa.DataType) -> None:
    with pytest.raises(InvalidRunInput, match='The output cannot keep the column "odd" of type'):
        frame.check(pa.schema([("ok", pa.int64()), ("odd", kind)]), form)


def test_large_batches_are_written_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_text, "_SLICE_BYTES", 10)
    assert [json.loads(one) for one in written("jsonl", [BATCH]).splitlines()] == EXPECTED


def test_a_shard_joins_to_each_format(aws: None) -> None:
    parts: dict[str, list[dict[str, Any]]] = {}
    for form in ("parquet", "jsonl", "csv"):
        bench = Bench(output={"format": form, "prefix": "", "columns": ["Unnamed: 0", "id"]})
        bench.raw("j0", "a.jsonl.out", answers(bench, 0, range(5, 60)))
        joined = bench.join(0, jobs=["j0"])
        assert joined.output_key == f"reviews/output/monday/part-00000.{form}"
        data = bench.part(joined)
        if form == "parquet":
            parts[form] = bench.table(joined).to_pylist()
        elif form == "jsonl":
            parts[form] = [json.loads(one) for one in data.decode().split("\n")[:-1]]
        else:
            parts[form] = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    assert parts["jsonl"] == parts["parquet"]
    assert list(parts["jsonl"][0])[:3] == ["id", "Unnamed: 0", "outcome"]
    for found, expected in zip(parts["csv"], parts["parquet"], strict=True):
        assert found["Unnamed: 0"] == (
            "" if expected["Unnamed: 0"] is None else json.dumps(expected["Unnamed: 0"]).replace(" ", "")
        )
        for name in ("id", "outcome", "response", "input_tokens", "error"):
            assert found[name] == ("" if expected[name] is None else str(expected[name]))


def test_vectors_come_out_of_text_bit_for_bit(aws: None) -> None:
    vector = np.array([0.1, -1e-8, 3.4e38, 16777217], np.float32)
    for form in ("jsonl", "csv"):
        bench = Bench(kind="embedding", dimensions=4, output={"format": form, "prefix": ""})
        bench.put(keys_of().run(), json.dumps(bench.run.to_json() | {"response": TITAN}).encode())
        bench.raw("j0", "a.jsonl.out", [line(record_id(0, 3), {"embedding": vector.tolist()})])
        data = bench.part(bench.join(0, jobs=["j0"])).decode()
        if form == "jsonl":
            cells = [json.loads(one)["embedding"] for one in data.splitlines()]
        else:
            cells = [json.loads(row["embedding"] or "null") for row in csv.DictReader(io.StringIO(data, newline=""))]
        assert cells[:3] == [None] * 3
        assert np.array(cells[3], np.float32).tobytes() == vector.tobytes()


def test_kept_columns_stay_in_the_table_s_order() -> None:
    table = pa.schema([("id", pa.int64()), ("Review", pa.string()), ("label", pa.string())], metadata={"k": "v"})
    assert kept_columns(table, None) == table
    kept = kept_columns(table, ["label", "id"])
    assert (kept.names, kept.metadata) == (["id", "label"], {b"k": b"v"})
    with pytest.raises(MissingColumn, match=r"'review', but the table has no such column. Did you mean Review\?"):
        kept_columns(table, ["id", "review"])


def test_base64_is_the_standard_one() -> None:
    (row,) = written(
        "jsonl", [pa.record_batch({"b": [bytes(range(256))]})], pa.schema([("b", pa.binary())])
    ).splitlines()
    assert base64.b64decode(json.loads(row)["b"]) == bytes(range(256))

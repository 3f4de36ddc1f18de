"""The statement that makes an output a table of Athena: read by a SQL parser, and held against the files by DuckDB."""

import datetime
import decimal
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from bedrock_batch.contracts.run import OutputColumn, Run
from bedrock_batch.join.output_columns import output_schema
from bedrock_batch.page import table_sql
from bedrock_batch.run_input import validate
from bedrock_batch.table import athena_types, write
from tests.unit.factories import make_run

LITE, MICRO = "amazon.nova-lite-v1:0", "amazon.nova-micro-v1:0"


def planned(
    schema: pa.Schema, form: str = "parquet", prefix: str = "bedrock_", *, dry_run: bool = False, **changes: Any
) -> Run:
    output = {"format": form, "prefix": prefix}
    run = make_run(output=output, output_columns=athena_types.columns(schema, form), **changes)
    return replace(run, input=run.input | {"dry_run": dry_run})


def parsed(statement: str) -> exp.Create:
    """Return the only statement, as Athena reads it; Hive reads it too."""
    for dialect in ("hive", "athena"):
        (found,) = [one for one in sqlglot.parse(statement, dialect=dialect) if one is not None]
        assert isinstance(found, exp.Create), found
    return found


def columns_of(create: exp.Create) -> dict[str, str]:
    return {one.name: one.kind.sql("hive").lower() for one in create.this.expressions if isinstance(one, exp.ColumnDef)}


def properties_of(create: exp.Create) -> dict[str, str]:
    return {one.name: one.args["value"].name for one in create.find_all(exp.Property) if type(one) is exp.Property}


OF_ANSWERS = output_schema(pa.schema([("id", pa.int64())]), {"prefix": "bedrock_"}, kind="text")


def test_the_statement_is_for_reading() -> None:
    schema = pa.schema([("id", pa.int64()), ("Group", pa.string())])
    written = table_sql.statement([planned(output_schema(schema, {"prefix": "x_"}, kind="embedding", dimensions=4))])
    assert written == (
        "-- The output of the run monday as a table of Amazon Athena.\n\n"
        "CREATE EXTERNAL TABLE `monday` (\n"
        "  `id` bigint,\n"
        "  `group` string,\n"
        "  `x_outcome` string,\n"
        "  `x_embedding` array<float>,\n"
        "  `x_input_tokens` bigint,\n"
        "  `x_error_code` string,\n"
        "  `x_error` string\n"
        ")\n"
        "STORED AS PARQUET\n"
        "LOCATION 's3://runs-bucket/reviews/output/monday/';\n"
    )


def test_a_parser_reads_every_part_of_it() -> None:
    create = parsed(table_sql.statement([planned(OF_ANSWERS)]))
    assert create.this.this.name == "monday"
    assert list(columns_of(create)) == OF_ANSWERS.names
    location = create.find(exp.LocationProperty)
    assert location is not None and location.name == "s3://runs-bucket/reviews/output/monday/"
    form = create.find(exp.FileFormatProperty)
    assert form is not None and form.name == "PARQUET"


# --- Types ---

EVERY: dict[str, tuple[pa.DataType, Any, str]] = {
    "bool": (pa.bool_(), True, "boolean"),
    "i8": (pa.int8(), -8, "tinyint"),
    "i16": (pa.int16(), -16, "smallint"),
    "i32": (pa.int32(), -32, "int"),
    "i64": (pa.int64(), -64, "bigint"),
    "u8": (pa.uint8(), 255, "smallint"),
    "u16": (pa.uint16(), 65_535, "int"),
    "u32": (pa.uint32(), 7, "bigint"),
    "u64": (pa.uint64(), 7, "bigint"),
    "f32": (pa.float32(), 0.5, "float"),
    "f64": (pa.float64(), 0.25, "double"),
    "text": (pa.string(), "é", "string"),
    "large_text": (pa.large_string(), "x", "string"),
    "bytes": (pa.binary(), b"\x00\xff", "binary"),
    "large_bytes": (pa.large_binary(), b"b", "binary"),
    "fixed_bytes": (pa.binary(3), b"abc", "binary"),
    "date32": (pa.date32(), datetime.date(2026, 11, 29), "date"),
    "date64": (pa.date64(), datetime.date(2026, 11, 29), "date"),
    "seconds": (pa.timestamp("s"), datetime.datetime(2026, 11, 29, 7), "timestamp"),
    "nanos": (pa.timestamp("ns"), datetime.datetime(2026, 11, 29, 7), "timestamp"),
    "micros": (pa.timestamp("us"), datetime.datetime(2026, 11, 29, 7, 0, 0, 5), "timestamp"),
    "time64": (pa.time64("us"), datetime.time(7, 8, 9), "bigint"),
    "duration": (pa.duration("ms"), datetime.timedelta(seconds=3), "bigint"),
    "decimal": (pa.decimal128(10, 2), decimal.Decimal("1.50"), "decimal(10,2)"),
    "wide_decimal": (pa.decimal128(38, 3), decimal.Decimal("12345678901234567890.125"), "decimal(38,3)"),
    "dictionary": (pa.dictionary(pa.int8(), pa.string()), "a", "string"),
    "list": (pa.list_(pa.int32()), [1, 2], "array<int>"),
    "large_list": (pa.large_list(pa.string()), ["a"], "array<string>"),
    "vector": (pa.list_(pa.float32(), 3), [1.0, 2.0, 3.0], "array<float>"),
    "struct": (
        pa.struct([("a", pa.int8()), ("b_2", pa.list_(pa.string()))]),
        {"a": 1, "b_2": ["x"]},
        "struct<a:tinyint,b_2:array<string>>",
    ),
    "map": (pa.map_(pa.string(), pa.int64()), [("k", 1)], "map<string,bigint>"),
    "nested": (
        pa.list_(pa.struct([("m", pa.map_(pa.string(), pa.float64()))])),
        [{"m": [("k", 0.5)]}],
        "array<struct<m:map<string,double>>>",
    ),
}  # fmt: skip
UNREADABLE = {
    "nothing": pa.null(),
    "half": pa.float16(),
    "millis": pa.time32("ms"),
    "huge": pa.decimal256(50, 2),
    "odd": pa.struct([("a b", pa.int8())]),
    "twice": pa.struct([("a", pa.int8()), ("A", pa.int8())]),
}


def every_schema() -> pa.Schema:
    return pa.schema([(name, kind) for name, (kind, _, _) in EVERY.items()])


def table_of(schema: pa.Schema) -> pa.Table:
    rows = [{name: value for name, (_, value, _) in EVERY.items()}, dict.fromkeys(EVERY)]
    return pa.Table.from_pylist(rows, schema)


def write_part(folder: Path, table: pa.Table, form: str) -> Path:
    out = io.BytesIO()
    write.write(table.to_batches(), table.schema, out, form=form)
    part = folder / f"part-00000.{form}"
    part.write_bytes(out.getvalue())
    return part


@pytest.mark.parametrize("name", EVERY)
def test_a_type_of_parquet_is_said_in_the_words_of_hive(name: str) -> None:
    kind, _, expected = EVERY[name]
    (column,) = athena_types.columns(pa.schema([(name, kind)]), "parquet")
    assert column.type == expected


def test_duckdb_reads_the_same_types_and_rows_from_parquet(tmp_path: Path) -> None:
    """What the statement says of each column is what another reader finds, so nothing is lost by reading it so."""
    schema = every_schema()
    table = table_of(schema)
    part = write_part(tmp_path, table, "parquet")
    create = parsed(table_sql.statement([planned(schema)]))
    assert list(columns_of(create)) == list(EVERY)
    with duckdb.connect() as connection:
        found = connection.execute(f"DESCRIBE SELECT * FROM '{part}'").fetchall()
        types = {name: kind for name, kind, *_ in found}
        for name, expected in columns_of(create).items():
            wanted = duckdb_type(expected)
            assert types[name] == wanted or (types[name], wanted) in WIDER, f"{name}: {types[name]}, not {wanted}"
            whole = (types[name], wanted) == ("TIME", "BIGINT")
            read = f'epoch_us("{name}")' if whole else f'CAST("{name}" AS {wanted})'
            rows = connection.execute(f"SELECT {read} FROM '{part}'").fetchall()
            assert rows[1] == (None,)
            assert as_arrow(rows[0][0]) == as_arrow(expected_value(name)), name


WIDER = {
    ("UTINYINT", "SMALLINT"), ("USMALLINT", "INTEGER"), ("UINTEGER", "BIGINT"), ("UBIGINT", "BIGINT"),
    ("TIMESTAMP_NS", "TIMESTAMP"), ("TIME", "BIGINT"),
}  # fmt: skip
"""A type of the files, and a wider one that the statement says: Hive has no unsigned types and no times of day."""


def duckdb_type(hive: str) -> str:
    """Return a type of Hive in the words of DuckDB."""
    kind = exp.DataType.build(hive, dialect="hive").sql("duckdb")
    (found,) = duckdb.execute(f"SELECT typeof(CAST(NULL AS {kind}))").fetchone() or ("",)
    return str(found)


def expected_value(name: str) -> Any:
    value = EVERY[name][1]
    if isinstance(value, datetime.timedelta):
        return value // datetime.timedelta(milliseconds=1)
    if isinstance(value, datetime.time):
        return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000
    return value


def as_arrow(value: Any) -> Any:
    """Return a value with its pairs in one form: readers give maps as dicts or as lists of pairs."""
    if isinstance(value, dict):
        return sorted((key, as_arrow(member)) for key, member in value.items())
    if isinstance(value, list | tuple):
        return [
            as_arrow(member) if not isinstance(member, tuple) else (member[0], as_arrow(member[1])) for member in value
        ]
    return bytes(value) if isinstance(value, bytearray) else value


def test_duckdb_reads_the_same_types_and_rows_from_json_lines(tmp_path: Path) -> None:
    schema = every_schema()
    part = write_part(tmp_path, table_of(schema), "jsonl")
    create = parsed(table_sql.statement([planned(schema, "jsonl")]))
    columns = columns_of(create)
    assert list(columns) == list(EVERY)
    with duckdb.connect() as connection:
        wanted = {name: duckdb_type(kind) for name, kind in columns.items()}
        given_types = ", ".join(f"'{name}': '{kind}'" for name, kind in wanted.items())
        rows = connection.execute(f"SELECT * FROM read_json('{part}', columns={{{given_types}}})").fetchall()
    assert len(rows) == 2
    lost = [name for name, value in zip(EVERY, rows[0], strict=True) if value is None]
    assert lost == []
    assert set(rows[1]) == {None}


def test_duckdb_reads_the_same_columns_from_csv(tmp_path: Path) -> None:
    schema = pa.schema([("id", pa.int64()), ("text", pa.string())])
    table = pa.table({"id": [1, None], "text": ['a "quoted" \\ text, and more', ""]}, schema=schema)
    part = write_part(tmp_path, table, "csv")
    create = parsed(table_sql.statement([planned(schema, "csv")]))
    properties = properties_of(create)
    assert (properties["skip.header.line.count"], properties["separatorChar"], properties["quoteChar"]) == (
        "1",
        ",",
        '"',
    )
    assert set(columns_of(create).values()) == {"string"}
    with duckdb.connect() as connection:
        columns = "{'id': 'VARCHAR', 'text': 'VARCHAR'}"
        how = f"header=true, quote='\"', escape='\"', auto_detect=false, columns={columns}"
        read = f"read_csv('{part}', {how})"
        rows = connection.execute(f"SELECT * FROM {read}").fetchall()
    assert rows[0] == ("1", 'a "quoted" \\ text, and more')


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_athena_cannot_read_is_left_out_and_said(name: str) -> None:
    schema = pa.schema([("id", pa.int64()), (name, UNREADABLE[name])])
    written = table_sql.statement([planned(schema)])
    assert list(columns_of(parsed(written))) == ["id"]
    assert f'-- "{name}" cannot be queried: ' in written


def test_what_a_type_does_not_say_is_said() -> None:
    schema = pa.schema([("d", pa.duration("ms")), ("u", pa.uint32()), ("t", pa.timestamp("us", "Europe/Vienna"))])
    written = table_sql.statement([planned(schema)])
    assert "-- d: a count of ms.\n" in written
    assert "-- u: values from 2147483648 on appear as negative ones: add 4294967296 to them.\n" in written
    assert "-- t: in UTC.\n" in written


# --- Names ---

ODD = ["select", "Product Name", "id", "ID", "a`b", "x'); DROP TABLE y; --", "\n-- hidden\n", "", "日本", "\u202egnp"]


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
def test_names_that_athena_cannot_have_get_another_one(form: str) -> None:
    schema = pa.schema([(name, pa.string()) for name in ODD])
    written = table_sql.statement([planned(schema, form)])
    create = parsed(written)
    names = list(columns_of(create))
    assert len(names) == len(ODD) == len(set(names))
    assert all(re.fullmatch(r"\w+", name) for name in names)
    assert (names[0], names[1], names[2:4], names[8]) == ("select", "product_name", ["id", "id_2"], "日本")
    assert '-- product_name is the column "Product Name", a name that Athena cannot have.' in written
    properties = properties_of(create)
    if form == "parquet":
        assert properties == {"parquet.column.index.access": "true"}, "by their place, as the names differ"
    if form == "jsonl":
        assert (properties["case.insensitive"], properties["mapping.product_name"]) == ("false", "Product Name")
        assert properties["mapping.id_2"] == "ID"


def test_a_name_is_one_that_athena_can_have_in_lower_case_too() -> None:
    """In lower case, this letter is a letter and a mark."""
    (name, _) = columns_of(parsed(table_sql.statement([planned(pa.schema([("İd", pa.string()), ("b", pa.int8())]))])))
    assert name == "i_d"


def test_a_key_of_json_lines_is_found_whatever_its_case() -> None:
    schema = pa.schema([("Product Name", pa.string()), ("Id", pa.int64())])
    properties = properties_of(parsed(table_sql.statement([planned(schema, "jsonl")])))
    assert properties == {"mapping.product_name": "product name"}


texts = st.text(st.characters(), max_size=30)


@given(st.lists(texts, min_size=1, max_size=6), st.sampled_from(["parquet", "csv", "jsonl"]))
def test_no_name_gets_out_of_its_place(names: list[str], form: str) -> None:
    columns = [OutputColumn(name, "string") for name in names]
    run = make_run(output={"format": form, "prefix": "b_"}, output_columns=columns)
    written = table_sql.statement([run])
    create = parsed(written)
    found = list(columns_of(create))
    assert len(found) == len(names) == len({name.lower() for name in found})
    assert written.isprintable() or all(character.isprintable() or character == "\n" for character in written)


# --- Several models, and none ---


def of_models(*, prefix: str = "bedrock_", form: str = "parquet") -> list[Run]:
    asked = validate.validate({"s3_uri": "s3://bucket/t.csv", "model_id": LITE, "prompt_id": "p"})
    return [
        planned(OF_ANSWERS, form, prefix, input=asked | {"model_id": model}, models=[LITE, MICRO], number=number)
        for number, model in enumerate([LITE, MICRO])
    ]


def test_several_models_are_partitions_that_athena_knows_at_once(tmp_path: Path) -> None:
    runs = of_models(prefix="Ai_")
    create = parsed(table_sql.statement(runs))
    properties = properties_of(create)
    assert properties["projection.ai_model.type"] == "enum"
    assert properties["projection.ai_model.values"] == "amazon.nova-lite-v1-0,amazon.nova-micro-v1-0"
    template = properties["storage.location.template"]
    assert template == "s3://runs-bucket/reviews/output/monday/Ai_model=${ai_model}/"
    for run, value in zip(runs, properties["projection.ai_model.values"].split(","), strict=True):
        place = template.replace("${ai_model}", value)
        assert f"s3://{run.bucket}/{run.output_key(run.numbers.start)}".startswith(place)
    partitioned = create.find(exp.PartitionedByProperty)
    assert partitioned is not None
    assert "ai_model" in partitioned.sql("hive")


def test_duckdb_finds_the_partitions(tmp_path: Path) -> None:
    for run in of_models():
        folder = tmp_path / run.folder
        folder.mkdir()
        write_part(folder, pa.table({"id": [1, 2]}), "parquet")
    with duckdb.connect() as connection:
        query = f"SELECT DISTINCT bedrock_model FROM read_parquet('{tmp_path}/*/*.parquet', hive_partitioning=true)"
        found = sorted(name for (name,) in connection.execute(query).fetchall())
    values = properties_of(parsed(table_sql.statement(of_models())))["projection.bedrock_model.values"]
    assert ",".join(found) == values


def test_models_with_other_columns_have_a_statement_of_their_own() -> None:
    first, second = of_models()
    other = make_run(
        **{"output": second.output, "input": second.input, "models": second.models, "number": 1},
        output_columns=[OutputColumn("only", "string")],
    )
    written = table_sql.statement([first, other])
    one, two = [create for create in sqlglot.parse(written, dialect="athena") if create is not None]
    assert [one.this.this.name, two.this.this.name] == ["monday", "monday_2"]
    assert properties_of(two)["projection.bedrock_model.values"] == "amazon.nova-micro-v1-0"
    assert "Run one statement at a time." in written


@pytest.mark.parametrize("run", [make_run(), planned(OF_ANSWERS, dry_run=True)], ids=["unknown", "dry"])
def test_a_run_without_an_output_has_a_comment(run: Run) -> None:
    written = table_sql.statement([run])
    assert written.startswith("-- There is no statement for the run monday: ")
    assert [one for one in sqlglot.parse(written, dialect="athena") if one is not None] == []


def test_the_columns_travel_in_run_json() -> None:
    run = planned(every_schema())
    again = Run.from_json(json.loads(json.dumps(run.to_json())))
    assert table_sql.statement([again]) == table_sql.statement([run])

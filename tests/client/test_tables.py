"""Fetch a run's table: whole, in every format, one part at a time."""

import csv
import io
import json
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_batch.table.write import write
from bedrock_batch_client import formats, parts, tables
from bedrock_batch_client.errors import Mistake, NoPermission, NotFound
from bedrock_batch_client.installation import Installation
from tests.client import fakes

ROWS = pa.table(
    {
        "id": pa.array([1, 2, 3, 4, 5], pa.int64()),
        'the "name"\nof it': ["a,b", 'say "hi"', "", None, "zwei\nZeilen"],
        "price": pa.array(
            [Decimal("1.50"), None, Decimal("3.00"), Decimal("4.25"), Decimal("5.00")], pa.decimal128(8, 2)
        ),
        "seen": pa.array([0, 1, None, 3, 4], pa.timestamp("us")),
        "raw": pa.array([b"\x00\xff", None, b"", b"x", b"y"], pa.binary()),
        "tags": [["a"], [], None, ["b", "c"], ["ä"]],
        "score": pa.array([0.1, 2.0, None, float("nan"), 1e30], pa.float64()),
        "bedrock_outcome": ["succeeded", "failed", "succeeded", "skipped", "succeeded"],
        "bedrock_response": ["one", None, "three\nlines", None, '"five"'],
        "bedrock_stop_reason": ["end_turn", None, "end_turn", None, "end_turn"],
        "bedrock_input_tokens": pa.array([1, None, 3, None, 5], pa.int64()),
        "bedrock_output_tokens": pa.array([1, None, 3, None, 5], pa.int64()),
        "bedrock_error_code": [None, "400", None, "NullColumn", None],
        "bedrock_error": [None, "Too long", None, "it is null", None],
    }
)
FORMS = ("parquet", "csv", "jsonl")


def bytes_of(table: pa.Table, form: str) -> bytes:
    """Return a part as the functions of the module write it."""
    out = io.BytesIO()
    write(table.to_batches(), table.schema, out, form=form)
    return out.getvalue()


@pytest.fixture
def ended(at: Installation, services: fakes.Aws, put: Any) -> Any:
    """A function that makes the run `monday`, which has ended, with a table of a number of parts."""

    def make(form: str, rows: pa.Table = ROWS, *, size: int = 2, folder: str = "") -> None:
        services.states.put("monday", "SUCCEEDED")
        for number, first in enumerate(range(0, rows.num_rows, size)):
            key = f"{at.output_prefix('monday')}{folder}part-{number:05d}.{form}"
            put(key, bytes_of(rows.slice(first, size), form))

    return make


@pytest.mark.parametrize("target", FORMS)
@pytest.mark.parametrize("source", FORMS)
def test_every_format_comes_out_of_every_other(
    ended: Any, at: Installation, tmp_path: Path, source: str, target: str
) -> None:
    """What is fetched is what the run would have written in that format, as far as the source knows the types."""
    ended(source)
    (one,) = tables.fetch(at, "monday", tmp_path / f"out.{target}")
    assert (one.form, one.parts, one.bytes) == (target, 3, Path(one.path).stat().st_size)
    written = Path(one.path).read_bytes()
    if target == "csv" and source != "jsonl":
        assert written == bytes_of(ROWS, "csv")
    elif target == "csv":
        assert texts(written) == texts(bytes_of(ROWS, "csv").replace(b"nan", b""))  # JSON has no NaN
    elif target == "jsonl" and source != "csv":
        assert objects(written) == objects(bytes_of(ROWS, "jsonl"))
    elif target == "parquet" and source == "parquet":
        read = pq.read_table(one.path)
        assert str(read.to_pylist()) == str(ROWS.to_pylist()) and read.cast(ROWS.schema).schema == ROWS.schema
    elif target == "parquet":
        assert answers(pq.read_table(one.path))
    else:
        assert [row["bedrock_response"] for row in objects(written)] == ROWS["bedrock_response"].to_pylist()


@pytest.mark.parametrize("source", FORMS)
def test_the_rows_without_an_answer_are_the_table_of_a_new_run(
    ended: Any, at: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    numbered = pa.array(range(1, ROWS.num_rows + 1), pa.int64())
    ended(source, ROWS.add_column(7, "bedrock_row", numbered))
    tables.fetch(at, "monday", tmp_path / "rest.csv", unanswered=True)
    rest = ROWS.select(ROWS.column_names[:7]).take([1, 3])
    assert texts((tmp_path / "rest.csv").read_bytes().replace(b"nan", b"")) == texts(
        bytes_of(rest, "csv").replace(b"nan", b"")
    )
    monkeypatch.chdir(tmp_path)
    (written,) = tables.fetch(at, "monday", unanswered=True)
    assert written.path == f"monday-unanswered.{source}"
    same = io.BytesIO()
    tables.fetch_to(at, "monday", same, form="csv", unanswered=True)
    assert same.getvalue() == (tmp_path / "rest.csv").read_bytes()


def test_a_table_of_another_program_has_no_rows_without_an_answer(
    at: Installation, services: fakes.Aws, put: Any, tmp_path: Path
) -> None:
    services.states.put("monday", "SUCCEEDED")
    put(f"{at.output_prefix('monday')}part-00000.csv", "a\n1\n")
    with pytest.raises(Mistake, match="no columns of outcomes"):
        tables.fetch(at, "monday", tmp_path / "rest.csv", unanswered=True)
    assert list(tmp_path.iterdir()) == []


def texts(written: bytes) -> list[list[str]]:
    """Return the cells of a CSV; numbers may be written in several ways."""
    return [[cell.removesuffix(".0") for cell in row] for row in csv.reader(io.StringIO(written.decode()))]


def objects(written: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.splitlines()]


def answers(table: pa.Table) -> bool:
    """Return whether a table has the columns that the run has added, with their types."""
    ours = [name for name in ROWS.column_names if name.startswith("bedrock_")]
    return bool(table.select(ours).cast(ROWS.select(ours).schema).equals(ROWS.select(ours)))


def test_a_csv_keeps_null_and_empty_apart_and_its_text_as_it_is(ended: Any, at: Installation) -> None:
    ended("csv", ROWS.select(['the "name"\nof it', *ROWS.column_names[7:]]))
    table = tables.to_arrow(at, "monday")
    assert table.column(0).to_pylist() == ["a,b", 'say "hi"', "", None, "zwei\nZeilen"]
    assert str(table.schema.field("bedrock_input_tokens").type) == "int64"


def test_json_lines_whose_parts_differ_make_one_table(ended: Any, at: Installation, put: Any) -> None:
    ended("jsonl", ROWS.select(ROWS.column_names[7:]).slice(0, 1))
    prefix = at.output_prefix("monday")
    row = {"bedrock_outcome": "succeeded", "bedrock_response": "x", "bedrock_error_code": None, "bedrock_error": None}
    put(f"{prefix}part-00001.jsonl", json.dumps(row | {"a": None, "b": 1, "c": "2024-01-01"}) + "\n")
    put(f"{prefix}part-00002.jsonl", json.dumps(row | {"a": {"x": 1}, "b": 1.5, "c": [1]}) + "\n")
    table = tables.to_arrow(at, "monday")
    assert [table.column(name).to_pylist()[1:] for name in "abc"] == [
        [None, {"x": 1}],
        [1.0, 1.5],
        ["2024-01-01", "[1]"],
    ]


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=6) | st.none()


@given(st.lists(st.lists(cells, min_size=2, max_size=2), min_size=1, max_size=9), st.integers(1, 4))
def test_parts_of_a_csv_are_one_csv(rows: list[list[str | None]], size: int) -> None:
    """Headers hold line feeds and quotes, and stand in the first part alone."""
    names = ['a\n"b"', "c\r\nd"]
    table = pa.table(
        {name: pa.array(column, pa.string()) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
    )
    whole = io.BytesIO()
    for first in range(0, table.num_rows, size):
        part = io.BytesIO(bytes_of(table.slice(first, size), "csv"))
        if first:
            tables._skip_header(part)
        whole.write(part.read())
    assert whole.getvalue() == bytes_of(table, "csv")


def test_one_part_is_held_at_a_time(
    ended: Any, at: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended("parquet", size=1)
    most = 0
    own = parts._each

    def watched(installation: Installation, keys: Any, folder: Path) -> Iterator[Path]:
        nonlocal most
        for path in own(installation, keys, folder):
            most = max(most, len(list(folder.iterdir())))
            yield path

    monkeypatch.setattr(parts, "_each", watched)
    tables.fetch(at, "monday", tmp_path / "out.csv")
    assert most == 1


def test_several_models_have_a_folder_each(ended: Any, at: Installation, tmp_path: Path) -> None:
    for model in ("amazon.nova-lite-v1-0", "other"):
        ended("parquet", folder=f"bedrock_model={model}/")
    fetched = tables.fetch(at, "monday", tmp_path / "all")
    assert [Path(one.path).relative_to(tmp_path).as_posix() for one in fetched] == [
        "all/bedrock_model=amazon.nova-lite-v1-0/table.parquet",
        "all/bedrock_model=other/table.parquet",
    ]
    (one,) = tables.fetch(at, "monday", tmp_path / "one.csv", model="amazon.nova-lite-v1:0")
    assert one.model == "amazon.nova-lite-v1-0"
    both = tables.to_arrow(at, "monday")
    assert both["bedrock_model"].to_pylist() == ["amazon.nova-lite-v1-0"] * 5 + ["other"] * 5
    with pytest.raises(Mistake, match="name a folder, or one of the models"):
        tables.fetch(at, "monday", tmp_path / "one.parquet")
    with pytest.raises(NotFound, match="no table of the model 'third'.*amazon.nova-lite-v1-0, other"):
        tables.fetch(at, "monday", model="third")


def test_nothing_is_overwritten_or_left_half_written(
    ended: Any, at: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended("csv")
    out = tmp_path / "out.csv"
    out.write_text("mine")
    with pytest.raises(Mistake, match="is there already"):
        tables.fetch(at, "monday", out)

    def fails(*_: Any, **__: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(tables, "copy", fails)
    with pytest.raises(OSError, match="disk full"):
        tables.fetch(at, "monday", out, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"] and out.read_text() == "mine"


def test_a_table_is_there_when_its_run_has_ended(ended: Any, at: Installation, services: fakes.Aws) -> None:
    with pytest.raises(NotFound, match="no run 'monday'"):
        parts.tables(at, "monday")
    ended("csv")
    services.states.put("monday")
    with pytest.raises(Mistake, match="goes on"):
        parts.tables(at, "monday")
    services.states.put("monday", "ABORTED")
    services.dynamodb.put_run("monday", status="STOPPING")
    with pytest.raises(Mistake, match="are being stopped"):
        parts.tables(at, "monday")
    services.dynamodb.put_run("monday", status="RUNNING")
    with pytest.raises(Mistake, match="are being stopped"):
        parts.tables(at, "monday")
    services.states.put("tuesday", "FAILED")
    with pytest.raises(NotFound, match="has no table. Its status is FAILED"):
        parts.tables(at, "tuesday")


def test_a_format_that_nobody_knows(ended: Any, at: Installation, tmp_path: Path) -> None:
    ended("csv")
    with pytest.raises(Mistake, match="'xlsx' is unknown"):
        tables.fetch(at, "monday", tmp_path / "out.xlsx")


@pytest.mark.parametrize(
    ("names", "prefix"),
    [
        (["a", "bedrock_outcome", "bedrock_response", "bedrock_error_code", "bedrock_error"], "bedrock_"),
        (["outcome", "response", "error_code", "error", "mood"], ""),
        (["a_outcome", "a_response", "a_error_code", "x_outcome", "x_embedding", "x_error_code", "x_error"], "x_"),
        (["row", "outcome", "response", "error_code", "error", "an_outcome"], ""),
        (["outcome", "price"], None),
        ([], None),
    ],
)
def test_the_columns_of_the_run_are_found_behind_those_of_the_input(names: list[str], prefix: str | None) -> None:
    assert formats.our_prefix(names) == prefix


def one_column(cells: pa.Array, name: str = "x") -> pa.Table:
    """Return a table of two rows: a column of the input, and those of the run."""
    return ROWS.select(ROWS.column_names[7:]).slice(0, 2).add_column(0, name, cells)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "cells",
    [
        pa.array([1, None], pa.timestamp("ns")),
        pa.array([[1], None], pa.list_(pa.timestamp("ns"))),
        pa.array([[1], None], pa.list_(pa.duration("ns"))),
        pa.array([{"at": 1}, None], pa.struct([("at", pa.time64("ns"))])),
        pa.array([[Decimal("1.50")], None], pa.list_(pa.decimal128(5, 2))),
        pa.array([[0.1, 0.2], None], pa.list_(pa.float32(), 2)),
        pa.array([0.1, None], pa.float32()),
        pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
        pa.array([b"\xff\x00", None], pa.binary(2)),
        pa.array([1, None], pa.duration("ns")),
        pa.array(["a", None], pa.large_string()),
        pa.array([["a"], None], pa.large_list(pa.string())),
        pa.array(["a", None]).dictionary_encode(),
        pa.nulls(2),
    ],
    ids=lambda cells: str(cells.type),
)
def test_a_column_of_every_type_comes_out_as_the_run_writes_it(
    at: Installation, services: fakes.Aws, put: Any, tmp_path: Path, cells: pa.Array, form: str
) -> None:
    """Without pandas, Python has no nanoseconds. A float of 32 bits has a shorter text than its double."""
    services.states.put("monday", "SUCCEEDED")
    put(f"{at.output_prefix('monday')}part-00000.parquet", parquet_of(one_column(cells)))
    tables.fetch(at, "monday", tmp_path / f"out.{form}")
    written = (tmp_path / f"out.{form}").read_bytes()
    if form == "parquet":
        assert pq.read_table(io.BytesIO(written))["x"].type == cells.type
    else:
        assert written == bytes_of(one_column(cells), form)
    tables.fetch(at, "monday", tmp_path / f"rest.{form}", unanswered=True)
    assert not tables.to_arrow(at, "monday")["x"][1].is_valid


def parquet_of(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


@pytest.mark.parametrize("target", FORMS)
def test_a_cell_of_a_csv_may_be_larger_than_a_block(ended: Any, at: Installation, tmp_path: Path, target: str) -> None:
    large = pa.array(["x" * (3 << 20) + '\n"', "y" * (1 << 20)])
    ended("csv", one_column(large), size=1)
    tables.fetch(at, "monday", tmp_path / f"rest.{target}", unanswered=True)
    assert (tmp_path / f"rest.{target}").exists()
    assert tables.to_arrow(at, "monday")["x"].to_pylist() == large.to_pylist()


@pytest.mark.parametrize(
    ("cells", "read"),
    [
        ([2**60 + 1, 1.5], [float(2**60), 1.5]),
        ([{}, {}], ["{}", "{}"]),
        ([{"a": {}}, {"a": {}}], ['{"a":{}}', '{"a":{}}']),
        ([2**70, 1], [str(2**70), "1"]),
    ],
    ids=str,
)
def test_json_that_parquet_cannot_hold(
    at: Installation, services: fakes.Aws, put: Any, tmp_path: Path, cells: list[Any], read: list[Any]
) -> None:
    services.states.put("monday", "SUCCEEDED")
    ours = {"bedrock_outcome": "failed", "bedrock_response": None, "bedrock_error_code": "400", "bedrock_error": "no"}
    for number, cell in enumerate(cells):
        put(f"{at.output_prefix('monday')}part-{number:05d}.jsonl", json.dumps({"x": cell} | ours) + "\n")
    tables.fetch(at, "monday", tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet")["x"].to_pylist() == read


def test_a_folder_or_a_device_is_not_replaced_by_a_file(ended: Any, at: Installation, tmp_path: Path) -> None:
    ended("csv")
    device = tmp_path / "device"
    os.mkfifo(device)
    for place in (tmp_path, device):
        with pytest.raises(Mistake, match="is a folder or a device: name a file, such as monday.csv"):
            tables.fetch(at, "monday", place, overwrite=True)
    assert device.is_fifo()


def test_the_permission_to_list_is_one_of_the_bucket(
    ended: Any, at: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended("csv")

    def denied(**_: Any) -> Any:
        raise fakes.error("ListObjectsV2", "AccessDenied", "Access Denied")

    monkeypatch.setattr(at.aws.s3, "get_paginator", lambda _: fakes.Pages(denied))
    with pytest.raises(NoPermission, match=rf"s3:ListBucket on arn:aws:s3:::{fakes.BUCKET} \(prefix .*/monday/\)"):
        parts.tables(at, "monday")

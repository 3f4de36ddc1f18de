"""Reading tables from S3: what describe says, and that the shards of any plan give the table back."""

import sys
from collections import Counter
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest

from bedrock_batch import errors
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.run import Source
from bedrock_batch.table.read import read_shard
from bedrock_batch.table.schemas import common, unpacked
from tests.conftest import BUCKET
from tests.functional.tables import QUOTAS, csv_bytes, cut, describe, parquet_bytes, put, read_all, shards_of
from tests.unit.factories import make_run

HOSTILE = ['say "hi",', "two\nlines", "crlf\r\nin", "", " ", "NA", "null", "é日😀", "\ufeffmark", "a,b;c\td", "''", '"']


@pytest.mark.parametrize("terminator", ["\n", "\r\n", "\r"])
def test_csv_shards_give_the_hostile_table_back(s3: S3, terminator: str) -> None:
    rows = [[str(i), text, "x"] for i, text in enumerate(HOSTILE * 3)]
    body = b"\xef\xbb\xbf" + csv_bytes([["id", "text, of", "z"], *rows], lineterminator=terminator)
    found = describe(s3, put("t.csv", body))
    assert found.schema == pa.schema([("id", pa.string()), ("text, of", pa.string()), ("z", pa.string())])
    assert (found.table.rows, found.table.format) == (len(rows), "csv")
    assert [list(row.values()) for row in read_all(s3, found)] == rows
    assert unpacked(found.table.schema) == found.schema


def test_csv_columns_are_read_alone_and_in_the_tables_order(s3: S3) -> None:
    found = describe(s3, put("t.csv", b"a,b,c\n1,2,3\n4,5,6\n"))
    assert list(shards_of(s3, found, columns=["c", "a"])) == [[{"a": "1", "c": "3"}, {"a": "4", "c": "6"}]]


def test_csv_empty_lines_are_no_rows(s3: S3) -> None:
    found = describe(s3, put("t.csv", b"\n\na,b\n\n1,2\r\n\r\n\n3,4\n\n"))
    assert read_all(s3, found) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]


def test_csv_shards_follow_marks_that_are_far_apart(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bedrock_batch.table.layout.MOST_MARKS", 5)
    rows = [[str(i), f'line\n"{i}"'] for i in range(61)]
    found = describe(s3, put("t.csv", csv_bytes([["a", "b"], *rows])))
    assert len(found.layouts[0].rows_at) <= 6
    assert [list(row.values()) for row in read_all(s3, found)] == rows


def test_csv_blocks_are_cut_at_records(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [[text, str(i)] for i, text in enumerate(HOSTILE)]
    found = describe(s3, put("t.csv", csv_bytes([["a", "b"], *rows])), limit=len(rows) - 1)
    for size in range(5, 25):
        monkeypatch.setattr("bedrock_batch.aws.s3.READ_BYTES", size)
        assert [list(row.values()) for row in read_all(s3, found, max_records=100)] == rows[:-1]


def test_csv_shard_may_begin_with_what_looks_like_a_byte_order_mark(s3: S3) -> None:
    body = "\ufeffa,b\n\ufeff1,x\n\ufeff2,x\n\ufeff3,x\n\ufeff4,x\n".encode()
    rows = read_all(s3, describe(s3, put("t.csv", body)), max_records=2)
    assert [row["a"] for row in rows] == ["\ufeff1", "\ufeff2", "\ufeff3", "\ufeff4"]


def test_csv_without_header_with_other_dialect(s3: S3) -> None:
    uri = put("t.txt", b"1;'a;b'\n2;it''s\n".replace(b"it''s", b"'it''s'"))
    found = describe(s3, uri, format="csv", csv={"delimiter": ";", "quote": "'", "columns": ["n", "t"]})
    assert read_all(s3, found) == [{"n": "1", "t": "a;b"}, {"n": "2", "t": "it's"}]


def test_tsv_has_tabs(s3: S3) -> None:
    assert read_all(s3, describe(s3, put("t.TSV", b"a\tb\n1,0\t2\n"))) == [{"a": "1,0", "b": "2"}]


def test_csv_declared_types(s3: S3) -> None:
    uri = put("t.csv", b"i,d,t,p\n1,2026-11-22,x,1.50\n,,,\n")
    types = {"i": "int64", "d": "date32", "p": "decimal128(6, 2)"}
    found = describe(s3, uri, types=types)
    rows = read_all(s3, found)
    assert [str(field.type) for field in found.schema] == ["int64", "date32[day]", "string", "decimal128(6, 2)"]
    assert (rows[0]["i"], str(rows[0]["d"]), str(rows[0]["p"])) == (1, "2026-11-22", "1.50")
    assert rows[1] == {"i": None, "d": None, "t": "", "p": None}


def test_csv_cell_of_another_type_is_named(s3: S3) -> None:
    body = b"i\n" + b"".join(b"%d\n" % i for i in range(20)) + b"secret\n"
    found = describe(s3, put("t.csv", body), types={"i": "int64"})
    with pytest.raises(errors.MalformedInput, match=r't\.csv: row 21, column "i" is not a int64') as caught:
        read_all(s3, found)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b"x,secret,3\n", "row 9 has 3 cells where 2 were expected .* Put cells that hold"),
        (b"secret\n", "row 9 has 1 cell where 2 were expected"),
        (b"x,secret\xff\n", "row 9 has text that is not UTF-8"),
        (b"x,secret\xff,3\n", "row 9 has 3 cells where 2 were expected"),
    ],
)
def test_csv_malformed_row_is_named_without_its_content(s3: S3, bad: bytes, message: str) -> None:
    body = b"a,b\n" + b'1,"2\n2"\n\n' * 8 + bad + b"5,6\n" * 9
    with pytest.raises(errors.MalformedInput, match=message) as caught:
        read_all(s3, describe(s3, put("d/t.csv", body)))
    assert f"s3://{BUCKET}/d/t.csv" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_csv_stray_quote_ends_planning(s3: S3) -> None:
    with pytest.raises(errors.MalformedInput, match=r"t\.csv: row 2 has a quote inside an unquoted field"):
        describe(s3, put("t.csv", b'a,b\n1,2\n3,5" pipe\n4,6" pipe\n'))


@pytest.mark.parametrize("seed", [0, 1])
def test_parquet_rows_across_row_groups_and_files(s3: S3, seed: int) -> None:
    rows = [
        {"n": i, "s": {"x": HOSTILE[i % len(HOSTILE)], "l": [i, None]}, "a.b": None if i % 3 else f"{i}"}
        for i in range(50)
    ]
    schema = pa.schema(
        [("n", pa.int32()), ("s", pa.struct([("x", pa.string()), ("l", pa.list_(pa.int8()))])), ("a.b", pa.string())]
    )
    table = pa.Table.from_pylist(rows, schema)
    put("p/part-1.parquet", parquet_bytes(table.slice(20), row_group_size=9))
    put("p/part-0.parquet", parquet_bytes(table.slice(0, 20), row_group_size=6))
    put("p/part-2.parquet", parquet_bytes(table.slice(0, 0)))
    found = describe(s3, f"s3://{BUCKET}/p/")
    assert found.schema == schema
    assert [source.rows for source in found.sources] == [20, 30]
    assert read_all(s3, found, max_records=5 + seed) == rows
    some = [row for part in shards_of(s3, found, columns=["a.b", "n"]) for row in part]
    assert some == [{"n": row["n"], "a.b": row["a.b"]} for row in rows]


def test_parquet_times_of_the_old_type_come_back_in_any_year(s3: S3) -> None:
    rows = [{"t": time, "s": {"t": time}} for time in (datetime(1, 1, 1), datetime(2026, 1, 2, 3, 4, 5, 678_901), None)]
    rows.append({"t": datetime(9999, 12, 31), "s": None})
    old = parquet_bytes(pa.Table.from_pylist(rows), use_deprecated_int96_timestamps=True, store_schema=False)
    assert read_all(s3, describe(s3, put("t.parquet", old))) == rows


def test_parquet_shard_begins_far_into_a_row_group(s3: S3) -> None:
    """Batches of the row group that lie before the shard are passed over."""
    table = pa.table({"n": range(10_000)})
    found = describe(s3, put("t.parquet", parquet_bytes(table)))
    assert read_all(s3, found, quotas=QUOTAS | {"max_records": 3_000}) == table.to_pylist()


def test_parquet_reads_only_what_the_shard_needs(s3: S3) -> None:
    table = pa.table({"a": [str(i) * 500 for i in range(4000)], "b": ["y" * 999] * 4000})
    body = parquet_bytes(table, row_group_size=500, compression="none", use_dictionary=False)
    found = describe(s3, put("t.parquet", body))
    read: list[int] = []
    plain = s3.read

    def counting(*args: Any, **range_: Any) -> bytes:
        read.append(range_["end"] - range_["start"])
        return plain(*args, **range_)

    s3.read = counting  # type: ignore[method-assign]  # to see how much is fetched
    run = make_run(table=found.table, sources=found.sources)
    (shard, *_) = cut(found, {**QUOTAS, "max_records": 500})
    assert sum(batch.num_rows for batch in read_shard(s3, run, shard, columns=["a"])) == 500
    assert sum(read) < len(body) / 4


def test_limit_reads_no_further(s3: S3) -> None:
    put("c/0.csv", b"a,b\n" + b"1,2\n" * 10)
    put("c/1.csv", b"a,b\n" + b"3,4\n" * 10 + b'5,stray"\n')
    put("c/2.csv", b"other,header\n")
    found = describe(s3, f"s3://{BUCKET}/c/", limit=13)
    assert (found.table.rows, [source.rows for source in found.sources]) == (13, [10, 3])
    assert read_all(s3, found) == [{"a": "1", "b": "2"}] * 10 + [{"a": "3", "b": "4"}] * 3
    table = pa.table({"a": range(30)})
    found = describe(s3, put("t.parquet", parquet_bytes(table, row_group_size=8)), limit=13)
    assert read_all(s3, found) == table.slice(0, 13).to_pylist()


@pytest.mark.parametrize(
    ("files", "error", "message"),
    [
        (
            {"x/0.csv": b"a,b\n1,2\n", "x/1.csv": b"a,c\n1,2\n"},
            errors.SchemaMismatch,
            r'0\.csv has a column "b", but .*1',
        ),
        ({"x/0.csv": b"a,b,a\n1,2,3\n"}, errors.MalformedInput, 'two columns named "a"'),
        (
            {"x/0.csv": b"a,b\n1,2\n", "x/1.csv": b"a,b,a\n1,2,3\n"},
            errors.MalformedInput,
            r'1\.csv has two columns named "a"',
        ),
        ({"x/0.csv": b"a,b\n"}, errors.EmptyInput, r"x/0\.csv"),
        ({"x/0.csv": b""}, errors.EmptyInput, r"x/0\.csv"),
        ({"x/0.csv": "a,b\n".encode("utf-16")}, errors.MalformedInput, "UTF-16"),
        ({"x/0.csv": b"a,\xff\n1,2\n"}, errors.MalformedInput, "header row is not UTF-8"),
        (
            {"x/0.csv": b"a," + b"x" * 200_000},
            errors.MalformedInput,
            "header row cannot be read .*columns",
        ),
        ({"x/0.csv": b"a,b\n1,2\n", "x/1.csv": b"a,b,c\n1,2,3\n"}, errors.SchemaMismatch, r'1\.csv has a column "c"'),
        ({"x/0.csv": b"a,b\n1,2\n", "x/1.parquet": b""}, errors.InvalidRunInput, "mixes formats"),
        ({"x/0.csv": b"a,b\n1,2\n", "x/1.tsv": b""}, errors.InvalidRunInput, "input.csv.delimiter"),
        ({"x/0.xlsx": b"."}, errors.InvalidRunInput, r"x/0\.xlsx does not show its format"),
        ({"x/0.parquet": b"not parquet at all"}, errors.MalformedInput, r"x/0\.parquet is not a readable Parquet"),
        ({"x/_SUCCESS": b"", "x/": b"", "x/.crc": b"1"}, errors.InputNotFound, f"s3://{BUCKET}/x/"),
    ],
)
def test_bad_input_is_named(s3: S3, files: dict[str, bytes], error: type[Exception], message: str) -> None:
    for key, body in files.items():
        put(key, body)
    with pytest.raises(error, match=message):
        describe(s3, f"s3://{BUCKET}/x/")


def test_comparing_files_takes_steps_in_proportion_to_their_columns() -> None:
    file = Source("b", "k", "", 0, rows=1)

    def steps(columns: int) -> int:
        one, other = (pa.schema([(f"c{index}", pa.string()) for index in range(columns)]) for _ in range(2))
        calls: Counter[str] = Counter()
        sys.setprofile(lambda frame, event, argument: calls.update([event]))
        try:
            common([(file, one), (file, other)])
        finally:
            sys.setprofile(None)
        return calls.total()

    assert steps(800) < 10 * steps(100), "eight times the columns; each by each would be 64 times"


def test_parquet_files_of_other_types_are_refused(s3: S3) -> None:
    put("x/0.parquet", parquet_bytes(pa.table({"a": [1], "b": ["x"]})))
    put("x/1.parquet", parquet_bytes(pa.table({"a": [1], "b": [2]})))
    with pytest.raises(errors.SchemaMismatch, match=r'column "b" has the type int64 in .*/1\.parquet, but string'):
        describe(s3, f"s3://{BUCKET}/x/")


@pytest.mark.parametrize(
    "types", [{"a": "number"}, {"a": "decimal128(99, 1)"}, {"a": "decimal128(5, 9)"}, {"a": f"decimal128({10**20}, 1)"}]
)
def test_unknown_type_is_refused(s3: S3, types: dict[str, str]) -> None:
    with pytest.raises(errors.InvalidRunInput, match='column "a"'):
        describe(s3, put("t.csv", b"a\n1\n"), types=types)
    with pytest.raises(errors.MissingColumn, match='"b"'):
        describe(s3, put("t.csv", b"a\n1\n"), types={"b": "int64"})


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_source_that_changes_after_planning_is_refused(s3: S3, name: str) -> None:
    def body(n: int) -> bytes:
        table = pa.table({"a": [str(n)] * 5})
        return parquet_bytes(table) if name.endswith("parquet") else b"a\n" + b"%d\n" % n * 5

    found = describe(s3, put(name, body(1)))
    put(name, body(2))
    with pytest.raises(errors.InputChanged, match=name):
        read_all(s3, found)

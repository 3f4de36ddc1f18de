"""JSON lines, compressed files and other encodings: every value comes back as it was written."""

import bz2
import json
import random
import struct
from typing import Any

import pyarrow as pa
import pytest

from bedrock_batch import errors
from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from tests.conftest import BUCKET
from tests.functional.tables import (
    QUOTAS,
    STAGED,
    csv_bytes,
    describe,
    gz,
    jsonl_bytes,
    parquet_bytes,
    put,
    read_all,
    shards_of,
    zst,
)

TEXTS = ['say "hi"', "two\nlines", "a\u2028b\x85c", "", " ", "NA", "null", "é日😀", "\ufeffmark", "{", "\\", "\x00\x1f"]


def types(found: Any) -> dict[str, str]:
    return {field.name: str(field.type) for field in found.schema}


def staged() -> list[str]:
    listed = clients.s3().list_objects_v2(Bucket=BUCKET, Prefix=STAGED[1])
    return [item["Key"].removeprefix(STAGED[1]) for item in listed.get("Contents", ())]


# --- JSON lines


def test_jsonl_rows_come_back_with_every_key_of_any_row(s3: S3) -> None:
    rows = [
        {"id": index, "text": text, **({"late": [index]} if index == 30 else {})}
        for index, text in enumerate(TEXTS * 3)
    ]
    found = describe(s3, put("t.jsonl", jsonl_bytes(rows)))
    assert types(found) == {"id": "int64", "text": "string", "late": "string"}
    assert (found.table.format, found.table.rows) == ("jsonl", len(rows))
    read = read_all(s3, found)
    assert [(row["id"], row["text"]) for row in read] == [(row["id"], row["text"]) for row in rows]
    assert [row["late"] for row in read] == [None] * 30 + ["[30]"] + [None] * 5


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["1", "-7", "null", "9223372036854775807"], "int64", [1, -7, None, 2**63 - 1]),
        (["1", "9223372036854775808"], "string", ["1", "9223372036854775808"]),
        (["1.50", "2", "-3e2", "0.1"], "double", [1.5, 2.0, -300.0, 0.1]),
        (["0.1", "0.1234567890123456789"], "string", ["0.1", "0.1234567890123456789"]),
        (["0.1", "1e400"], "string", ["0.1", "1e400"]),
        (["0.5", "9007199254740993"], "string", ["0.5", "9007199254740993"]),
        (["2.2250738585072014E-308", "0.30000000000000004"], "double", [2.2250738585072014e-308, 0.30000000000000004]),
        (["true", "false", "null"], "bool", [True, False, None]),
        (["true", "1"], "string", ["true", "1"]),
        (['"x"', '"1"', "null", '"2026-11-22T10:00:00"'], "string", ["x", "1", None, "2026-11-22T10:00:00"]),
        (['"x"', "1", "null"], "string", ['"x"', "1", None]),
        (['{"b": 1, "a": [1.10]}', "[]", "null"], "string", ['{"b": 1, "a": [1.10]}', "[]", None]),
        (["null", "null"], "string", [None, None]),
    ],
)
def test_jsonl_column_has_a_type_that_holds_every_value_exactly(
    s3: S3, values: list[str], kind: str, expected: list[Any]
) -> None:
    body = "".join(f'{{"n":{index},"v": {value} }}\r\n' for index, value in enumerate(values)).encode()
    found = describe(s3, put("t.ndjson", body))
    assert types(found)["v"] == kind
    read = [row["v"] for row in read_all(s3, found)]
    assert read == expected
    assert [type(value) for value in read] == [type(value) for value in expected]


def test_jsonl_types_are_the_same_for_all_files(s3: S3) -> None:
    put("d/0.jsonl", b'{"a": 1}\n{"a": 2}\n')
    put("d/1.jsonl", b"")
    put("d/2.json", b'{"b": true}\n{"a": 1.5, "b": null}')
    put("d/3.ndjson", b"{}\n")
    found = describe(s3, f"s3://{BUCKET}/d/")
    assert types(found) == {"a": "double", "b": "bool"}
    read = read_all(s3, found, max_records=2)
    assert [(row["a"], row["b"]) for row in read] == [(1.0, None), (2.0, None), (None, True), (1.5, None), (None, None)]


def test_jsonl_declared_types(s3: S3) -> None:
    body = b'{"i":"12","d":"2026-11-22","s":1.50,"t":"x","p":0.10}\n{"i":3,"d":null,"s":"y","t":[1]}\n'
    declared = {"i": "int64", "d": "date32", "s": "string", "p": "decimal128(4, 2)"}
    found = describe(s3, put("t.jsonl", body), types=declared)
    assert types(found) == {"i": "int64", "d": "date32[day]", "s": "string", "t": "string", "p": "decimal128(4, 2)"}
    first, second = read_all(s3, found)
    assert (first["i"], str(first["d"]), first["s"], first["t"], str(first["p"])) == (
        12,
        "2026-11-22",
        "1.50",
        '"x"',
        "0.10",
    )
    assert second == {"i": 3, "d": None, "s": "y", "t": "[1]", "p": None}
    with pytest.raises(errors.MissingColumn, match='"z"'):
        describe(s3, f"s3://{BUCKET}/t.jsonl", types={"z": "int64"})
    found = describe(s3, f"s3://{BUCKET}/t.jsonl", types={"d": "int64"})
    with pytest.raises(errors.MalformedInput, match=r't\.jsonl: row 1, column "d" is not a int64'):
        read_all(s3, found)


def test_jsonl_blank_lines_are_no_rows_and_line_separators_no_line_ends(s3: S3) -> None:
    body = '\ufeff\n{"a":"x\u2028y\x85z"}\r\n\r\n  \n{"a":"2"}\n\n{"a":"3"}'.encode()
    found = describe(s3, put("t.jsonl", body))
    assert read_all(s3, found, max_records=2) == [{"a": "x\u2028y\x85z"}, {"a": "2"}, {"a": "3"}]


def test_jsonl_columns_are_read_alone(s3: S3) -> None:
    found = describe(s3, put("t.jsonl", jsonl_bytes([{"a": 1, "b": "x", "c.d": None}] * 3)))
    assert list(shards_of(s3, found, columns=["b"])) == [[{"b": "x"}] * 3]


def test_jsonl_limit_looks_no_further(s3: S3) -> None:
    put("d/0.jsonl", jsonl_bytes([{"a": 1}] * 4))
    put("d/1.jsonl", b'{"a": 2}\n\n{"a": "not a number"}\nnot json\n')
    put("d/2.jsonl", b"[")
    found = describe(s3, f"s3://{BUCKET}/d/", limit=5)
    assert read_all(s3, found) == [{"a": 1}] * 4 + [{"a": 2}]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b'{"a": "secret", }', "is not a JSON object"),
        (b'{"a": NaN}', "is not a JSON object .*NaN"),
        (b"[1, 2]", "one JSON array"),
        (b"3", "is not a JSON object"),
        (b'{"a": 1} {"a": 2}', "has several JSON objects"),
        (b'{"a": "secret\xff"}', "is not UTF-8"),
        (b'{"a": "secret \\ud800"}', "has half of a surrogate pair.* Remove that half"),
        (b'{"a": "\\udc00 secret"}', "has half of a surrogate pair"),
        (b'{"a": ' + b"[" * 100_000 + b"}", "nested too deeply"),
        (b'{"a": 1e99999999999999999999}', "cannot be read .*exponent.* Write the number as a text"),
        (b'{"a": [-1E-99999999999999999999]}', "cannot be read .*exponent"),
        (b'{"a": ' + b"9" * 5000 + b"}", "cannot be read .*Write the number as a text"),
        (b'{"a\\"b": 1}', "has a quote"),
    ],
)
def test_jsonl_bad_line_is_named_without_its_content(s3: S3, bad: bytes, message: str) -> None:
    uri = put("d/t.jsonl", b'{"a": 1}\n\n{"a": 2}\r\n' + bad + b"\n")
    with pytest.raises(errors.MalformedInput, match=rf"{uri}: .*{message}") as caught:
        describe(s3, uri)
    assert "secret" not in str(caught.value)
    assert "row 3" in str(caught.value) or "has a quote" in message


def test_jsonl_a_repeated_key_has_its_last_value(s3: S3) -> None:
    body = b'{"a": 1, "b": "x"}\n{"a": {"c": [], "c": 1}, "b": 1.5, "a": 2, "b": "y"}\n{"b": "z", "a": 3, "a": null}\n'
    found = describe(s3, put("t.jsonl", body))
    assert types(found) == {"a": "int64", "b": "string"}
    assert [list(row.values()) for row in read_all(s3, found)] == [[1, "x"], [2, "y"], [None, "z"]]


def test_jsonl_keys_that_are_data_are_refused(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bedrock_batch.table.jsonl_types.MOST_COLUMNS", 5)
    with pytest.raises(errors.MalformedInput, match="more than 5 different keys"):
        describe(s3, put("t.jsonl", jsonl_bytes([{f"k{index}": 1} for index in range(6)])))


def test_a_user_key_is_a_column_like_others(s3: S3) -> None:
    keys = [7, 7, 9007199254740993, -1]
    found = describe(s3, put("t.jsonl", jsonl_bytes([{"record_id": key, "index": 0} for key in keys])))
    assert [row["record_id"] for row in read_all(s3, found)] == keys
    found = describe(s3, put("t.csv", b"record_id,Unnamed: 0\n007,1\n007,2\n2139,\n"))
    assert [row["record_id"] for row in read_all(s3, found)] == ["007", "007", "2139"]
    assert found.schema.names == ["record_id", "Unnamed: 0"]


# --- Compressed


@pytest.mark.parametrize(("suffix", "pack"), [("gz", gz), ("GZ", gz), ("zst", zst), ("Zst", zst)])
@pytest.mark.parametrize("name", ["t.csv", "T.TSV", "t.jsonl", "t.JSON"])
def test_compressed_files_are_copied_plain_once(s3: S3, name: str, suffix: str, pack: Any) -> None:
    texts = [f"{index} {text}" for index, text in enumerate(TEXTS[:-1] * 2)]
    if "j" in name.lower():
        plain = jsonl_bytes([{"a": text} for text in texts])
    else:
        plain = csv_bytes([["a", "b"], *([text, ""] for text in texts)], delimiter="\t" if "TSV" in name else ",")
    uri = put(f"in/{name}.{suffix}", pack(plain))
    found = describe(s3, uri)
    assert [row["a"] for row in read_all(s3, found)] == texts
    (copy,) = staged()
    assert s3.read(BUCKET, STAGED[1] + copy) == plain
    (source,) = found.sources
    assert (source.uri, source.key, source.size) == (uri, STAGED[1] + copy, len(plain))


def test_a_copy_larger_than_a_part_is_written_in_bounded_pieces(s3: S3) -> None:
    random.seed(1)
    rows = [{"n": index, "text": f"{random.random()} " * 40} for index in range(30_000)]
    found = describe(s3, put("t.jsonl.gz", gz(jsonl_bytes(rows))))
    assert found.sources[0].size > 20 << 20
    assert [row["n"] for row in read_all(s3, found, quotas=QUOTAS | {"max_records": 9_999})] == list(range(30_000))


@pytest.mark.parametrize("pack", [gz, zst])
def test_members_one_after_the_other_are_one_file(s3: S3, pack: Any) -> None:
    found = describe(s3, put("t.csv.gz" if pack is gz else "t.csv.zst", pack(b"a\n1\n2") + pack(b"3\n") + pack(b"4\n")))
    assert [row["a"] for row in read_all(s3, found)] == ["1", "23", "4"]


def test_a_compressed_file_is_known_by_its_first_bytes_too(s3: S3) -> None:
    assert read_all(s3, describe(s3, put("t.csv", gz(b"a\n1\n2\n")))) == [{"a": "1"}, {"a": "2"}]


@pytest.mark.parametrize("name", ["BZh", "BZh9", "PAR1", "PAR15"])
def test_a_column_may_be_named_like_the_first_bytes_of_a_format(s3: S3, name: str) -> None:
    assert read_all(s3, describe(s3, put("t.csv", f"{name},b\n1,2\n".encode()))) == [{name: "1", "b": "2"}]


@pytest.mark.parametrize("pack", [gz, zst])
@pytest.mark.parametrize("cut", [1, 5, 300])
def test_a_truncated_file_is_refused(s3: S3, pack: Any, cut: int) -> None:
    random.seed(2)
    body = pack(csv_bytes([["a"], *([str(random.random())] for _ in range(5_000))]))
    with pytest.raises(errors.MalformedInput, match=r"in/t\.csv\.\w+ cannot be decompressed as \w+: Truncated"):
        describe(s3, put(f"in/t.csv.{pack.__name__}", body[:-cut]))
    assert staged() == []


@pytest.mark.parametrize(
    ("key", "body", "error", "message"),
    [
        ("t.csv.gz", b"a,b\n1,2\n", errors.MalformedInput, "cannot be decompressed as gzip"),
        ("t.csv.gz", gz(b"a\n1\n")[:-8] + struct.pack("<II", 1, 4), errors.MalformedInput, "incorrect data check"),
        ("t.csv.gz", b"", errors.EmptyInput, "The input has no rows: .*t.csv.gz"),
        ("t.csv.gz", gz(b""), errors.EmptyInput, "no rows"),
        ("t.parquet.gz", gz(b"PAR1"), errors.InvalidRunInput, "Decompress it"),
        ("t.csv.zip", b"PK\x03\x04", errors.InvalidRunInput, "does not show its format"),
        ("t.csv", b"PK\x03\x04", errors.MalformedInput, "is zip, not text"),
        ("t.csv.gz", gz(zst(b"a\n1\n")), errors.MalformedInput, "is zstd, not text"),
        ("t.csv", b"\xfd7zXZ\0\0", errors.MalformedInput, "is xz, not text"),
        ("t.csv", bz2.compress(b"a\n1\n", 1), errors.MalformedInput, "is bzip2, not text"),
        ("t.csv", parquet_bytes(pa.table({})), errors.MalformedInput, "is Parquet, not text"),
        ("t.csv", parquet_bytes(pa.table({"a": [1]})), errors.MalformedInput, "is Parquet, not text"),
        ("t.jsonl", '{"a":1}'.encode("utf-16"), errors.MalformedInput, "is UTF-16, not text"),
        ("t.jsonl", '{"a":1}'.encode("utf-16-le"), errors.MalformedInput, "is UTF-16, not text"),
        ("t.csv", "a\n1\n".encode("utf-16-be"), errors.MalformedInput, "is UTF-16, .* set input.csv.encoding"),
        ("t.csv", "a\n1\n".encode("utf-32"), errors.MalformedInput, "is UTF-32, not text"),
        ("t.csv", "a\n1\n".encode("utf-32-le"), errors.MalformedInput, "is UTF-32, not text"),
    ],
)
def test_what_is_not_what_its_name_says_is_refused(
    s3: S3, key: str, body: bytes, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        describe(s3, put(key, body))


def test_a_limit_ends_the_copy_too(s3: S3) -> None:
    random.seed(3)
    body = csv_bytes([["a"], *([str(random.random()) * 50] for _ in range(40_000))])
    found = describe(s3, put("t.csv.zst", zst(body)), limit=10)
    assert (found.table.rows, len(read_all(s3, found))) == (10, 10)
    assert found.sources[0].size < len(body) / 2


@pytest.mark.parametrize("key", ["t.csv", "t.csv.gz", "t.jsonl", "t.jsonl.zst"])
def test_planning_again_finds_and_writes_the_same_bytes(s3: S3, key: str) -> None:
    rows = [{"a": f"{index}" * 9, "b": text} for index, text in enumerate(TEXTS[:-1] * 5)]
    plain = jsonl_bytes(rows) if "jsonl" in key else csv_bytes([["a", "b"], *(list(row.values()) for row in rows)])
    uri = put(key, gz(plain) if key.endswith("gz") else zst(plain) if key.endswith("zst") else plain)
    first, second = (describe(s3, uri) for _ in range(2))
    assert (first.table, first.sources) == (second.table, second.sources)
    assert [json.dumps(layout.bytes_at.tolist()) for layout in first.layouts] == [
        json.dumps(layout.bytes_at.tolist()) for layout in second.layouts
    ]


# --- Encodings and nulls of CSV


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-16", "é日😀\u2028"),
        ("latin-1", "é\x85ß"),
        ("cp1252", "“quoted”, €"),
        ("shift_jis", "日本"),
        ("utf-8", "é😀"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_csv_in_another_encoding(s3: S3, encoding: str, text: str, packed: bool) -> None:
    rows = [[str(index), f'{text}\n"{index}"'] for index in range(9)]
    body = csv_bytes([["é", "b"] if encoding != "shift_jis" else ["a", "b"], *rows]).decode().encode(encoding)
    found = describe(
        s3, put("t.csv.gz" if packed else "t.csv", gz(body) if packed else body), csv={"encoding": encoding}
    )
    assert [list(row.values()) for row in read_all(s3, found)] == rows


@pytest.mark.parametrize("order", ["le", "be"])
def test_utf_16_needs_no_byte_order_mark(s3: S3, order: str) -> None:
    body = "a,b\n1,日\n".encode(f"utf-16-{order}")
    assert read_all(s3, describe(s3, put("t.csv", body), csv={"encoding": "utf-16"})) == [{"a": "1", "b": "日"}]


@pytest.mark.parametrize(
    ("encoding", "body", "message"),
    [
        ("cp1252", b"a\n\x81\n", "is not in cp1252, the encoding of input.csv.encoding: byte 2 cannot be decoded"),
        ("shift_jis", "日\n".encode("shift_jis") + b"\x81", "byte 3 cannot be decoded"),
        ("cp1252", "\ufeffa\n1\n".encode(), "is UTF-8, not text in cp1252. Remove input.csv.encoding"),
        ("utf-16", "a\n1\n".encode("utf-16")[:-1], "is not in utf-16"),
        ("cp1252", "a\n1\n".encode("utf-16"), "is UTF-16, not text in cp1252"),
        ("utf-8", "a\né\n".encode("latin-1"), "row 1 has text that is not UTF-8"),
    ],
)
def test_csv_that_is_not_in_its_encoding_is_refused(s3: S3, encoding: str, body: bytes, message: str) -> None:
    with pytest.raises(errors.MalformedInput, match=message):
        read_all(s3, describe(s3, put("t.csv", body), csv={"encoding": encoding}))


def test_csv_texts_that_mean_null_are_the_users_choice(s3: S3) -> None:
    uri = put("t.csv", b"a,n\nNA,1\n\\N,\n,\\N\nnull,3\n")
    assert [row["a"] for row in read_all(s3, describe(s3, uri))] == ["NA", "\\N", "", "null"]
    found = describe(s3, uri, csv={"null_values": ["\\N", ""]}, types={"n": "int64"})
    assert [list(row.values()) for row in read_all(s3, found)] == [["NA", 1], [None, None], [None, None], ["null", 3]]


def test_csv_text_is_not_interpreted_anywhere(s3: S3) -> None:
    rows = [["02139", "9007199254740993", "007", "1e5", "TRUE"]] * 1999 + [["x", "", "NaN", "1,5", "nan"]]
    found = describe(s3, put("t.csv", csv_bytes([list("abcde"), *rows])))
    assert set(found.schema.types) == {pa.string()}
    assert [list(row.values()) for row in read_all(s3, found, quotas=QUOTAS | {"max_records": 600})] == rows

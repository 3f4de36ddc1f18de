"""Columns of Parquet files that the prompt does not use, and the output keeps: from the plan to the table."""

import io
import random
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bedrock_batch.aws.s3 import S3
from bedrock_batch.errors import InvalidRunInput, MalformedInput
from tests.conftest import BUCKET
from tests.functional.tables import parquet_bytes
from tests.functional.whole import LITE, MemoryS3, WholeRun, asked

ROWS = 200
PROMPT = {"text": "Judge {txt}"}
TEXTS = [f"text {number}" for number in range(ROWS)]


def whole(*files: bytes, **changes: Any) -> WholeRun:
    """Return a run over these files that has ended or was refused before its first job."""
    s3 = S3(MemoryS3())
    for number, body in enumerate(files):
        s3.put(BUCKET, f"in/{number}.parquet", body)
    run = WholeRun(s3)
    try:
        run.run(asked(LITE, s3_uri=f"s3://{BUCKET}/in/", prompt=PROMPT, max_records_per_job=80, **changes))
    except (InvalidRunInput, MalformedInput):
        assert run.jobs == [], "it was found too late"
        raise
    return run


def assert_kept(run: WholeRun, values: Sequence[Any], *, name: str = "v") -> pa.Table:
    """Check that the table has all rows, each with its own cell and its own answer."""
    table = run.table()
    assert table[name].to_pylist() == list(values)
    assert table["bedrock_response"].to_pylist() == [f"{LITE} on Judge {text}" for text in table["txt"].to_pylist()]
    return table


# --- A column that one file declares without nulls, and another has with some ---

REQUIRED: dict[str, tuple[pa.DataType, pa.DataType, list[Any], list[Any]]] = {
    "text": (pa.string(), pa.string(), ["a", "b"], ["c", None]),
    "number": (pa.int64(), pa.int64(), [1, 2], [3, None]),
    "member": (
        pa.struct([pa.field("m", pa.string(), nullable=False)]),
        pa.struct([pa.field("m", pa.string())]),
        [{"m": "a"}, {"m": "b"}],
        [{"m": None}, None],
    ),
    "member of a member": (
        pa.struct([pa.field("s", pa.struct([pa.field("m", pa.int32(), nullable=False)]), nullable=False)]),
        pa.struct([pa.field("s", pa.struct([pa.field("m", pa.int32())]))]),
        [{"s": {"m": 1}}, {"s": {"m": 2}}],
        [{"s": None}, {"s": {"m": None}}],
    ),
    "list element": (
        pa.list_(pa.field("element", pa.string(), nullable=False)),
        pa.list_(pa.field("element", pa.string())),
        [["a"], ["b", "c"]],
        [[None], None],
    ),
    "member of a list's struct": (
        pa.list_(pa.field("element", pa.struct([pa.field("m", pa.int64(), nullable=False)]), nullable=False)),
        pa.list_(pa.field("element", pa.struct([pa.field("m", pa.int64())]))),
        [[{"m": 1}], []],
        [[{"m": None}, None], None],
    ),
    "map value": (
        pa.map_(pa.string(), pa.field("value", pa.int64(), nullable=False)),
        pa.map_(pa.string(), pa.field("value", pa.int64())),
        [[("k", 1)], []],
        [[("k", None)], None],
    ),
    "vector": (
        pa.list_(pa.field("element", pa.float32(), nullable=False), 2),
        pa.list_(pa.field("element", pa.float32()), 2),
        [[1.0, 2.0], [3.0, 4.0]],
        [[None, 1.0], [2.0, 3.0]],
    ),
}


@pytest.mark.parametrize("form", ["parquet", "jsonl", "csv"])
@pytest.mark.parametrize("first_is_required", [True, False])
@pytest.mark.parametrize("kind", REQUIRED)
def test_required_in_one_file_and_null_in_another(kind: str, first_is_required: bool, form: str) -> None:
    required, optional, full, holes = REQUIRED[kind]
    files, cells = [], []
    for kind_, values, nullable in ((required, full, False), (optional, holes, True)):
        schema = pa.schema([pa.field("txt", pa.string(), nullable=nullable), pa.field("v", kind_, nullable=nullable)])
        files.append(parquet_bytes(pa.table([TEXTS[:9], (values * 5)[:9]], schema=schema)))
        cells.append((values * 5)[:9])
    if not first_is_required:
        files.reverse()
        cells.reverse()
    run = whole(*files, output={"format": form})
    assert run.report()["outcomes"]["succeeded"] == 18
    if form == "parquet":
        assert_kept(run, [*cells[0], *cells[1]])


# --- A damaged page of a column ---


def numbers(rows: int = ROWS) -> list[float]:
    dice = random.Random(1)
    return [dice.random() for _ in range(rows)]


VALUES = {
    "text": [f"value {number}" for number in numbers()],
    "number": numbers(),
    "member": [{"a": {"b": f"value {number}"}} for number in numbers()],
    "list": [[f"value {number}", None] for number in numbers()],
    "map": [[(f"key {number}", number)] for number in numbers()],
    "bytes": [f"value {number}".encode() for number in numbers()],
}
KINDS = {"map": pa.map_(pa.string(), pa.float64())}


def parquet_of(values: Sequence[Any], *, kind: pa.DataType | None = None, **options: Any) -> bytes:
    table = pa.table({"txt": TEXTS[: len(values)], "v": pa.array(values, kind)})
    return parquet_bytes(table, **{"use_dictionary": False, "write_statistics": False, **options})


def damaged(body: bytes, place: str, *, group: int = 0) -> bytes:
    """Return a file of which 40 bytes of a page of the column `v` are 0xFF."""
    metadata = pq.read_metadata(io.BytesIO(body)).row_group(group)
    chunks = [metadata.column(number) for number in range(metadata.num_columns)]
    chunk = next(one for one in chunks if one.path_in_schema.split(".")[0] == "v")
    at = {
        "data": chunk.data_page_offset + 120,
        "data page's header": chunk.data_page_offset,
        "dictionary": (chunk.dictionary_page_offset or 0) + 120,
        "dictionary page's header": chunk.dictionary_page_offset or 0,
    }[place]
    assert at + 40 < chunk.data_page_offset + chunk.total_compressed_size
    return body[:at] + b"\xff" * 40 + body[at + 40 :]


@pytest.mark.parametrize("place", ["data", "data page's header"])
@pytest.mark.parametrize("codec", ["zstd", "snappy", "gzip", "lz4", "brotli", "none"])
@pytest.mark.parametrize("name", VALUES)
def test_a_damaged_page_is_found_before_the_first_job(name: str, codec: str, place: str) -> None:
    """Only checksums, which Spark writes, show damage in numbers and in uncompressed text."""
    options = {"compression": codec, "write_page_checksum": True, "row_group_size": 100}
    good = parquet_of(VALUES[name], kind=KINDS.get(name), **options)
    bad = damaged(good, place, group=1)
    with pytest.raises(MalformedInput, match=r'/in/1\.parquet: column "v" of row group 1 cannot be read'):
        whole(good, bad)
    run = whole(good, bad, output={"columns": ["txt"]})
    assert run.table()["txt"].to_pylist() == TEXTS * 2, "the column is not read where it is not kept"
    assert_kept(whole(good), VALUES[name])


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("place", ["data", "data page's header", "dictionary", "dictionary page's header"])
@pytest.mark.parametrize("checked", [True, False])
def test_a_damaged_page_of_a_dictionary_or_without_checksums(place: str, checked: bool, version: str) -> None:
    dictionary = place.startswith("dictionary")
    values = [f"value {number}" for number in numbers(40)] * 5 if dictionary else VALUES["text"]
    options = {"use_dictionary": ["v"] if dictionary else False, "data_page_version": version}
    bad = damaged(parquet_of(values, compression="zstd", write_page_checksum=checked, **options), place)
    with pytest.raises(MalformedInput, match=r'/in/0\.parquet: column "v" of row group 0 cannot be read'):
        whole(bad)
    assert whole(bad, output={"columns": ["txt"]}).report()["outcomes"]["succeeded"] == ROWS


def test_damage_that_arrow_does_not_report_as_such_is_named_too() -> None:
    """A page of a dictionary that has no rows, and a footer with two names for one column."""
    good = parquet_of(["x", "y"] * 100, use_dictionary=["v"], compression="none", data_page_version="2.0")
    page = pq.read_metadata(io.BytesIO(good)).row_group(0).column(1).data_page_offset
    said = []
    for at in range(page, page + 12):
        with pytest.raises(MalformedInput) as caught:
            whole(good[:at] + b"\xbd" + good[at + 1 :])
        said.append(str(caught.value))
    assert any(f"{ROWS} rows from row 1 on were planned, but 0 were read. The file is damaged." in one for one in said)
    at = good.rindex(b"\x01v")
    with pytest.raises(MalformedInput, match="is not a readable Parquet file.* Write the file again"):
        whole(good[:at] + b"\x01w" + good[at + 2 :])


def test_a_damaged_page_far_from_all_sampled_rows_is_found_too() -> None:
    """Planning reads the first rows of some row groups; all others are read when their shard is prepared."""
    values = [f"value {number}" for number in numbers(2_000)]
    table = pa.table({"txt": [f"text {number}" for number in range(2_000)], "v": values})
    body = bytearray(parquet_bytes(table, use_dictionary=False, data_page_size=4096, write_batch_size=50))
    chunk = pq.read_metadata(io.BytesIO(bytes(body))).row_group(0).column(1)
    at = chunk.data_page_offset + chunk.total_compressed_size - 200
    body[at : at + 40] = b"\xff" * 40
    with pytest.raises(MalformedInput, match=r'/in/0\.parquet: column "v" of row group 0 cannot be read'):
        whole(bytes(body))


# --- Views, which Arrow knows and cannot handle everywhere ---

LONG = "longer than the twelve bytes that a view holds itself"
VIEWS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "text": (pa.string_view(), [LONG, "short", None]),
    "bytes": (pa.binary_view(), [LONG.encode(), b"\xff", None]),
    "member text": (pa.struct([("a", pa.string_view()), ("n", pa.int64())]), [{"a": LONG, "n": 1}, None]),
    "member bytes": (pa.struct([("a", pa.binary_view())]), [{"a": LONG.encode()}, {"a": None}, None]),
    "member of a member": (pa.struct([("s", pa.struct([("a", pa.string_view())]))]), [{"s": {"a": LONG}}, None]),
    "list of views": (pa.list_(pa.string_view()), [[LONG, None, "b"], [], None]),
    "large list of views": (pa.large_list(pa.string_view()), [[LONG, None], None]),
    "vector of views": (pa.list_(pa.string_view(), 2), [[LONG, "b"], ["c", None]]),
    "map of views": (pa.map_(pa.string_view(), pa.string_view()), [[("k", LONG), ("l", None)], [], None]),
}


@pytest.mark.parametrize("form", ["parquet", "jsonl", "csv"])
@pytest.mark.parametrize("name", VIEWS)
def test_views_are_kept(name: str, form: str) -> None:
    kind, values = VIEWS[name]
    cells = (values * ROWS)[:ROWS]
    table = pa.table({"txt": TEXTS, "v": pa.array(cells, kind)})
    run = whole(parquet_bytes(table), parquet_bytes(table), output={"format": form})
    assert run.report()["outcomes"]["succeeded"] == 2 * ROWS
    if form == "parquet":
        assert "view" not in str(assert_kept(run, cells * 2).schema.field("v").type)


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_view(pa.string()),
        pa.large_list_view(pa.int64()),
        pa.struct([("l", pa.list_view(pa.int64()))]),
        pa.list_(pa.list_view(pa.int64())),
        pa.map_(pa.string(), pa.list_view(pa.int64())),
    ],
    ids=str,
)
def test_list_views_cannot_be_kept(kind: pa.DataType) -> None:
    """Arrow casts and cuts them wrongly. Left out, they do not matter."""
    table = pa.table({"txt": TEXTS, "v": pa.nulls(ROWS, kind)})
    with pytest.raises(InvalidRunInput, match='The output cannot keep the column "v" of type'):
        whole(parquet_bytes(table))
    run = whole(parquet_bytes(table), output={"columns": ["txt"]})
    assert run.report()["outcomes"]["succeeded"] == ROWS


def test_a_view_may_be_what_the_prompt_asks_about() -> None:
    table = pa.table({"txt": pa.array([*TEXTS[1:], None], pa.string_view())})
    run = whole(parquet_bytes(table))
    assert run.table()["txt"].to_pylist() == [*TEXTS[1:], None]
    assert run.report()["outcomes"]["succeeded"] == ROWS - 1

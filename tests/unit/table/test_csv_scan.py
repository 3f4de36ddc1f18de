"""Record boundaries must be those of the CSV reader, for any chunks of bytes."""

import csv
import io
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bedrock_batch.errors import MalformedInput
from bedrock_batch.table import csv_scan
from bedrock_batch.table.csv_scan import CsvScanner
from bedrock_batch.table.layout import Layout


def scan(data: bytes, step: int = 1 << 20, **options: Any) -> Layout:
    scanner = CsvScanner("t.csv", **options)
    for at in range(0, len(data), step):
        scanner.feed(data[at : at + step])
    return scanner.finish()


def records(data: bytes, layout: Layout) -> list[bytes]:
    """Return the bytes of every record; every row has a mark here."""
    edges = layout.bytes_at.tolist()
    assert layout.rows_at.tolist() == list(range(len(edges)))
    return [data[start:end] for start, end in pairwise(edges)]


def parse(data: bytes, width: int) -> list[list[str]]:
    """Return the rows that Prepare shard's CSV reader reads from some records."""
    names = [str(index) for index in range(width)]
    table = pa.csv.read_csv(
        pa.BufferReader(data),
        read_options=pa.csv.ReadOptions(column_names=names, block_size=len(data) + 1),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )
    return [list(row.values()) for row in table.to_pylist()]


CELL = st.text(st.sampled_from('ab",\n\r é'), max_size=6)


def quoted(cell: str, always: bool) -> str:
    # Not csv.writer: below Python 3.13 it leaves a CR unquoted where LF ends the lines.
    return '"' + cell.replace('"', '""') + '"' if always or set(cell) & set('",\n\r') else cell


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[list[str]], bytes]:
    """Draw a table and a CSV of it: quoted where needed, or everywhere, with any line end and empty lines."""
    width = draw(st.integers(2, 3))
    rows = draw(st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1, max_size=9))
    data = ""
    ends = draw(st.sampled_from([["\r", "\r\r"], ["\n", "\r\n", "\n\n", "\r\n\r\n"]]))
    for row in rows:
        always = draw(st.booleans())
        data += ",".join(quoted(cell, always) for cell in row) + draw(st.sampled_from(ends))
    return rows, (data.rstrip("\r\n") if draw(st.booleans()) else data).encode()


@settings(max_examples=60)
@given(tables(), st.integers(1, 9))
@example(([["a", "b"], ["c", "d"]], b"\n\r\n\na,b\r\n\r\n\nc,d"), 1)
def test_every_record_parses_alone_to_its_row(table: tuple[list[list[str]], bytes], step: int) -> None:
    rows, data = table
    layout = scan(data, step)
    assert layout.rows == len(rows)
    assert [parse(record, len(rows[0])) for record in records(data, layout)] == [[row] for row in rows]
    whole = scan(data)
    assert (whole.rows_at.tolist(), whole.bytes_at.tolist()) == (layout.rows_at.tolist(), layout.bytes_at.tolist())


@settings(max_examples=40)
@given(tables(), st.integers(1, 50), st.integers(2, 6))
def test_block_edges_do_not_matter(table: tuple[list[list[str]], bytes], step: int, block: int) -> None:
    _, data = table
    expected = scan(data).bytes_at.tolist()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_scan, "_BLOCK", block)
        assert scan(data, step).bytes_at.tolist() == expected


@settings(max_examples=40)
@given(tables(), st.integers(1, 20), st.integers(1, 9))
def test_limit_gives_the_first_rows_and_their_exact_end(
    table: tuple[list[list[str]], bytes], limit: int, step: int
) -> None:
    rows, data = table
    whole, part = scan(data), scan(data, step, limit=limit)
    assert part.rows == min(limit, len(rows))
    assert part.bytes_at.tolist() == whole.bytes_at.tolist()[: part.rows + 1]


def test_the_header_is_no_row() -> None:
    layout = scan(b'"a\nb",c\n1,2\n3,4\n', header=1)
    assert (layout.rows, layout.bytes_at.tolist()) == (2, [8, 12, 16])
    assert scan(b"a,b\n", header=1).rows == 0
    assert scan(b"", header=1).rows == 0


def test_offsets_count_from_the_start_of_the_file() -> None:
    assert scan(b"a\n1\n", header=1, start=3).bytes_at.tolist() == [5, 7]


@pytest.mark.parametrize("rows", [0, 1, 4, 5, 100, 1001])
def test_marks_thin_out_and_stay_exact(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bedrock_batch.table.layout.MOST_MARKS", 8)
    data = b"".join(b"%06d\n" % row for row in range(rows))
    layout = scan(data, 13)
    assert len(layout.rows_at) <= 9
    assert layout.rows == rows
    assert layout.bytes_at.tolist() == [row * 7 for row in layout.rows_at.tolist()]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'h,i\n1,2\n3,5" pipe\n4,6" pipe\n', r"t\.csv: row 2 .* at byte 11\."),
        (b'h,i\n1,2\n3, "x"\n', "row 2 .* at byte 11"),
        (b'h,i\n"he said "hi" ok",2\n', "row 1 .* at byte 16"),
        (b'h"x,i\n1,2\n', "the header .* at byte 1"),
        (b'h,i\n1,2\n3,"open\n4,5\n', "begins at byte 10, in row 2, has no closing quote"),
    ],
)
@pytest.mark.parametrize("step", [1, 2, 100])
def test_a_stray_quote_is_found_where_it_is(data: bytes, message: str, step: int) -> None:
    with pytest.raises(MalformedInput, match=message):
        scan(data, step, header=1)


@pytest.mark.parametrize("step", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("data", "row"),
    [(b"h\n1\nx\ry\n", "row 2"), (b"h\n1\r\n2\r\nx\r", None), (b"h\r1\n", "the header"), (b"h\r1\r", None)],
)
def test_a_lone_carriage_return_among_line_feeds_is_refused(data: bytes, row: str | None, step: int) -> None:
    if row is None:
        assert scan(data, step, header=1).rows >= 1
        return
    with pytest.raises(MalformedInput, match=f"{row} has a carriage return outside quotes"):
        scan(data, step, header=1)


@given(st.lists(st.text(st.sampled_from('x,"\n'), max_size=8), min_size=1, max_size=6))
def test_what_passes_the_strict_check_is_what_the_reader_sees(parts: list[str]) -> None:
    data = ("\n".join(parts)).encode()
    try:
        layout = scan(data)
    except MalformedInput:
        return
    # csv, not strict, reads anything: the same number of records means the same boundaries.
    seen = [row for row in csv.reader(io.StringIO(data.decode(), newline="")) if row]
    assert layout.rows == len(seen)


def test_what_lies_behind_the_limit_is_not_judged() -> None:
    assert scan(b'1,2\n3,4\n5,6"\n', limit=2).rows == 2
    assert scan(b"1,2\n3,4\n5,6\r7,8\n", limit=2).rows == 2


def test_other_quotes_and_delimiters() -> None:
    assert scan(b"a;'x\ny'\nb;\"\n", delimiter=";", quote="'").bytes_at.tolist() == [0, 8, 12]

"""CSV of many programs and people: every dialect gives the same table, or an error that says what to do."""

import gzip
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bedrock_batch import errors
from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.plan import sampling
from bedrock_batch.run_input import validate
from bedrock_batch.table import input_files, read
from bedrock_batch.table.deadline import Deadline
from tests.conftest import BUCKET
from tests.functional.tables import QUOTAS, STAGED, cut, describe, gz, put, read_all, zst

PACKINGS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gz, ".zst": zst}

Values = list[list[str]]


def values(s3: S3, body: bytes, key: str = "t.csv", **csv_: Any) -> Values:
    """Return names and cells of a CSV, which is read twice: in shards of one row, and in one shard."""
    found = describe(s3, put(key, body), csv=csv_)
    assert sampling.kept_expansion(found, found.schema.names) > 0
    alone, whole = (
        read_all(s3, found, quotas=QUOTAS | {"min_records": 1, "max_records": most}) for most in (1, 10_000)
    )
    assert alone == whole
    return [found.schema.names, *(list(row.values()) for row in whole)]


# --- Any dialect


@st.composite
def written(draw: st.DrawFn) -> tuple[Values, bytes, str, dict[str, Any]]:
    """Draw a table, a CSV of it in some dialect, its suffix, and the run input's `csv`."""
    delimiter = draw(st.sampled_from(",;|\t^"))
    quote = draw(st.sampled_from("\"'"))
    escape = draw(st.sampled_from([None, "\\", "!"]))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-16", "gb18030"]))
    header = draw(st.sampled_from(["names", "sep", "replace", "none"]))
    skipped = draw(st.lists(st.text(st.sampled_from("ab\"',;\\"), max_size=6), max_size=3))
    empty = draw(st.integers(0, 2)) if header in ("names", "sep") else 0
    cell = st.text(st.sampled_from(f"ab é日\\!\n\r{delimiter}{quote}\"'"), max_size=6)
    width = draw(st.integers(1, 3))
    names = [f"n{number} \\{quote}{delimiter}" for number in range(width)]
    rows = draw(st.lists(st.lists(cell, min_size=width, max_size=width), min_size=1, max_size=6))

    def field(text: str) -> str:
        if escape is None or draw(st.booleans()):
            escaped = text if escape is None else text.replace(escape, escape + escape)
            return quote + escaped.replace(quote, quote + quote) + quote
        inside = draw(st.booleans())
        special = {escape, quote} if inside else {escape, quote, delimiter, "\n", "\r"}
        escaped = "".join(escape + character if character in special else character for character in text)
        # A record that is empty or blank would be no row, and an empty cell needs no quotes.
        return f"{quote}{escaped}{quote}" if inside or width == 1 or not text else escaped

    lines = [delimiter.join(map(field, row)) for row in rows]
    csv_: dict[str, Any] = {"quote": quote, "delimiter": delimiter, "escape": escape, "encoding": encoding}
    if header in ("names", "sep"):
        lines.insert(0, delimiter.join(map(field, names)))
    elif header == "replace":
        lines.insert(0, delimiter.join(map(field, map(str, range(width)))))
    if header in ("replace", "none"):
        csv_ |= {"columns": names, "header": header}
    lines = [line + delimiter * empty for line in lines]
    if header == "sep":
        lines.insert(0, f"sep={delimiter}")
        csv_.pop("delimiter")
    text = end.join([*skipped, *lines]) + (end if draw(st.booleans()) else "")
    csv_["skip_lines"] = len(skipped)
    suffix = draw(st.sampled_from(list(PACKINGS)))
    mark = "\ufeff" if encoding == "utf-8" and draw(st.booleans()) else ""
    body = PACKINGS[suffix]((mark + text).encode(encoding))
    return [names, *rows], body, suffix, {key: value for key, value in csv_.items() if value is not None}


@given(written())
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_dialect_gives_the_table_back(aws: None, case: tuple[Values, bytes, str, dict[str, Any]]) -> None:
    table, body, suffix, csv_ = case
    validate.validate({"s3_uri": "s3://bucket/t.csv", "model_id": "m", "input": {"csv": csv_}})
    assert values(S3(clients.s3()), body, f"t.csv{suffix}", **csv_) == table


# --- Escapes


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_quote_may_stand_behind_an_escape(s3: S3, packing: str) -> None:
    body = PACKINGS[packing](b'id,review\n1,"she said \\"good\\" and left"\n2,"a ""b"""\n3,"\\\\"\n')
    rows = [["1", 'she said "good" and left'], ["2", 'a "b"'], ["3", "\\"]]
    assert values(s3, body, f"t.csv{packing}", escape="\\") == [["id", "review"], *rows]
    with pytest.raises(errors.MalformedInput, match=r'row 1 has a quote .* set input.csv.escape to "\\\\"'):
        describe(s3, f"s3://{BUCKET}/t.csv{packing}")


def test_an_escape_keeps_delimiters_and_line_ends_in_cells(s3: S3) -> None:
    body = b'a,b\n1,x\\,y\n2,x\\\ny\n3,\\\\\n4,\\"x\n5,x\\\r\n'
    rows = [["1", "x,y"], ["2", "x\ny"], ["3", "\\"], ["4", '"x'], ["5", "x\r"]]
    assert values(s3, body, escape="\\") == [["a", "b"], *rows]


def test_an_escape_that_is_the_quote_is_a_doubled_quote(s3: S3) -> None:
    assert values(s3, b'a,b\n1,"x ""y"""\n', escape='"') == [["a", "b"], ["1", 'x "y"']]


def test_an_escape_with_nothing_behind_it_is_refused(s3: S3) -> None:
    with pytest.raises(errors.MalformedInput, match=r"t\.csv ends in the character of input.csv.escape"):
        describe(s3, put("t.csv", b"a,b\n1,x\\"), csv={"escape": "\\"})


def test_shards_are_read_in_blocks_that_end_at_escapes(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [[str(number), 'x"\n\\' * number] for number in range(6)]
    text = "".join('{},"{}"\n'.format(*(c.replace("\\", r"\\").replace('"', r"\"") for c in row)) for row in rows)
    found = describe(s3, put("t.csv", b"a,b\n" + text.encode()), csv={"escape": "\\"})
    for size in range(5, 25):
        monkeypatch.setattr("bedrock_batch.aws.s3.READ_BYTES", size)
        assert [list(row.values()) for row in read_all(s3, found, max_records=100)] == rows


@pytest.mark.parametrize(
    ("csv_", "message"),
    [
        ({"escape": ","}, "input.csv.delimiter and input.csv.escape are both ','"),
        ({"escape": "é"}, "input.csv.escape must be one ASCII character"),
        ({"quote": "\0"}, "input.csv.quote must be one ASCII character, but no line end and no NUL"),
        (
            {"escape": "\\", "null_values": ["\\N"]},
            "input.csv.null_values has .* contains the character of input.csv.escape",
        ),
        ({"header": "replace"}, 'input.csv.header is "replace", so input.csv.columns must'),
        ({"header": "none"}, 'input.csv.header is "none", so input.csv.columns must'),
    ],
)
def test_a_dialect_that_cannot_be_is_refused(s3: S3, csv_: dict[str, Any], message: str) -> None:
    with pytest.raises(errors.InvalidRunInput, match=message):
        describe(s3, put("t.csv", b"a,b\n1,2\n"), csv=csv_)


# --- Before the first row


@pytest.mark.parametrize(
    "head", [b"sep=;\n", b"SEP=;\r\n", b'"sep=;"\n', b"\xef\xbb\xbfsep=;\n", b"sep=;;;\n", b"\n\nsep=;\n"]
)
@pytest.mark.parametrize("packing", PACKINGS)
def test_a_line_names_the_delimiter(s3: S3, head: bytes, packing: str) -> None:
    body = PACKINGS[packing](head + b"id;review\n1;a,b\n")
    assert values(s3, body, f"t.csv{packing}") == [["id", "review"], ["1", "a,b"]]
    assert values(s3, body, f"t.csv{packing}", delimiter=";") == [["id", "review"], ["1", "a,b"]]
    with pytest.raises(errors.InvalidRunInput, match=r't\.csv.* names ";" in its line sep='):
        describe(s3, f"s3://{BUCKET}/t.csv{packing}", csv={"delimiter": ","})


def test_each_file_has_its_own_delimiter_and_end(s3: S3) -> None:
    put("d/0.csv", b"sep=;\na;b\n1;2,0\n")
    put("d/1.csv", b"b,a,,\n4,3,,\n")
    put("d/2.csv.gz", gz(b"sep=|\na|b|\n5|6|\n"))
    found = describe(s3, f"s3://{BUCKET}/d/")
    assert [list(row.values()) for row in read_all(s3, found)] == [["1", "2,0"], ["3", "4"], ["5", "6"]]


def test_lines_before_the_header_are_left_out(s3: S3) -> None:
    body = b'Export "of\r\n\r\nMonday, 5" pipe\r\nid,review\r\n1,a\r\n'
    assert values(s3, body, skip_lines=3) == [["id", "review"], ["1", "a"]]
    assert values(s3, body, skip_lines=4, columns=["x", "y"]) == [["x", "y"], ["1", "a"]]
    with pytest.raises(errors.MalformedInput, match="nothing after the 9 lines that input.csv.skip_lines skips"):
        describe(s3, f"s3://{BUCKET}/t.csv", csv={"skip_lines": 9})


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("given", [{}, {"columns": ["id", "review"]}])
def test_a_file_of_skipped_lines_alone_takes_no_part(s3: S3, given: dict[str, Any], packing: str) -> None:
    for name, body in (("a", b"No rows\nof that day\n"), ("b", b"Rows\nof that day\n" + b"id,review\n" * (not given))):
        put(f"d/{name}.csv{packing}", PACKINGS[packing](body + b"1,a\n" * (name == "b")))
    options = {"csv": {"skip_lines": 2, **given}}
    with pytest.raises(errors.EmptyInput, match=f"no rows: .*/d/a.csv{packing}"):
        describe(s3, f"s3://{BUCKET}/d/a.csv{packing}", **options)
    assert read_all(s3, describe(s3, f"s3://{BUCKET}/d/", **options)) == [{"id": "1", "review": "a"}]


def test_a_header_may_be_replaced(s3: S3) -> None:
    body = b"id,review\n1,a\n"
    assert values(s3, body, columns=["x", "y"], header="replace") == [["x", "y"], ["1", "a"]]
    assert values(s3, body, columns=["x", "y"]) == [["x", "y"], ["id", "review"], ["1", "a"]]
    assert values(s3, b"id,review,,\n1,a,,\n", columns=["x", "y"], header="replace") == [["x", "y"], ["1", "a"]]
    assert values(s3, b"1,1,\n1,a,b\n", columns=["x", "y", "z"], header="replace") == [["x", "y", "z"], ["1", "a", "b"]]
    for columns in (["x"], ["x", "y", "z"]):
        with pytest.raises(errors.MalformedInput, match=f"header row has 2 columns.*has {len(columns)} names"):
            describe(s3, put("t.csv", body), csv={"columns": columns, "header": "replace"})


def test_a_first_row_that_repeats_the_columns_is_no_row(s3: S3) -> None:
    names = ["id", "review"]
    with pytest.raises(errors.MalformedInput, match=r'has the names of input.csv.columns.*"replace" if'):
        describe(s3, put("t.csv", b"id,review\n1,a\n"), csv={"columns": names})
    assert values(s3, b"id,review\n1,a\n", columns=names, header="none") == [names, names, ["1", "a"]]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"good,good\nbad,bad\n", r'two columns named "good".* no header row, name their columns in input.csv.columns'),
        (b",\n1,2\n", "no column has a name in the header row. If the files have no header row"),
        (b'"' + b"x" * (5 << 20), "first line is longer than 4 MB. A header row was expected there. If"),
        (b"\n" * (5 << 20), "begins with blank lines longer than 4 MB"),
    ],
)
def test_what_is_no_header_is_refused_with_a_hint(s3: S3, body: bytes, message: str) -> None:
    with pytest.raises(errors.MalformedInput, match=rf"t\.csv.*{message}"):
        describe(s3, put("t.csv", body))


@pytest.mark.parametrize("columns", [["1", "good one"], ["a", ""], ["2026-01-02", "x"], ["x", "x"]])
def test_columns_that_look_like_cells_get_a_hint(columns: list[str]) -> None:
    assert "if a CSV has no header row" in str(errors.missing_column("It has", "review", columns))
    assert "no header row" not in str(errors.missing_column("It has", "review", ["id", "q1", "label"]))


# --- Trailing delimiters


@pytest.mark.parametrize("packing", PACKINGS)
def test_empty_columns_at_the_end_are_left_out(s3: S3, packing: str) -> None:
    body = PACKINGS[packing](b"review,,\r\ngood,,\r\n,,\r\nbad,,\r\n")
    assert values(s3, body, f"t.csv{packing}") == [["review"], ["good"], [""], ["bad"]]


def test_a_cell_in_a_column_without_a_name_is_refused(s3: S3) -> None:
    found = describe(s3, put("t.csv", b"review,,\ngood,,\nbad,,secret\n"))
    with pytest.raises(errors.MalformedInput, match=r"t\.csv: row 2 has a cell after the last column") as caught:
        read_all(s3, found)
    assert "secret" not in str(caught.value)


def test_other_columns_without_a_name_are_named_by_position(s3: S3) -> None:
    assert values(s3, b",a,,b\n0,1,2,3\n") == [["column_1", "a", "column_3", "b"], ["0", "1", "2", "3"]]
    with pytest.raises(errors.MalformedInput, match='two columns named "column_1"'):
        describe(s3, put("t.csv", b",column_1\n0,1\n"))


# --- Line ends, and ends of files


@pytest.mark.parametrize("body", [b"a\r\nx\ny\r\n", b"a\r\nx\r\ny\nz\r\n", b"a\nx\r\n", b"a\r\nx\n"])
@pytest.mark.parametrize("width", [1, 2])
def test_line_ends_are_judged_alike_with_one_column_and_with_many(s3: S3, body: bytes, width: int) -> None:
    if width == 1:
        with pytest.raises(errors.MalformedInput, match="a line feed alone outside quotes"):
            describe(s3, put("t.csv", body))
        assert values(s3, b'a\r\n"x\ny"\r\n') == [["a"], ["x\ny"]]
    else:
        found = describe(s3, put("t.csv", b"i,a\r\n1,x\ny\r\n"))
        with pytest.raises(
            errors.MalformedInput,
            match="row 2 has 1 cell where 2 were expected.*holds a line end, put the cell in quotes",
        ):
            read_all(s3, found)


@pytest.mark.parametrize(
    ("tail", "name"),
    [(b"\x1a", "Ctrl-Z"), (b"\x1a\n", "Ctrl-Z"), (b"\0" * 9, "zeros"), (b"\0" * 9000, "zeros"), (b"3,4\x1a", "Ctrl-Z")],
)
@pytest.mark.parametrize("packing", PACKINGS)
def test_an_end_that_is_no_text_is_named(s3: S3, tail: bytes, name: str, packing: str) -> None:
    for body in (b"a,b\n1,2\n", b"a\n1\n"):
        uri = put(f"t.csv{packing}", PACKINGS[packing](body + tail))
        with pytest.raises(errors.MalformedInput, match=rf"t\.csv{packing} ends in {name}"):
            describe(s3, uri)
        assert describe(s3, uri, limit=1).table.rows == 1
    assert values(s3, b"a,b\n1,\x1a\n") == [["a", "b"], ["1", "\x1a"]]


# --- Hints


@pytest.mark.parametrize("other", [";", "|", "\t"])
def test_another_delimiter_is_named(s3: S3, other: str) -> None:
    hint = r"set input\.csv\.delimiter to \"(;|\||\\t)\""
    quoted = b'id,review\n1,"good; bad"\n'.replace(b",", other.encode())
    with pytest.raises(errors.MalformedInput, match=rf"row 1 has a quote inside an unquoted field.*{hint}"):
        describe(s3, put("t.csv", quoted))
    found = describe(s3, put("t.csv", b"id,review\n".replace(b",", other.encode()) + b"1;a, b\n"))
    with pytest.raises(errors.MalformedInput, match=f"row 1 has 2 cells where 1 were expected.*{hint}"):
        read_all(s3, found)
    wrong = errors.missing_column("It has", "review", found.schema.names)
    assert "separates cells, set input.csv.delimiter to it" in str(wrong)


# --- Parts, and sizes


def test_a_dialect_is_known_where_planning_goes_on(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'title\nsep=;\na;b;\n"x\\"";\\;;\n' + b"1;2;\n" * 40
    put("t.csv", body)
    files = read.Files(s3, input_files.find(s3, f"s3://{BUCKET}/t.csv"))
    options = {"csv": {"skip_lines": 1, "escape": "\\"}}
    monkeypatch.setattr("bedrock_batch.aws.s3.READ_BYTES", 50)
    monkeypatch.setattr("bedrock_batch.table.csv_head.HEAD_BYTES", 40)
    clock = iter(range(1000))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    calls = 0
    while True:
        calls += 1
        try:
            found = read.describe(files, options=options, staged=STAGED, deadline=Deadline(next(clock) + 3))
            break
        except errors.PlanUnfinished:
            continue
    assert calls > 1
    assert [list(row.values()) for row in read_all(s3, found)] == [['x"', ";"], *[["1", "2"]] * 40]


def test_a_record_without_end_is_refused(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bedrock_batch.table.csv_scan.MOST_RECORD_BYTES", 1 << 20)
    for body in (b"a,b\n1," + b"x" * (5 << 20), b'a,b\n1,2\n3,"' + b"\n" * (5 << 20), b"a,b\n1,2" + b"\n" * (5 << 20)):
        with pytest.raises(errors.MalformedInput, match=r"row [12] has more than 1 MB"):
            describe(s3, put("t.csv.gz", gzip.compress(body)))
    assert not [item for item in s3.list(*STAGED) if item.key.endswith(".csv")]
    assert len(cut(describe(s3, put("t.csv", b"a,b\n1,2\n\n\n")))) == 1

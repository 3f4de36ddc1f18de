"""Text takes longer to read than a function may run: the next call continues, and the plan is the same."""

import math

import pytest

from bedrock_batch import errors
from bedrock_batch.aws.s3 import S3
from bedrock_batch.table import csv_format, deadline, input_files, jsonl_format
from bedrock_batch.table.deadline import NO_DEADLINE, Deadline
from bedrock_batch.table.read import Files, describe
from tests.conftest import BUCKET
from tests.functional.planned import plan
from tests.functional.tables import STAGED, csv_bytes, gz, jsonl_bytes, put
from tests.unit.factories import HAIKU


@pytest.mark.parametrize("key", ["t.csv", "t.csv.gz", "t.jsonl"])
def test_a_text_that_takes_too_long_to_read_ends_the_run(s3: S3, key: str) -> None:
    body = b"a\n1\n" if "csv" in key else b'{"a":1}\n'
    uri = put(key, gz(body) if key.endswith("gz") else body)
    files = Files(s3, input_files.find(s3, uri))
    for in_time in (Deadline.within(60), NO_DEADLINE):
        assert describe(files, options={}, staged=STAGED, deadline=in_time).table.rows == 1
    with pytest.raises(errors.TooLarge, match=f"{uri} alone takes longer.*Parquet"):
        describe(files, options={}, staged=STAGED, deadline=Deadline.within(-1))


def one_file_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for reader in (csv_format.CsvReader, jsonl_format.JsonlReader):
        monkeypatch.setattr(reader, "concurrent_files", 1)


class Clock:
    """A clock that advances by one with every chunk that is read."""

    def __init__(self) -> None:
        self.now = 0

    def monotonic(self) -> float:
        self.now += 1
        return self.now


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "jsonl"])
def test_planning_that_runs_out_of_time_goes_on_behind_the_files_it_has_read(
    s3: S3, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        rows = [{"a": f"é{number}", "b" if number == 3 else "c": "NA"}] * (number + 1)
        plain = jsonl_bytes(rows) if suffix == "jsonl" else csv_bytes([["a", "c"], *(list(r.values()) for r in rows)])
        put(f"many/{number}.{suffix}", gz(plain) if suffix.endswith("gz") else plain)
    files = Files(s3, input_files.find(s3, f"s3://{BUCKET}/many/"))
    whole = describe(files, options={}, staged=STAGED)
    one_file_at_a_time(monkeypatch)
    for read in ("2 of 5", "4 of 5"):
        monkeypatch.setattr(deadline, "time", Clock())
        with pytest.raises(errors.PlanUnfinished, match=read):
            describe(files, options={}, staged=STAGED, deadline=Deadline(2))
    monkeypatch.setattr(deadline, "time", clock := Clock())
    found = describe(files, options={}, staged=STAGED, deadline=Deadline(2))
    assert clock.now == 1, "one file was left"
    assert (found.table, found.sources) == (whole.table, whole.sources)
    assert [[*layout.rows_at, *layout.bytes_at] for layout in found.layouts] == [
        [*layout.rows_at, *layout.bytes_at] for layout in whole.layouts
    ]


def test_what_was_read_of_a_file_that_changed_since_is_forgotten(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(2):
        put(f"many/{number}.csv", b"a\n1\n")
    one_file_at_a_time(monkeypatch)
    monkeypatch.setattr(deadline, "time", Clock())
    with pytest.raises(errors.PlanUnfinished, match="1 of 2"):
        describe(
            Files(s3, input_files.find(s3, f"s3://{BUCKET}/many/")), options={}, staged=STAGED, deadline=Deadline(1)
        )
    put("many/0.csv", b"a\n1\n2\n")
    assert describe(Files(s3, input_files.find(s3, f"s3://{BUCKET}/many/")), options={}, staged=STAGED).table.rows == 3


_ODD_ROWS = [{"a": f'é{number}\n"{number}"', "b": "x" * (number * 7 % 40)} for number in range(60)]
_ODD_TABLES = {
    "lf.csv": b"\xef\xbb\xbf" + csv_bytes([["a", "b"], *(list(row.values()) for row in _ODD_ROWS)]),
    "crlf.csv": b'a,b\r\n\r\n"1\r\n\r\n2",3\r\n\r\n\r\n"""",4\r\n' * 40 + b"last,one",
    "cr.csv": b"a,b\r" + b'"1\r2",3\r\r' * 60,
    "t.jsonl": b"\xef\xbb\xbf" + jsonl_bytes(_ODD_ROWS) + b'\n \n{"c":1}\n\n{"b":"","d":2.5}',
}


@pytest.mark.parametrize("key", _ODD_TABLES)
@pytest.mark.parametrize("limit", [None, 31])
def test_a_file_is_read_in_as_many_turns_as_it_takes_and_gives_what_one_turn_would(
    s3: S3, key: str, limit: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Files(s3, input_files.find(s3, put(key, _ODD_TABLES[key])))
    monkeypatch.setattr("bedrock_batch.table.layout.MOST_MARKS", 9)
    whole = describe(files, options={}, limit=limit, staged=STAGED)
    monkeypatch.setattr("bedrock_batch.aws.s3.READ_BYTES", 23)
    turns = 0
    while True:
        monkeypatch.setattr(deadline, "time", Clock())
        try:
            found = describe(files, options={}, limit=limit, staged=STAGED, deadline=Deadline(6))
        except errors.PlanUnfinished as err:
            assert "0 of 1 text files" in str(err)
            turns += 1
        else:
            break
    assert turns > 0
    assert (found.table, found.sources) == (whole.table, whole.sources)
    assert [[*layout.rows_at, *layout.bytes_at] for layout in found.layouts] == [
        [*layout.rows_at, *layout.bytes_at] for layout in whole.layouts
    ]


def test_a_row_that_takes_longer_than_a_turn_ends_the_run(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    files = Files(s3, input_files.find(s3, put("t.csv", b"a\n1\n" + b"x" * 500 + b"\n2\n")))
    monkeypatch.setattr("bedrock_batch.aws.s3.READ_BYTES", 8)
    for expected in (errors.PlanUnfinished, errors.TooLarge):
        monkeypatch.setattr(deadline, "time", Clock())
        with pytest.raises(expected):
            describe(files, options={}, staged=STAGED, deadline=Deadline(20))


@pytest.mark.parametrize(("seconds", "planned"), [(math.inf, True), (120, True), (59, False)])
def test_planning_stops_a_minute_before_the_function_would_be_stopped(s3: S3, seconds: float, planned: bool) -> None:
    put("in/t.csv", b"text\na\n")
    if planned:
        assert plan(s3, HAIKU, prompt={"text": "{text}"}, seconds=seconds)["shards"] == 1
        return
    with pytest.raises(errors.TooLarge, match=r"t\.csv alone takes longer"):
        plan(s3, HAIKU, prompt={"text": "{text}"}, seconds=seconds)

"""JSON files without one object on each line are refused when the run is planned, with a command that helps."""

import gzip
import re
import tracemalloc
from collections.abc import Callable

import pytest

from bedrock_batch import errors
from bedrock_batch.aws.s3 import S3
from tests.functional.tables import STAGED, describe, gz, put, read_all, zst

PACKINGS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gz, ".zst": zst}
BOM = b"\xef\xbb\xbf"

ITEMS, OBJECTS, MARKS = "jq -c '.[]' in.json", "jq -c . in.json", "sed 's/"


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize(
    ("body", "what", "command"),
    [
        (b'[{"a": 1}, {"a": 2}]', "is one JSON array: it begins with [", ITEMS),
        (BOM + b'\n  [\n  {"a": 1},\n  {"a": 2}\n]\n', "is one JSON array: it begins with [", ITEMS),
        (b"[" + b'{"a": 1},' * 500_000, "is one JSON array: it begins with [", ITEMS),
        (b'{"a": 1}\n[{"a": 1}]\n', "row 2 is an array, not an object", ITEMS),
        (b'{\n  "a": 1\n}\n{\n  "a": 2\n}\n', "row 1 has only the beginning of an object", OBJECTS),
        (b'{"a": 1}\n{"a": [\n1]}\n', "row 2 has only the beginning of an object", OBJECTS),
        (b'{"a": 1,\r\n"b": 2}\r\n', "row 1 has only the beginning of an object", OBJECTS),
        (b'{"a": 1}{"a": 2}\n', "row 1 has several JSON objects", OBJECTS),
        (b'{"a": 1}\n{"a": 1}, {"a": 2}\n', "row 2 has several JSON objects", OBJECTS),
        (b'{"a": 1},\r\n{"a": 2}\r\n', "row 1 has a comma after its object", "sed 's/},[[:space:]]*$/}/'"),
        (b'{"a": 1}\n' + BOM + b'{"a": 2}\n', "row 2 has a byte order mark before an object", MARKS),
        (b'{"a": 1}' + BOM + b'{"a": 2}\n', "row 1 has a byte order mark before an object", MARKS),
        (b'{"a": 1}\n\x1a', "row 2 ends in zeros or Ctrl-Z", "Remove what follows the last object"),
        (b'{"a": 1}\n{"a": 2}\x1a\n', "row 2 ends in zeros or Ctrl-Z", "Remove what follows"),
        (b'{"a": 1}\n' + b"\0" * 5000, "row 2 ends in zeros or Ctrl-Z", "Remove what follows"),
    ],
)
def test_the_way_out_is_named(s3: S3, body: bytes, what: str, command: str, packing: str) -> None:
    uri = put(f"t.json{packing}", PACKINGS[packing](body))
    with pytest.raises(errors.MalformedInput, match=f"{re.escape(uri)}:? {re.escape(what)}.*{re.escape(command)}"):
        describe(s3, uri)


def test_a_mark_within_a_text_is_kept(s3: S3) -> None:
    body = BOM + '{"a": "\ufeffx"}\n'.encode()
    assert read_all(s3, describe(s3, put("t.json", body))) == [{"a": "\ufeffx"}]


class Nowhere:
    """A writer that discards what is written, so that it needs no memory."""

    etag, size = "", 0

    def __enter__(self) -> "Nowhere":
        return self

    def __exit__(self, *error: object) -> None:
        return

    def write(self, data: bytes) -> int:
        self.size += len(data)
        return len(data)


@pytest.mark.parametrize("name", ["t.json.gz", "t.csv.gz"])
def test_line_feeds_without_end_take_no_memory(s3: S3, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "writer", lambda *target: Nowhere())
    uri = put(name, gzip.compress(b"\n" * (16 << 20)) * 16)
    tracemalloc.start()
    with pytest.raises((errors.EmptyInput, errors.MalformedInput), match="no rows|begins with blank lines"):
        describe(s3, uri)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 << 20


def test_a_line_without_end_is_refused_and_its_copy_left_out(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bedrock_batch.table.text_stream.MOST_RECORD_BYTES", 10 << 20)
    packed = gzip.compress(b'{"a": "') + gzip.compress(b"x" * (16 << 20)) * 8
    with pytest.raises(errors.MalformedInput, match=r"t\.json\.gz has a record of more than 10 MB"):
        describe(s3, put("t.json.gz", packed))
    assert not list(s3.list(*STAGED))

"""Read what precedes the first row of a CSV: a byte order mark, lines to skip, a line `sep=;`, the header.

This reads the first bytes of the file, before the scan counts records.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bedrock_batch.contracts.run import Source
from bedrock_batch.errors import InvalidRunInput, MalformedInput
from bedrock_batch.table.csv_dialect import has_header
from bedrock_batch.table.csv_scan import CsvScanner
from bedrock_batch.table.text_stream import BOM

HEAD_BYTES = 4 << 20
"""Most bytes that may precede the first row."""

_LINE = re.compile(rb"[^\r\n]*(\r\n|\n|\r)")
_BLANK_LINES = re.compile(rb"[\r\n]*")
_SEPARATOR = re.compile(rb'"?sep=([^\r\n"])\1*"?(\r\n|\n|\r|\Z)', re.IGNORECASE)
"""The line in which spreadsheets name the delimiter. A spreadsheet that saves it again adds delimiters at its end."""

_NO_HEADER = "If the files have no header row, name their columns in input.csv.columns."


@dataclass(frozen=True, slots=True)
class Head:
    """What precedes the first row.

    `start` is the offset of the first record; the header is a record too. `names` are the columns' names. `own` is the
    file's own part of the dialect (`Source.dialect`): its `delimiter` if it differs, and `unnamed`, the number of
    columns without a name at the end, which are not read.
    """

    start: int
    names: list[str]
    own: dict[str, Any]


class _Unfinished(Exception):
    """The header does not end in the bytes that are known."""


def read(file: Source, next_chunk: Callable[[], bytes | None], csv_: Mapping[str, Any]) -> tuple[Head | None, bytes]:
    """Return the head of a file, or None if the file has no record, and the bytes that were read.

    Reads no more chunks than needed.

    Raises:
        MalformedInput: the header cannot be read; the message names the file.
        InvalidRunInput: the run input and the file name different delimiters.
    """
    data = b""
    while True:
        chunk = next_chunk()
        data += chunk or b""
        try:
            return _head(file, data, csv_, whole=chunk is None), data
        except _Unfinished:
            if len(data) >= HEAD_BYTES:
                what = "its first line is" if data.strip(b"\r\n") else "it begins with blank lines"
                raise MalformedInput(
                    f"{file.uri}: {what} longer than {HEAD_BYTES >> 20} MB. A header row was expected there. "
                    f"{_NO_HEADER}"
                ) from None


def _head(file: Source, data: bytes, csv_: Mapping[str, Any], *, whole: bool) -> Head | None:
    start = len(BOM) if data.startswith(BOM) else 0
    if whole and not data[start:]:
        return None
    start = _skipped(file, data, start, csv_.get("skip_lines") or 0, whole=whole)
    delimiter, start = _delimiter(file, data, start, csv_)
    own: dict[str, Any] = {} if delimiter == csv_["delimiter"] else {"delimiter": delimiter}
    if whole and not data[start:].strip(b"\r\n"):
        return None
    cells = _first_record(file, data, start, {**csv_, **own}, whole=whole)
    given = csv_["columns"]
    if not has_header(csv_):
        if cells == given and csv_.get("header") is None:
            raise MalformedInput(
                f"{file.uri}: the first row has the names of input.csv.columns, as a header would. Set "
                'input.csv.header to "replace" if it is a header, or to "none" if it is a row.'
            )
        return Head(start, given, own)
    named = max((position for position, name in enumerate(cells, 1) if name), default=0)
    names = cells[:named] if given is None else given
    if given is not None and not named <= len(given) <= len(cells):
        raise MalformedInput(
            f"{file.uri}: the header row has {named} columns, but input.csv.columns has {len(given)} names. Name each "
            "column there."
        )
    if not names:
        raise MalformedInput(f"{file.uri}: no column has a name in the header row. {_NO_HEADER}")
    if len(names) < len(cells):
        own["unnamed"] = len(cells) - len(names)
    return Head(start, _named(file, names), own)


def _skipped(file: Source, data: bytes, start: int, lines: int, *, whole: bool) -> int:
    """Return the offset after the lines to skip."""
    for _ in range(lines):
        line = _LINE.match(data, start)
        if line is None and not whole:
            raise _Unfinished
        if line is None:
            raise MalformedInput(
                f"{file.uri} has nothing after the {lines} lines that input.csv.skip_lines skips. Lower that number or "
                "remove the file from the input."
            )
        start = line.end()
    return start


def _delimiter(file: Source, data: bytes, start: int, csv_: Mapping[str, Any]) -> tuple[str, int]:
    """Return the file's delimiter, and the offset after the line that names it, if there is one."""
    blank = _BLANK_LINES.match(data, start)
    line = _SEPARATOR.match(data, blank.end() if blank else start)
    if line is None:
        return csv_["delimiter"], start
    named = line[1].decode("latin-1")
    if not named.isascii() or named in (csv_["quote"], csv_.get("escape")):
        raise MalformedInput(
            f"{file.uri}: its first line, sep=, does not name an ASCII character other than the quote and the escape. "
            "Remove that line."
        )
    if csv_.get("stated") and named != csv_["delimiter"]:
        raise InvalidRunInput(
            f"input.csv.delimiter is {json.dumps(csv_['delimiter'])}, but {file.uri} names {json.dumps(named)} in its "
            "line sep=. Remove one of the two."
        )
    return named, line.end()


def _first_record(file: Source, data: bytes, start: int, csv_: Mapping[str, Any], *, whole: bool) -> list[str]:
    """Return the cells of the first record; none if the files have no header and the record is beyond HEAD_BYTES."""
    scanner = CsvScanner(
        file.uri,
        delimiter=csv_["delimiter"],
        quote=csv_["quote"],
        escape=csv_.get("escape"),
        header=1 if has_header(csv_) else 0,
        start=start,
        limit=0 if has_header(csv_) else 1,
    )
    scanner.feed(data[start:])
    if not scanner.done and not whole:
        if has_header(csv_) or len(data) < HEAD_BYTES:
            raise _Unfinished
        return []
    end = scanner.finish().end
    return _cells(file, data[start:end], csv_)


def _cells(file: Source, record: bytes, csv_: Mapping[str, Any]) -> list[str]:
    what = "header row" if has_header(csv_) else "first row"
    try:
        text = record.decode().lstrip("\r\n")
    except UnicodeDecodeError as err:
        raise MalformedInput(f"{file.uri}: the {what} is not UTF-8. Set input.csv.encoding.") from err
    if "\0" in text:
        raise MalformedInput(f'{file.uri}: the {what} looks like UTF-16. Set input.csv.encoding to "utf-16".')
    rows = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=csv_["delimiter"],
        quotechar=csv_["quote"],
        escapechar=csv_.get("escape"),
    )
    try:
        return next(rows, [])
    except csv.Error as err:
        if not has_header(csv_):
            return []
        raise MalformedInput(f"{file.uri}: the {what} cannot be read ({err}). {_NO_HEADER}") from err


def _named(file: Source, cells: Sequence[str]) -> list[str]:
    """Return the columns' names. The name of a column without one is its position: `column_3`."""
    names = [name or f"column_{position}" for position, name in enumerate(cells, 1)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise MalformedInput(f'{file.uri} has two columns named "{twice[0][:80]}". Rename one of them. {_NO_HEADER}')
    return names

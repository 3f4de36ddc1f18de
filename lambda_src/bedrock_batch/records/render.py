"""Render rows as the JSONL that Bedrock reads, column by column: no Python object per row or cell.

JSON escaping works character by character: escape(before + cell + after) is the sum of the three escapes. So the
request's constants are escaped once, when the template is compiled. Then Arrow joins the cells of some hundred rows to
one text, with a control byte in the place of each constant. A few calls of `bytes.replace` escape that whole text, and
a few more replace the control bytes by the constants. JSON text has no raw control bytes, so no other byte is replaced.
Cells that contain control bytes (except tab, line feed and carriage return) take a slower path.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from bedrock_batch.errors import ROWS_COUNT, MalformedInput, UnsupportedRequest
from bedrock_batch.models.template import check_columns, literal_columns
from bedrock_batch.record_ids import BEFORE_BODY, LINE_END, LINE_START, ROW_DIGITS, shard_prefix
from bedrock_batch.records.cell_text import CellReader
from bedrock_batch.records.flat_request import FlatRequest
from bedrock_batch.row_errors import RowError

_CHUNK_ROWS = 512
_CHUNK_BYTES = 1 << 20
"""Bytes that fit into a processor's cache."""

_ESCAPES = ((b"\\", b"\\\\"), (b'"', b'\\"'), (b"\n", b"\\n"), (b"\t", b"\\t"), (b"\r", b"\\r"))
_MARKS = [bytes([code]) for code in range(1, 32) if code not in (9, 10, 13)]
"""The control bytes that mark the places of constants."""

MOST_RECORD_BYTES = 10**9
"""Bedrock's limit for a whole file, if the run's quotas have none."""

MOST_PLACES = 1_000
"""Most places of a request: with them, a function renders the largest file in a few minutes."""

MOST_REPEATS = 50
"""Most uses of one place in a request. Each use copies the whole cell into the record."""

_LONGEST_ESCAPE = 6
"""Bytes of the longest JSON escape of one byte."""

Nulls = Literal["error", "skip", "empty"]

_ROW_SPACE = 10**ROW_DIGITS
"""Added to a row, this keeps the leading zeros of the row's digits."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row refused before submission: `row` is its number within the shard."""

    row: int
    code: RowError
    reason: str

    def to_json(self, first_row: int) -> dict[str, Any]:
        """Return a line of the skipped file, with the table's row from 1. `first_row` (from 0) is the shard's first."""
        return {"row": first_row + self.row + 1, "code": self.code, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Rendered:
    """Records: `data` has `records` JSONL lines, of which `text_bytes` are escaped text, not JSON structure.

    In `blank` of the records a place has a blank text. They are not counted if the run input allows it (nulls=empty).
    """

    data: bytes
    records: int
    text_bytes: int
    skipped: list[Skipped]
    blank: int = 0


class Renderer:
    """A request template compiled for a table.

    `shard` is the shard's number, `first_row` the table's row (from 0) of the shard's first row, for messages. A record
    of more than `most_bytes` is skipped. `columns` are the top-level columns that it reads. `structure_bytes` are the
    bytes of a line without its cells. `repeats` is the number of uses of the most frequent place.
    Planning makes one too, so that a run is refused early. Raises UnknownPrompt, MissingColumn, and UnsupportedRequest
    for a column without a text form (binary) and for too many places.
    """

    def __init__(
        self,
        request: dict[str, Any],
        schema: pa.Schema,
        *,
        shard: int = 0,
        nulls: Nulls = "error",
        first_row: int = 0,
        most_bytes: int = MOST_RECORD_BYTES,
    ) -> None:
        check_columns(request, schema)
        self._nulls = nulls
        self._first_row = first_row
        self._most_bytes = most_bytes
        body = FlatRequest(request)
        self.repeats = _repeats(body.places)
        if not body.places:
            doubled = literal_columns(request, schema)
            hint = (
                f"Write {{{doubled[0]}}}, not {{{{{doubled[0]}}}}}: doubled" if doubled else "Add a {column}. Doubled"
            )
            raise UnsupportedRequest(
                f"The request uses no column, so all records would be the same. {hint} braces are literal braces."
            )
        self._cells = [CellReader(name, schema) for name in body.names]
        self._slots = [body.names.index(name) for name in body.places]
        self._never_blank = [[body.names.index(name) for name in names] for names in body.texts]
        head = LINE_START + shard_prefix(shard).encode()
        first, *rest = body.constants
        # A constant ends where a cell begins. The last one ends the line and begins the next line.
        self._head = head
        self._constants = [BEFORE_BODY + first, *rest]
        self._constants[-1] += LINE_END + head
        self.columns = list(dict.fromkeys(reader.column for reader in self._cells))
        self.structure_bytes = sum(map(len, self._constants)) + ROW_DIGITS
        self._text_free_bytes = self.structure_bytes - body.literal_bytes

    def render(self, batch: pa.RecordBatch, first_row: int) -> Rendered:
        """Render a batch whose first row is row `first_row` of the shard.

        Raises MalformedInput for a null if `nulls` is "error".
        """
        rows = np.arange(first_row, first_row + batch.num_rows, dtype=np.int64)
        cells = [reader.read(batch, self._first_row + first_row) for reader in self._cells]
        skipped: list[Skipped] = []
        cells, rows = self._drop_nulls(cells, rows, skipped)
        cells, rows = self._drop_blanks(cells, rows, skipped)
        cells, rows = self._drop_long(cells, rows, skipped)
        data = b"".join(self._chunks(cells, rows))
        text_bytes = len(data) - len(rows) * self._text_free_bytes
        blank = 0 if self._nulls == "empty" else _blank_rows(cells)
        return Rendered(data, len(rows), text_bytes, sorted(skipped, key=lambda skip: skip.row), blank)

    def _drop_nulls(
        self, cells: list[pa.Array], rows: npt.NDArray[np.int64], skipped: list[Skipped]
    ) -> tuple[list[pa.Array], npt.NDArray[np.int64]]:
        if not any(column.null_count for column in cells):
            return cells, rows
        if self._nulls == "empty":
            return [column.fill_null("") for column in cells], rows
        bad: dict[int, str] = {}
        for reader, column in zip(self._cells, cells, strict=True):
            for index in np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False)).tolist():
                bad.setdefault(index, reader.name)
        if self._nulls == "error":
            index = min(bad)
            row = self._first_row + int(rows[index]) + 1
            raise MalformedInput(
                f'Row {row} of the table has a null in column "{bad[index]}", which the request uses {ROWS_COUNT}. '
                'Fill it in, or set input.nulls to "skip" or "empty".'
            )
        skipped += (
            Skipped(int(rows[index]), RowError.NULL_COLUMN, f'Column "{name}" is null.') for index, name in bad.items()
        )
        return _without(cells, rows, list(bad))

    def _drop_blanks(
        self, cells: list[pa.Array], rows: npt.NDArray[np.int64], skipped: list[Skipped]
    ) -> tuple[list[pa.Array], npt.NDArray[np.int64]]:
        bad: dict[int, str] = {}
        for text in self._never_blank:
            mask = _is_blank(cells[text[0]])
            for index in text[1:]:
                mask = pc.and_(mask, _is_blank(cells[index]))
            names = ", ".join(f'"{self._cells[index].name}"' for index in text)
            for index in np.flatnonzero(mask.to_numpy(zero_copy_only=False)).tolist():
                bad.setdefault(index, names)
        if not bad:
            return cells, rows
        skipped += (
            Skipped(int(rows[index]), RowError.EMPTY_TEXT, f"The text is blank: it consists only of {names}.")
            for index, names in bad.items()
        )
        return _without(cells, rows, list(bad))

    def _drop_long(
        self, cells: list[pa.Array], rows: npt.NDArray[np.int64], skipped: list[Skipped]
    ) -> tuple[list[pa.Array], npt.NDArray[np.int64]]:
        room = (self._most_bytes - self.structure_bytes) // _LONGEST_ESCAPE
        if sum(cells[slot].nbytes for slot in self._slots) <= room:
            return cells, rows
        sizes = sum(pc.binary_length(cells[slot]).to_numpy().astype(np.int64) for slot in self._slots)
        bad = []
        for index in np.flatnonzero(sizes > room).tolist():
            size = sum(len(chunk) for chunk in self._chunks([cell.slice(index, 1) for cell in cells], rows[[index]]))
            if size > self._most_bytes:
                bad.append(index)
                skipped.append(too_long(int(rows[index]), size, self._most_bytes))
        return _without(cells, rows, bad) if bad else (cells, rows)

    def _chunks(self, cells: list[pa.Array], rows: npt.NDArray[np.int64]) -> Iterator[bytes]:
        size = sum(cells[slot].nbytes for slot in self._slots) // max(1, len(rows)) + self.structure_bytes
        step = max(1, min(_CHUNK_ROWS, _CHUNK_BYTES // size))
        numbers = pc.utf8_slice_codeunits(pa.array(rows + _ROW_SPACE).cast(pa.string()), 1)
        for start in range(0, len(rows), step):
            columns = [numbers.slice(start, step), *(cells[slot].slice(start, step) for slot in self._slots)]
            yield self._join(columns)

    def _join(self, columns: list[pa.Array]) -> bytes:
        """Return the lines of one chunk: `columns` are its row numbers and the cells of every place."""
        count = len(columns[0])
        if len(columns) > len(_MARKS):
            return self._join_slowly(columns)
        marks = _MARKS[: len(columns)]
        pairs = (value for pair in zip(columns, marks, strict=True) for value in (pair[0], pair[1].decode()))
        joined = pc.binary_join_element_wise(*pairs, "")
        data: bytes = pc.binary_join(_one_list(joined), "")[0].as_buffer().to_pybytes()
        for character, escape in _ESCAPES:
            data = data.replace(character, escape)
        controls = np.count_nonzero(np.frombuffer(data, np.uint8) < 32)
        if controls != count * len(marks):
            return self._join_slowly(columns)
        for mark, constant in zip(marks, self._constants, strict=True):
            data = data.replace(mark, constant)
        return self._head + data[: -len(self._head)]

    def _join_slowly(self, columns: list[pa.Array]) -> bytes:
        count, width = len(columns[0]), 2 * len(columns)
        pieces = [b""] * (count * width)
        for index, (column, constant) in enumerate(zip(columns, self._constants, strict=True)):
            pieces[2 * index :: width] = _escaped(column.to_pylist())
            pieces[2 * index + 1 :: width] = [constant] * count
        pieces[-1] = pieces[-1][: -len(self._head)]
        return b"".join([self._head, *pieces])


def _repeats(places: list[str]) -> int:
    """Return the number of uses of the most frequent place. Raises UnsupportedRequest for too many places."""
    if len(places) > MOST_PLACES:
        raise UnsupportedRequest(
            f"The request has {len(places)} places, but may have at most {MOST_PLACES}. Put texts that belong together "
            "into one column of the table."
        )
    name, times = Counter(places).most_common(1)[0] if places else ("", 1)
    if times > MOST_REPEATS:
        raise UnsupportedRequest(
            f"The request has the place {{{name[:80]}}} {times} times, but one place may occur at most {MOST_REPEATS} "
            "times."
        )
    return times


def too_long(row: int, size: int, most: int) -> Skipped:
    """Return the skipped row of a record that is larger than a whole file may be."""
    return Skipped(
        row, RowError.TOO_LONG, f"The record would have {size:,} bytes, but a whole file may have at most {most:,}."
    )


def _without(
    cells: list[pa.Array], rows: npt.NDArray[np.int64], bad: list[int]
) -> tuple[list[pa.Array], npt.NDArray[np.int64]]:
    keep = np.ones(len(rows), bool)
    keep[bad] = False
    mask = pa.array(keep)
    return [column.filter(mask) for column in cells], rows[keep]


def _is_blank(strings: pa.Array) -> pa.Array:
    return pc.or_(pc.utf8_is_space(strings), pc.equal(pc.binary_length(strings), 0))


def _blank_rows(cells: list[pa.Array]) -> int:
    """Return the number of rows with a blank cell."""
    rows: int | None = pc.sum(reduce(pc.or_, map(_is_blank, cells))).as_py()
    return rows or 0


def _one_list(strings: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array([0, len(strings)], pa.int32()), strings)


def _escaped(values: list[str]) -> list[bytes]:
    """Return each value's inner JSON text.

    The output is indented, so that it can be cut between two values at a line feed: no value contains a raw one. (It
    could not be cut at `","`, because a value may contain that.)
    """
    return orjson.dumps(values, option=orjson.OPT_INDENT_2)[5:-3].split(b'",\n  "')

"""Read JSON lines on S3: find where the rows begin and the types of their columns, and return rows as Arrow.

Every key of any row is a column. Its type holds every value exactly (see `jsonl_types`). If there is no such type, the
column holds the JSON text of the values, exactly as in the file. A missing key is null. Lines end in a line feed; blank
lines are not rows.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import Piece
from bedrock_batch.contracts.run import Source
from bedrock_batch.errors import ROWS_COUNT, MalformedInput
from bedrock_batch.table import declared_types, jsonl_types, schemas, text_stream
from bedrock_batch.table.jsonl_types import Kinds
from bedrock_batch.table.layout import Marks
from bedrock_batch.table.scan_checkpoint import Found, Scan
from bedrock_batch.table.schemas import Selection
from bedrock_batch.table.text_stream import BOM

_BLOCK_BYTES = 2 << 20
"""Bytes decoded at once. Memory holds about ten times this, as Python objects."""

_NULL = msgspec.Raw(b"null")

_REFUSALS = (msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding raises for a line that is not an object of the wanted types."""

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

_OF_ARRAY = "Write each item on a line: jq -c '.[]' in.json > out.jsonl (jq 1.7 or newer keeps all digits)."
_OF_OBJECTS = "Write each object on one line: jq -c . in.json > out.jsonl (jq 1.7 or newer keeps all digits)."


class JsonlReader:
    """Reads the JSON lines of a table. `jsonl` is `Table.jsonl`; only `read` needs it."""

    concurrent_files = text_stream.CONCURRENT_FILES

    def __init__(self, s3: S3, jsonl: Mapping[str, Any]) -> None:
        self._s3, self._jsonl = s3, jsonl

    def describe(self, scan: Scan) -> Found:
        """Find the kinds of a file's columns and where its rows begin, starting after the part that is known.

        `Found.file` is the file to read: this one or its plain copy.
        """
        uri, limit, part, known = scan.file.uri, scan.limit, scan.earlier, scan.known
        kinds: Kinds = {} if part is None else {name: set(seen) for name, seen in part.kinds.items()}
        marks = Marks(known)
        rows = 0 if known is None else known.rows
        at = end = 0 if known is None else known.end
        with text_stream.reading(self._s3, scan, form="jsonl", encoding="utf-8") as text:
            chunks = _no_array(text.chunks, uri) if known is None else text.chunks
            for block in text_stream.blocks(chunks, _last_end, size=_BLOCK_BYTES, name=uri):
                if not text.whole:
                    break  # the block is only the beginning of a line
                skip = len(BOM) if not at and block.startswith(BOM) else 0
                lines, starts = _lines(block[skip:], at + skip)
                if limit is not None:
                    lines, starts = lines[: limit - rows], starts[: limit - rows]
                _add_kinds(kinds, lines, uri, rows + 1)
                marks.add(starts, rows)
                rows += len(lines)
                at += len(block)
                if lines:
                    # The last line may have no line feed.
                    end = min(int(starts[-1]) + len(lines[-1]) + 1, at)
                if rows == limit:
                    break
        layout = marks.layout(rows, end)
        if not text.whole:
            layout = scan.progress(layout)
        return Found(text.stored, layout, kinds=kinds, whole=text.whole)

    def schema(self, found: Sequence[Found], options: Mapping[str, Any]) -> tuple[pa.Schema, dict[str, Any]]:
        """Return the schema of all files, and the fields of `Table` for this format."""
        kinds = [(one.file, one.kinds) for one in found]
        ready_made = options.get("format") == "bedrock_jsonl"
        schema, jsonl = schemas.of_json(kinds, options.get("types") or {}, ready_made=ready_made)
        return schema, {"jsonl": jsonl}

    def read(self, source: Source, piece: Piece, selection: Selection, row: int) -> Iterator[pa.RecordBatch]:
        """Yield all rows between the piece's bytes, including `skip` and `tail`, in batches of about 2 MB.

        `row` is the number (from 1) of the first row in the source.
        """
        cells_of = [_Cells(field, self._jsonl) for field in selection.columns]
        names = [f"f{index}" for index in range(len(cells_of))]
        line_type = msgspec.defstruct(
            "Line",
            [(name, cells.kind, cells.absent) for name, cells in zip(names, cells_of, strict=True)],
            rename=dict(zip(names, selection.columns.names, strict=True)),
            gc=False,
        )
        decode = msgspec.json.Decoder(line_type).decode
        chunks = self._s3.stream(source.bucket, source.key, start=piece.start, end=piece.end, etag=source.etag)
        with closing(chunks):
            for block in text_stream.blocks(chunks, _last_end, size=_BLOCK_BYTES, name=source.uri):
                lines, _ = _lines(block, 0)
                found = _decoded(source.uri, lines, decode, row)
                arrays = [
                    cells.array(source, [getattr(line, name) for line in found], row)
                    for name, cells in zip(names, cells_of, strict=True)
                ]
                yield _batch(arrays, selection.columns, len(found))
                row += len(found)


def _no_array(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Yield the chunks. Refuse a file that begins as an array before more is read: its only line may be very long."""
    begun = False
    for chunk in chunks:
        if not begun and (begun := bool(text := chunk.removeprefix(BOM).lstrip())) and text[:1] == b"[":
            raise MalformedInput(f"{name} is one JSON array: it begins with [, not with an object.", advice=_OF_ARRAY)
        yield chunk


def _add_kinds(kinds: Kinds, lines: Sequence[bytes], uri: str, row: int) -> None:
    """Add the kinds of the lines' columns; `row` is the row of the first line."""
    try:
        jsonl_types.add(kinds, _decoded(uri, lines, jsonl_types.decode, row))
    except MalformedInput as err:
        raise err if str(err).startswith(uri) else MalformedInput(f"{uri}: {err}") from None


class _Cells:
    """Decodes the cells of one column: `kind` is the type for msgspec, `absent` the value for a missing key."""

    def __init__(self, field: pa.Field, jsonl: Mapping[str, Any]) -> None:
        self._field = field
        self._typed = field.name in jsonl["typed"]
        raw = self._typed or field.name in jsonl["as_json"]
        kinds = {pa.string(): str, pa.bool_(): bool, pa.int64(): int, pa.float64(): float}
        self.kind: Any = msgspec.Raw if raw else kinds[field.type] | None
        self.absent = _NULL if raw else None

    def array(self, source: Source, values: list[Any], row: int) -> pa.Array:
        if self.kind is not msgspec.Raw:
            return pa.array(values, self._field.type)
        texts = [None if value == _NULL else bytes(value) for value in values]
        if not self._typed:
            return pa.array(texts, pa.string())
        # A JSON string becomes its characters; any other value becomes its JSON text.
        plain = [msgspec.json.decode(text) if text and text[:1] == b'"' else text for text in texts]
        return declared_types.cast(source, pa.array(plain, pa.string()), self._field, row)


def _batch(cells: list[pa.Array], schema: pa.Schema, rows: int) -> pa.RecordBatch:
    if cells:
        return pa.RecordBatch.from_arrays(cells, schema=schema)
    return pa.RecordBatch.from_struct_array(pa.array([{}] * rows, pa.struct([])))


def _decoded(name: str, lines: Sequence[bytes], decode: Callable[[bytes], Any], row: int) -> list[Any]:
    """Decode every line. `row` is the row of the first line. Raises MalformedInput, naming the row."""
    found: list[Any] = []
    rest = iter(lines)
    while True:
        try:
            # Filled in place: after an error its length is the index of the line that failed.
            found.extend(map(decode, rest))
            return found
        except _REFUSALS as err:
            bad = lines[len(found)]
            try:
                found.append(decode(_last_of_each_key(bad)))
            except _REFUSALS:
                raise _refused(name, bad, err, row + len(found)) from None


def _last_of_each_key(line: bytes) -> bytes:
    """Return an object without the values that a later value of the same key replaces. These may have other types."""
    members = _members(line)
    return b"{" + b",".join(msgspec.json.encode(key) + b":" + bytes(raw) for key, raw in members.items()) + b"}"


def _refused(name: str, bad: bytes, err: Exception, row: int) -> MalformedInput:
    """Return the error for a line that cannot be decoded."""
    what, hint = f"is not a JSON object ({err})", "Write one object on each line. JSON has no NaN and no Infinity."
    if isinstance(err, UnicodeError):
        what = "is not UTF-8"
    elif isinstance(err, RecursionError):
        what, hint = "is nested too deeply", "Write the inner objects or lists as a text."
    elif isinstance(err, msgspec.ValidationError) and bad.lstrip()[:1] == b"{":
        # The line is JSON, except for a number that no type holds.
        what, hint = f"cannot be read ({err})", "Write the number as a text."
    elif known := _not_one_object(bad.strip()):
        what, hint = known
    if _has_half_a_pair(bad):
        what = r"has half of a surrogate pair, such as \ud83d alone"
        hint = "A text was cut in the middle of a character. Remove that half."
    return MalformedInput(f"{name}: row {row} {what} {ROWS_COUNT}.", advice=hint)


def _not_one_object(line: bytes) -> tuple[str, str] | None:
    """Return what a line is instead of one object, and what to do; None if that is not known."""
    if line[:1] == b"[":
        return "is an array, not an object", f"If the file is one JSON array: {_OF_ARRAY}"
    if line.startswith(BOM) or b"}" + BOM in line:
        what = "has a byte order mark before an object: files were probably joined to one"
        return (
            what,
            r"Put a line feed in its place: sed 's/\(^\|}\)\xef\xbb\xbf/\1\n/g' in.jsonl > out.jsonl (GNU sed).",
        )
    if line[-1:] in (b"\0", b"\x1a"):
        return "ends in zeros or Ctrl-Z, which are not JSON", "Remove what follows the last object."
    rest = _after_object(line) if line[:1] == b"{" else ""
    if rest == ",":
        return (
            "has a comma after its object",
            "Remove the commas between objects: sed 's/},[[:space:]]*$/}/' in.jsonl > out.jsonl.",
        )
    if rest:
        return "has several JSON objects", _OF_OBJECTS
    if line[:1] == b"{" and line[-1:] in (b"{", b"[", b",", b":"):
        return "has only the beginning of an object, which continues on the next line", _OF_OBJECTS
    return None


def _after_object(line: bytes) -> str:
    """Return what follows the object that a line begins with."""
    try:
        _, end = json.JSONDecoder().raw_decode(line.decode())
    except (ValueError, RecursionError):
        return ""
    return line.decode()[end:].strip()


def _has_half_a_pair(line: bytes) -> bool:
    """Return whether a line is JSON except for an escape that is half a character. Some JSON readers accept it."""
    try:
        json.dumps(json.loads(line), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    except (ValueError, RecursionError):
        return False
    return False


def _lines(block: bytes, at: int) -> tuple[list[bytes], npt.NDArray[np.int64]]:
    """Return the lines that are not blank, and the offsets of their starts; `at` is the offset of the block."""
    if block.isspace():
        return [], np.zeros(0, np.int64)
    lines = block.split(b"\n")
    ends = np.cumsum(np.fromiter(map(len, lines), np.int64, len(lines)) + 1)
    starts = np.concatenate([[0], ends[:-1]]) + at
    # In most blocks, only the rest after the last line feed is blank.
    if not lines[-1]:
        lines, starts = lines[:-1], starts[:-1]
    if all(lines) and not any(map(bytes.isspace, lines)):
        return lines, starts
    filled = [index for index, line in enumerate(lines) if line and not line.isspace()]
    return [lines[index] for index in filled], starts[filled]


def _last_end(data: bytes) -> int:
    return data.rfind(b"\n") + 1

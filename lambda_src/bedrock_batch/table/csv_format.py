"""CSV on S3: where its records begin, and records as Arrow.

Every column is text exactly as it stands in the file (a blank cell is "", not null; "NA" is "NA"), unless its type is
declared: then cells are cast, and blank ones are null. Texts that the user says mean null are null in any column.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from bedrock_batch.aws.s3 import S3, Object
from bedrock_batch.contracts.lines import Piece
from bedrock_batch.contracts.run import Source
from bedrock_batch.errors import ROWS_COUNT, InvalidRunInput, MalformedInput, missing_column
from bedrock_batch.table import declared_types, text_stream
from bedrock_batch.table.csv_scan import CsvScanner
from bedrock_batch.table.layout import Layout
from bedrock_batch.table.plain_types import is_utf8
from bedrock_batch.table.scan_checkpoint import Found
from bedrock_batch.table.text_stream import BOM, Terms, Text, suffixes

_BLOCK_BYTES = 2 << 20
"""Parsed at once: several times this is in memory, as bytes, columns and rendered lines."""

_ROW = re.compile(r"Row #(\d+)")


def dialect(objects: Sequence[Object | Source], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what reading needs besides the schema: delimiter, quote, encoding, texts that mean null, types, and
    the columns' names if there is no header row."""
    given = options.get("csv") or {}
    defaults = {"\t" if suffixes(item.key)[0] == "tsv" else "," for item in objects}
    delimiter = given.get("delimiter")
    if delimiter is None:
        if len(defaults) > 1:
            raise InvalidRunInput("The input mixes .csv and .tsv files: set input.csv.delimiter.")
        delimiter = defaults.pop()
    quote = given.get("quote") or '"'
    for key, value in (("delimiter", delimiter), ("quote", quote)):
        if len(value) != 1 or ord(value) > 127 or value in "\r\n":
            raise InvalidRunInput(f"input.csv.{key} must be one ASCII character other than a line end, not {value!r}.")
    if delimiter == quote:
        raise InvalidRunInput(f"input.csv.delimiter and input.csv.quote are both {quote!r}.")
    return {
        "delimiter": delimiter,
        "quote": quote,
        "encoding": given.get("encoding") or "utf-8",
        "null_values": given.get("null_values") or [],
        "columns": given.get("columns"),
        "types": options.get("types") or {},
    }


def describe(
    s3: S3, item: Object, csv_: Mapping[str, Any], limit: int | None, terms: Terms, part: Found | None
) -> tuple[pa.Schema | None, Layout, Text]:
    """Scan a file, behind its part that is known, for its header and record boundaries.

    The schema of an object without a byte is None. The text's `stored` is the object to read: this, or its plain copy;
    when the text is not `whole`, the layout is of the records that were read.
    """
    head: bytes | None = None
    known = None if part is None else part.layout
    scanner = _scanner(item, csv_, limit, start=0, part=known)
    start = 0
    with text_stream.reading(s3, item, encoding=csv_["encoding"], terms=terms, part=known) as text:
        for chunk in text.chunks:
            if head is None and part is None:
                head = chunk
                start = len(BOM) if head.startswith(BOM) else 0
                scanner = _scanner(item, csv_, limit, start=start)
                chunk = chunk[start:]
            scanner.feed(chunk)
            if scanner.done:
                break
        layout = scanner.finish() if text.whole else text_stream.progress(item, scanner.so_far(), part)
    if part is not None:
        return part.schema, layout, text
    if head is None or not head[start:]:
        return None, layout, text
    names = csv_["columns"] or _header(item, head[start:], int(layout.bytes_at[0]) - start, csv_)
    return _schema(item, names, csv_["types"]), layout, text


def read(
    s3: S3,
    source: Source,
    piece: Piece,
    *,
    schema: pa.Schema,
    csv_: Mapping[str, Any],
    columns: Sequence[str],
    row: int,
) -> Iterator[pa.RecordBatch]:
    """Yield all records between the piece's bytes, its `skip` and `tail` included, in batches of some 2 MB.

    `row` is the source's row (from 1) of the first of them, for messages.
    """
    chunks = s3.stream(source.bucket, source.key, start=piece.start, end=piece.end, etag=source.etag)
    with closing(chunks):
        quote = csv_["quote"].encode()
        for block in text_stream.blocks(
            chunks, lambda data: _last_end(data, quote), size=_BLOCK_BYTES, name=source.uri
        ):
            batch = _parse(source, block, schema=schema, csv_=csv_, columns=columns, row=row)
            row += batch.num_rows
            yield batch


def _scanner(
    item: Object, csv_: Mapping[str, Any], limit: int | None, *, start: int, part: Layout | None = None
) -> CsvScanner:
    return CsvScanner(
        item.uri,
        delimiter=csv_["delimiter"],
        quote=csv_["quote"],
        header=0 if csv_["columns"] else 1,
        start=start,
        limit=limit,
        part=part,
    )


def _header(item: Object, head: bytes, size: int, csv_: Mapping[str, Any]) -> list[str]:
    if size > len(head):
        raise MalformedInput(f"{item.uri}: the header row is longer than {len(head) >> 20} MB.")
    try:
        text = head[:size].decode().lstrip("\r\n")
    except UnicodeDecodeError as err:
        raise MalformedInput(f"{item.uri}: the header row is not UTF-8. Set input.csv.encoding.") from err
    if "\0" in text:
        raise MalformedInput(f'{item.uri}: the header row looks like UTF-16. Set input.csv.encoding to "utf-16".')
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=csv_["delimiter"], quotechar=csv_["quote"])
    try:
        return next(rows, [])
    except csv.Error as err:
        raise MalformedInput(
            f"{item.uri}: the header row cannot be read ({err}). If the file has none, name its columns in "
            "input.csv.columns."
        ) from err


def _schema(item: Object, names: list[str], types: Mapping[str, str]) -> pa.Schema:
    for name in types:
        if name not in names:
            raise missing_column(f'input.types has "{name[:80]}"', name, names, owner=item.uri)
    return pa.schema(
        [(name, declared_types.arrow_type(name, types[name]) if name in types else pa.string()) for name in names]
    )


def _last_end(data: bytes, quote: bytes) -> int:
    """Return the offset behind the last line end outside quotes, 0 if there is none."""
    inside = data.count(quote) % 2 == 1
    stop = len(data)
    while True:
        line_feed = data.rfind(b"\n", 0, stop)
        at = max(line_feed, data.rfind(b"\r", max(line_feed, 0), stop))
        if at < 0:
            return 0
        inside ^= data.count(quote, at, stop) % 2 == 1
        if not inside:
            return at + 1
        stop = at


def _parse(
    source: Source, block: bytes, *, schema: pa.Schema, csv_: Mapping[str, Any], columns: Sequence[str], row: int
) -> pa.RecordBatch:
    wanted = pa.schema([schema.field(name) for name in columns])
    if block[:1] in (b"\r", b"\n"):
        block = block.lstrip(b"\r\n")
        if not block:
            return pa.RecordBatch.from_pylist([], wanted)
    if block.startswith(BOM):
        # The reader would take it for a byte order mark, wherever in the file the block comes from.
        block = b"\n" + block
    bad: list[pa.csv.InvalidRow] = []

    def refuse(invalid: pa.csv.InvalidRow) -> str:
        bad.append(invalid)
        return "error"

    try:
        table = pa.csv.read_csv(
            pa.BufferReader(block),
            read_options=pa.csv.ReadOptions(column_names=schema.names, use_threads=False, block_size=len(block) + 1),
            parse_options=pa.csv.ParseOptions(
                delimiter=csv_["delimiter"],
                quote_char=csv_["quote"],
                newlines_in_values=True,
                invalid_row_handler=refuse,
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types={name: pa.string() for name in schema.names},
                # The reader checks only what it returns. Text that is not UTF-8 in a column that is not wanted now
                # must show too: it would fail the join, when all is paid.
                include_columns=list(columns) if _is_utf8(block) else schema.names,
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as err:
        # The reader's own message quotes the row, which may be confidential: only its number is passed on.
        number = _ROW.search(str(err))
        where = f"row {row + int(number[1]) - 1}" if number else f"a row after row {row - 1}"
        if bad:
            what = f"{bad[0].actual_columns} cells where {bad[0].expected_columns} were expected"
            hint = "Put cells that hold the delimiter or a line end in quotes."
        elif "UTF8" in str(err):
            what, hint = "text that is not UTF-8", 'Set input.csv.encoding, for example to "cp1252".'
        else:
            what, hint = "something the CSV reader refuses", "Write the file again."
        message = f"{source.uri}: {where} has {what} {ROWS_COUNT}."
        raise MalformedInput(message, advice=hint) from None
    texts = table.combine_chunks().to_batches()[0] if table.num_rows else pa.RecordBatch.from_pylist([], wanted)
    cells = [
        declared_types.cast(source, _with_nulls(texts.column(field.name), csv_["null_values"]), field, row)
        for field in wanted
    ]
    return pa.RecordBatch.from_arrays(cells, schema=wanted)


def _is_utf8(block: bytes) -> bool:
    ends = pa.array([0, len(block)], pa.int32()).buffers()[1]
    return is_utf8(pa.StringArray.from_buffers(1, ends, pa.py_buffer(block)))


def _with_nulls(texts: pa.Array, null_values: Sequence[str]) -> pa.Array:
    if not null_values:
        return texts
    return pc.if_else(pc.is_in(texts, pa.array(null_values, pa.string())), pa.scalar(None, pa.string()), texts)

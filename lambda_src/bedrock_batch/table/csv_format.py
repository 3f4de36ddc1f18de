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
from bedrock_batch.table import declared_types, schemas, text_stream
from bedrock_batch.table.csv_scan import CsvScanner
from bedrock_batch.table.scan_checkpoint import Found, Scan
from bedrock_batch.table.schemas import Selection
from bedrock_batch.table.text_stream import BOM, suffixes

_BLOCK_BYTES = 2 << 20
"""Parsed at once: several times this is in memory, as bytes, columns and rendered lines."""

_ROW = re.compile(r"Row #(\d+)")


def dialect(objects: Sequence[Object | Source], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what reading needs besides the schema.

    That is delimiter, quote, encoding, texts that mean null, types, and the columns' names if there is no header row.
    """
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


class CsvReader:
    """Reads the CSV files of a table; `csv_` is what `dialect` returned (`Table.csv`)."""

    concurrent_files = text_stream.CONCURRENT_FILES

    def __init__(self, s3: S3, csv_: Mapping[str, Any]) -> None:
        self._s3, self._csv = s3, csv_
        self._quote = csv_["quote"].encode()

    def describe(self, scan: Scan) -> Found:
        """Look through a file, behind its part that is known, for its header and record boundaries.

        The schema of an empty file is None. `Found.file` is the file to read: this one, or its plain copy.
        """
        file, part = scan.file, scan.earlier
        head: bytes | None = None
        start = 0
        scanner = self._scanner(scan, start)
        with text_stream.reading(self._s3, scan, form="csv", encoding=self._csv["encoding"]) as text:
            for chunk in text.chunks:
                if head is None and part is None:
                    head = chunk
                    start = len(BOM) if head.startswith(BOM) else 0
                    scanner = self._scanner(scan, start)
                    chunk = chunk[start:]
                scanner.feed(chunk)
                if scanner.done:
                    break
            layout = scanner.finish() if text.whole else scan.progress(scanner.so_far())
        if part is not None:
            schema = part.schema
        elif head is None or not head[start:]:
            schema = None
        else:
            header_bytes = int(layout.bytes_at[0]) - start
            names = self._csv["columns"] or _header(file, head[start:], header_bytes, self._csv)
            schema = _schema(file, names, self._csv["types"])
        return Found(text.stored, layout, schema, whole=text.whole)

    def schema(self, found: Sequence[Found], options: Mapping[str, Any]) -> tuple[pa.Schema, dict[str, Any]]:
        """Return the schema of all files, and what `Table` holds of the format."""
        return schemas.common([(one.file, one.schema) for one in found]), {"csv": self._csv}

    def read(self, source: Source, piece: Piece, selection: Selection, row: int) -> Iterator[pa.RecordBatch]:
        """Yield all records between the piece's bytes, its `skip` and `tail` included, in batches of some 2 MB.

        `row` is the source's row (from 1) of the first of them, for messages.
        """
        chunks = self._s3.stream(source.bucket, source.key, start=piece.start, end=piece.end, etag=source.etag)
        with closing(chunks):
            for block in text_stream.blocks(chunks, self._last_end, size=_BLOCK_BYTES, name=source.uri):
                batch = self._parse(source, block, selection, row)
                row += batch.num_rows
                yield batch

    def _scanner(self, scan: Scan, start: int) -> CsvScanner:
        return CsvScanner(
            scan.file.uri,
            delimiter=self._csv["delimiter"],
            quote=self._csv["quote"],
            header=0 if self._csv["columns"] else 1,
            start=start,
            limit=scan.limit,
            part=scan.known,
        )

    def _last_end(self, data: bytes) -> int:
        """Return the offset behind the last line end outside quotes, 0 if there is none."""
        quote = self._quote
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

    def _parse(self, source: Source, block: bytes, selection: Selection, row: int) -> pa.RecordBatch:
        """Return a block of whole records in the types of the selection's columns."""
        if block[:1] in (b"\r", b"\n"):
            block = block.lstrip(b"\r\n")
        if block.startswith(BOM):
            # The CSV reader would take it for a byte order mark, wherever in the file the block comes from.
            block = b"\n" + block
        table = self._texts(source, block, selection, row) if block else None
        if table is None or not table.num_rows:
            return pa.RecordBatch.from_pylist([], selection.columns)
        texts = table.combine_chunks().to_batches()[0]
        nulls = self._csv["null_values"]
        cells = [
            declared_types.cast(source, _with_nulls(texts.column(field.name), nulls), field, row)
            for field in selection.columns
        ]
        return pa.RecordBatch.from_arrays(cells, schema=selection.columns)

    def _texts(self, source: Source, block: bytes, selection: Selection, row: int) -> pa.Table:
        """Return the columns as text."""
        bad: list[pa.csv.InvalidRow] = []

        def refuse(invalid: pa.csv.InvalidRow) -> str:
            bad.append(invalid)
            return "error"

        names = selection.table.names
        try:
            return pa.csv.read_csv(
                pa.BufferReader(block),
                read_options=pa.csv.ReadOptions(column_names=names, use_threads=False, block_size=len(block) + 1),
                parse_options=pa.csv.ParseOptions(
                    delimiter=self._csv["delimiter"],
                    quote_char=self._csv["quote"],
                    newlines_in_values=True,
                    invalid_row_handler=refuse,
                ),
                convert_options=pa.csv.ConvertOptions(
                    column_types={name: pa.string() for name in names},
                    include_columns=selection.columns.names,
                    strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid as err:
            raise _refused(source, err, bad, row) from None


def _header(file: Source, head: bytes, size: int, csv_: Mapping[str, Any]) -> list[str]:
    if size > len(head):
        raise MalformedInput(f"{file.uri}: the header row is longer than {len(head) >> 20} MB.")
    try:
        text = head[:size].decode().lstrip("\r\n")
    except UnicodeDecodeError as err:
        raise MalformedInput(f"{file.uri}: the header row is not UTF-8. Set input.csv.encoding.") from err
    if "\0" in text:
        raise MalformedInput(f'{file.uri}: the header row looks like UTF-16. Set input.csv.encoding to "utf-16".')
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=csv_["delimiter"], quotechar=csv_["quote"])
    try:
        return next(rows, [])
    except csv.Error as err:
        raise MalformedInput(
            f"{file.uri}: the header row cannot be read ({err}). If the file has none, name its columns in "
            "input.csv.columns."
        ) from err


def _schema(file: Source, names: list[str], types: Mapping[str, str]) -> pa.Schema:
    for name in types:
        if name not in names:
            raise missing_column(f'input.types has "{name[:80]}"', name, names, owner=file.uri)
    return pa.schema(
        [(name, declared_types.arrow_type(name, types[name]) if name in types else pa.string()) for name in names]
    )


def _refused(source: Source, err: pa.ArrowInvalid, bad: Sequence[pa.csv.InvalidRow], row: int) -> MalformedInput:
    """Return the error for a block that the CSV reader refuses; `row` is the block's first."""
    # The CSV reader's own message quotes the row, which may be confidential: only its number is passed on.
    number = _ROW.search(str(err))
    where = f"row {row + int(number[1]) - 1}" if number else f"a row after row {row - 1}"
    if bad:
        what = f"{bad[0].actual_columns} cells where {bad[0].expected_columns} were expected"
        hint = "Put cells that hold the delimiter or a line end in quotes."
    elif "UTF8" in str(err):
        what, hint = "text that is not UTF-8", 'Set input.csv.encoding, for example to "cp1252".'
    else:
        what, hint = "something the CSV reader refuses", "Write the file again."
    return MalformedInput(f"{source.uri}: {where} has {what} {ROWS_COUNT}.", advice=hint)


def _with_nulls(texts: pa.Array, null_values: Sequence[str]) -> pa.Array:
    if not null_values:
        return texts
    return pc.if_else(pc.is_in(texts, pa.array(null_values, pa.string())), pa.scalar(None, pa.string()), texts)

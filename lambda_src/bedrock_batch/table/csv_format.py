"""Read CSV on S3: find where its records begin, and return records as Arrow.

A column is text, exactly as in the file: a blank cell is "", not null; "NA" is "NA". If the user declares a type, the
cells are cast to it, and blank cells are null. The texts of `null_values` are null in every column.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import Piece
from bedrock_batch.contracts.run import Source
from bedrock_batch.errors import ROWS_COUNT, MalformedInput
from bedrock_batch.table import csv_dialect, csv_head, declared_types, schemas, text_stream
from bedrock_batch.table.csv_scan import CsvScanner, blanked
from bedrock_batch.table.deadline import OutOfTime
from bedrock_batch.table.scan_checkpoint import Found, Scan
from bedrock_batch.table.schemas import Selection
from bedrock_batch.table.text_stream import BOM

_BLOCK_BYTES = 2 << 20
"""Bytes parsed at once. Memory holds several times this: bytes, columns and rendered lines."""

_TAIL_BYTES = 1 << 12
"""The last bytes of a file, which are checked for an end mark or zeros."""

_ROW = re.compile(r"Row #(\d+)")
_WIDTH = re.compile(r"Expected (\d+) columns, got (\d+)")


class CsvReader:
    """Reads the CSV files of a table. `csv_` comes from `csv_dialect.dialect` or from `Table.csv`."""

    concurrent_files = text_stream.CONCURRENT_FILES

    def __init__(self, s3: S3, csv_: Mapping[str, Any]) -> None:
        self._s3, self._csv = s3, csv_
        self._quote = csv_["quote"].encode()
        escape = csv_.get("escape")
        self._escape = None if escape is None else ord(escape)

    def describe(self, scan: Scan) -> Found:
        """Find a file's header and record boundaries, starting after the part that is known.

        The schema of an empty file is None. `Found.file` is the file to read: this one or its plain copy.
        """
        file, part = scan.file, scan.earlier
        start, tail = 0, b""
        own = {} if part is None else part.file.dialect
        schema = None if part is None else part.schema
        with text_stream.reading(self._s3, scan, form="csv", encoding=self._csv["encoding"]) as text:
            chunks = text.chunks
            if part is None:
                head, first = csv_head.read(file, partial(_next_chunk, text, file.uri), self._csv)
                if head is None:
                    start = len(first)  # The file has no record. What it has, such as skipped lines, is not one.
                else:
                    start, own = head.start, head.own
                    schema = _schema(head.names, self._csv["types"])
                chunks = chain([first[start:]], chunks)
            scanner = self._scanner(scan, start, own, schema)
            for chunk in chunks:
                scanner.feed(chunk)
                tail = (tail + chunk[-_TAIL_BYTES:])[-_TAIL_BYTES:]
                if scanner.done:
                    break
            layout = scanner.finish() if text.whole else scan.progress(scanner.so_far())
        if text.whole and not scanner.done:
            _check_tail(file, tail)
        return Found(replace(text.stored, dialect=own), layout, schema, whole=text.whole)

    def schema(self, found: Sequence[Found], options: Mapping[str, Any]) -> tuple[pa.Schema, dict[str, Any]]:
        """Return the schema of all files, and the fields of `Table` for this format."""
        return schemas.common([(one.file, one.schema) for one in found]), {"csv": self._csv}

    def read(self, source: Source, piece: Piece, selection: Selection, row: int) -> Iterator[pa.RecordBatch]:
        """Yield all records between the piece's bytes, including `skip` and `tail`, in batches of about 2 MB.

        `row` is the number (from 1) of the first record in the source, for messages.
        """
        chunks = self._s3.stream(source.bucket, source.key, start=piece.start, end=piece.end, etag=source.etag)
        with closing(chunks):
            for block in text_stream.blocks(chunks, self._last_end, size=_BLOCK_BYTES, name=source.uri):
                batch = self._parse(source, block, selection, row)
                row += batch.num_rows
                yield batch

    def _scanner(self, scan: Scan, start: int, own: Mapping[str, Any], schema: pa.Schema | None) -> CsvScanner:
        return CsvScanner(
            scan.file.uri,
            delimiter=own.get("delimiter") or self._csv["delimiter"],
            quote=self._csv["quote"],
            escape=self._csv.get("escape"),
            single=schema is not None and len(schema) + own.get("unnamed", 0) == 1,
            header=1 if csv_dialect.has_header(self._csv) else 0,
            start=start,
            limit=scan.limit,
            part=scan.known,
        )

    def _last_end(self, data: bytes) -> int:
        """Return the offset after the last line end outside quotes, 0 if there is none."""
        quote = self._quote
        if self._escape is not None:
            data = blanked(np.frombuffer(data, np.uint8), self._escape, False)[0].tobytes()
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
            # The CSV reader would remove it as a byte order mark, even from a block in the middle of the file.
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
        names = source.columns or selection.table.names
        unnamed = [f"\0{number}" for number in range(source.dialect.get("unnamed", 0))]
        try:
            table = pa.csv.read_csv(
                pa.BufferReader(block),
                read_options=pa.csv.ReadOptions(
                    column_names=[*names, *unnamed], use_threads=False, block_size=len(block) + 1
                ),
                parse_options=pa.csv.ParseOptions(
                    delimiter=source.dialect.get("delimiter") or self._csv["delimiter"],
                    quote_char=self._csv["quote"],
                    escape_char=self._csv.get("escape") or False,
                    newlines_in_values=True,
                ),
                convert_options=pa.csv.ConvertOptions(
                    column_types={name: pa.string() for name in [*names, *unnamed]},
                    include_columns=[*selection.columns.names, *unnamed],
                    strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid as err:
            raise _refused(source, err, row, names) from None
        for name in unnamed:
            _check_empty(source, table.column(name), row)
        return table


def _next_chunk(text: text_stream.Text, name: str) -> bytes | None:
    chunk = next(text.chunks, None)
    if not text.whole:
        raise OutOfTime(name)
    return chunk


def _schema(names: Sequence[str], types: Mapping[str, str]) -> pa.Schema:
    return pa.schema(
        [(name, declared_types.arrow_type(name, types[name]) if name in types else pa.string()) for name in names]
    )


_NO_TEXT = {
    0x1A: "Ctrl-Z (0x1A), the end mark of old programs",
    0: "zeros (0x00), as in a file that was not written completely",
}


def _check_tail(file: Source, tail: bytes) -> None:
    """Refuse a file that ends in Ctrl-Z or zeros: they would become a row or a part of a cell.

    `tail` are the last bytes of the file.
    """
    ended = tail.rstrip(b"\r\n")
    last = ended[max(ended.rfind(b"\n"), ended.rfind(b"\r")) + 1 :]
    if ended and ended[-1] in _NO_TEXT and (ended == tail or not last.strip(b"\0\x1a")):
        raise MalformedInput(f"{file.uri} ends in {_NO_TEXT[ended[-1]]}.", advice="Remove what follows the last row.")


def _check_empty(source: Source, cells: pa.ChunkedArray, row: int) -> None:
    """Refuse a filled cell in a column without a name; `row` is the row of the first cell."""
    filled = pc.index(pc.greater(pc.binary_length(cells), 0), True).as_py()
    if filled >= 0:
        raise MalformedInput(
            f"{source.uri}: row {row + filled} has a cell after the last column that has a name {ROWS_COUNT}.",
            advice='Name the column in the header, or set input.csv.columns, and input.csv.header to "replace".',
        )


def _refused(source: Source, err: pa.ArrowInvalid, row: int, names: Sequence[str]) -> MalformedInput:
    """Return the error for a block that the CSV reader refuses; `row` is the block's first row."""
    # The CSV reader's own message quotes the row, which may be confidential. Take only numbers from it.
    number, width = _ROW.search(str(err)), _WIDTH.search(str(err))
    where = f"row {row + int(number[1]) - 1}" if number else f"a row after row {row - 1}"
    if width:
        expected, found = int(width[1]), int(width[2])
        what = f"{found} cell{'' if found == 1 else 's'} where {expected} were expected"
        hint = _width_hint(expected, found, names)
    elif "UTF8" in str(err):
        what, hint = "text that is not UTF-8", 'Set input.csv.encoding, for example to "cp1252".'
    else:
        what, hint = "something the CSV reader refuses", "Write the file again."
    return MalformedInput(f"{source.uri}: {where} has {what} {ROWS_COUNT}.", advice=hint)


def _width_hint(expected: int, found: int, names: Sequence[str]) -> str:
    """Return advice for a row with too many or too few cells."""
    if len(names) == 1 and (others := [other for other in ";\t|" if other in names[0]]):
        other = json.dumps(others[0])
        return f"If the cells are separated by {other}, set input.csv.delimiter to {other}."
    if found > expected:
        return "Put cells that hold the delimiter in quotes."
    return (
        "If a cell holds a line end, put the cell in quotes. If lines stand before the header, set "
        "input.csv.skip_lines. Otherwise the row is incomplete or not part of the table: correct or remove it."
    )


def _with_nulls(texts: pa.Array, null_values: Sequence[str]) -> pa.Array:
    if not null_values:
        return texts
    return pc.if_else(pc.is_in(texts, pa.array(null_values, pa.string())), pa.scalar(None, pa.string()), texts)

"""From S3 objects to Arrow: what the input table is, and the rows of one shard of it."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate, repeat
from typing import Any, Literal

import pyarrow as pa

from bedrock_batch.adapters import csv_files, parquet_files
from bedrock_batch.adapters.s3 import S3, Object
from bedrock_batch.contracts import Column, Piece, Run, Shard, Source, Table
from bedrock_batch.errors import EmptyInput, InvalidRunInput, MalformedInput, SchemaMismatch
from bedrock_batch.plan import Layout

Format = Literal["csv", "parquet"]

_SUFFIXES: dict[str, Format] = {
    "csv": "csv",
    "tsv": "csv",
    "parquet": "parquet",
    "parq": "parquet",
    "pq": "parquet",
}


@dataclass(frozen=True, slots=True)
class Description:
    """The input as planning needs it; `sources` and `layouts` are parallel, in table order."""

    table: Table
    schema: pa.Schema
    sources: list[Source]
    layouts: list[Layout]


def describe(s3: S3, objects: Sequence[Object], *, options: Mapping[str, Any], limit: int | None = None) -> Description:
    """Read what planning needs: Parquet footers, or one pass over CSV for record boundaries.

    `objects` come from `S3.find`; `options` is the run input's `input` object: `format` (else by suffix), `csv`
    (delimiter, quote, columns), `types` (column to Arrow type). `limit` is the number of rows to read at most
    (`plan.row_limit`): what lies behind it is not looked at, `Table.rows` and `Source.rows` count only rows
    within it. Files without rows, and those behind the limit, are not among the sources.

    Raises InvalidRunInput, InputNotFound, InputChanged, EmptyInput, MalformedInput, SchemaMismatch, MissingColumn.
    """
    form = _format(objects, options)
    dialect = csv_files.dialect(objects, options) if form == "csv" else {}
    schema: pa.Schema | None = None
    sources: list[Source] = []
    layouts: list[Layout] = []
    rows = 0
    for item, found, layout in _described(s3, objects, form, dialect, limit):
        if found is None:
            continue
        if schema is None:
            _check_names(item, found)
            schema, first = found, item
        else:
            _compare(schema, found, first=first, other=item)
        if layout.rows:
            sources.append(Source(item.bucket, item.key, item.etag, item.size, layout.rows))
            layouts.append(layout)
            rows += layout.rows
    if schema is None or not rows:
        raise EmptyInput(f"The input has no rows: {', '.join(item.uri for item in objects[:3])}.")
    columns = [Column(field.name, str(field.type)).to_json() for field in schema]
    packed = base64.b64encode(schema.serialize().to_pybytes()).decode()
    table = Table(format=form, rows=rows, schema=packed, columns=columns, csv=dialect)
    return Description(table, schema, sources, layouts)


def table_schema(table: Table) -> pa.Schema:
    """Return the Arrow schema that `Table.schema` holds."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(table.schema)))


def read_shard(s3: S3, run: Run, shard: Shard, *, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the shard's rows in the run's schema, in order, in batches of some MB.

    With `columns` only those top-level columns, in the schema's order. The number of rows is checked against
    the plan: raises InputChanged when the object is no longer the planned one, MalformedInput (naming file,
    row and what was expected) for what cannot be read.
    """
    table = Table.from_json(run.table)
    schema = table_schema(table)
    names = [name for name in schema.names if columns is None or name in columns]
    # Rows of the table before each source.
    before = [0, *accumulate(source["rows"] for source in run.sources)]
    at = shard.first_row
    for piece in shard.parts():
        source = Source.from_json(run.sources[piece.source])
        row = at - before[piece.source] - piece.skip + 1
        yield from _read_piece(s3, source, piece, table=table, schema=schema, columns=names, row=row)
        at += piece.rows


def _read_piece(
    s3: S3, source: Source, piece: Piece, *, table: Table, schema: pa.Schema, columns: Sequence[str], row: int
) -> Iterator[pa.RecordBatch]:
    if table.format == "csv":
        batches = csv_files.read(s3, source, piece, schema=schema, csv_=table.csv, columns=columns, row=row)
    else:
        batches = parquet_files.read(s3, source, piece, schema=schema, columns=columns)
    planned = piece.skip + piece.rows + piece.tail
    at = 0
    for batch in batches:
        low, high = max(piece.skip - at, 0), min(piece.skip + piece.rows - at, batch.num_rows)
        at += batch.num_rows
        if low < high:
            yield batch.slice(low, high - low)
    if at != planned:
        raise MalformedInput(
            f"{source.uri}: {planned} rows from row {row} were planned and {at} were read. "
            "Its quotes are ambiguous, or the file is damaged: write it again with every text field quoted."
        )


def _described(
    s3: S3, objects: Sequence[Object], form: Format, dialect: Mapping[str, Any], limit: int | None
) -> Iterator[tuple[Object, pa.Schema | None, Layout]]:
    """Yield every object's schema and layout in order, up to `limit` rows."""

    def one(item: Object, most: int | None) -> tuple[pa.Schema | None, Layout]:
        if form == "csv":
            return csv_files.describe(s3, item, dialect, most)
        return parquet_files.describe(s3, item, most)

    if limit is not None:
        # One after the other: how much of a file is wanted depends on those before it.
        for item in objects:
            schema, layout = one(item, limit)
            yield item, schema, layout
            limit -= layout.rows
            if not limit:
                return
        return
    module = csv_files if form == "csv" else parquet_files
    with ThreadPoolExecutor(module.CONCURRENT_FILES) as pool:
        for item, (schema, layout) in zip(objects, pool.map(one, objects, repeat(None)), strict=True):
            yield item, schema, layout


def _format(objects: Sequence[Object], options: Mapping[str, Any]) -> Format:
    """Return the one format of all objects: as asked, else by their suffixes."""
    asked: Format | None = options.get("format")
    found: dict[Format, str] = {}
    for item in objects:
        form = asked or _SUFFIXES.get(item.key.rpartition(".")[2].lower())
        if form is None:
            raise InvalidRunInput(
                f"The name of {item.uri} does not tell its format (.csv, .tsv, .parquet). Set input.format, "
                "or move what is not part of the table elsewhere."
            )
        found.setdefault(form, item.uri)
    if len(found) > 1:
        raise InvalidRunInput(f"The input mixes formats: {' and '.join(found.values())}. Start a run for each.")
    (form,) = found
    if form == "parquet" and (options.get("csv") or options.get("types")):
        raise InvalidRunInput("input.csv and input.types are for CSV, and the input is Parquet. Remove them.")
    return form


def _check_names(item: Object, schema: pa.Schema) -> None:
    twice = [name for index, name in enumerate(schema.names) if name in schema.names[:index]]
    if twice:
        raise MalformedInput(f'{item.uri} has two columns named "{twice[0]}". Rename one of them.')


def _compare(schema: pa.Schema, other_schema: pa.Schema, *, first: Object, other: Object) -> None:
    """Raise SchemaMismatch unless names, order and types are the same."""
    for name in (*schema.names, *other_schema.names):
        here, there = (where.uri for where in ((first, other) if name in schema.names else (other, first)))
        if not (name in schema.names and name in other_schema.names):
            raise SchemaMismatch(f'{here} has a column "{name}" and {there} does not. All files need the same columns.')
    for mine, theirs in zip(schema, other_schema, strict=False):
        if (mine.name, mine.type) != (theirs.name, theirs.type):
            raise SchemaMismatch(
                f'{other.uri} has the column "{theirs.name}" ({theirs.type}) where {first.uri} has '
                f'"{mine.name}" ({mine.type}). All files need the same columns in the same order.'
            )
    if len(schema) != len(other_schema):
        raise MalformedInput(f"{other.uri} has two columns of one name. Rename one of them.")

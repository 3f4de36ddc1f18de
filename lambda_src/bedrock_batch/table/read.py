"""From files to Arrow: what the input table is, and the rows of one shard of it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, count, repeat
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from bedrock_batch.aws.s3 import S3, Object
from bedrock_batch.contracts.lines import Piece, Shard
from bedrock_batch.contracts.run import Column, Run, Source, Table
from bedrock_batch.errors import EmptyInput, InvalidRunInput, MalformedInput
from bedrock_batch.table import csv_format, jsonl_format, parquet_format, schemas, text_stream
from bedrock_batch.table.layout import Layout
from bedrock_batch.table.scan_checkpoint import Found, OutOfTime, Scans

if TYPE_CHECKING:
    from bedrock_batch.table.hugging_face import Hub

Format = Literal["csv", "jsonl", "bedrock_jsonl", "parquet"]

_SUFFIXES: dict[str, Format] = {
    "csv": "csv",
    "tsv": "csv",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "json": "jsonl",
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


def find(s3: S3, asked: Mapping[str, Any]) -> tuple[Sequence[Object | Source], "Hub | None"]:
    """Return the files that a run input names, and the hub if that is where they are."""
    if not asked.get("dataset_id"):
        return s3.find(asked["s3_uri"]), None
    hub = _hub(asked)
    files = hub.find(
        asked["dataset_id"],
        config=asked.get("config"),
        split=asked.get("split") or "train",
        revision=asked.get("revision"),
    )
    return files, hub


def describe(
    s3: S3,
    files: Sequence[Object | Source],
    *,
    options: Mapping[str, Any],
    limit: int | None = None,
    hub: "Hub | None" = None,
    staged: tuple[str, str] = ("", ""),
    until: float = math.inf,
) -> Description:
    """Read what planning needs: Parquet footers, or one pass over a text for record boundaries and JSON types.

    `files` and `hub` come from `find`; `options` is the run input's `input` object: `format` (else by suffix), `csv`
    (delimiter, quote, …), `types` (column to Arrow type). `limit` is the number of rows to read at most
    (`shards.row_limit`): what lies behind it is not looked at, `Table.rows` and `Source.rows` count only rows
    within it. Files without rows, and those behind the limit, are not among the sources. Text files that are
    compressed or not in UTF-8 are copied below `staged`, a bucket and a prefix; the sources are then the copies.
    By the time.monotonic() `until` all must be read, or it ends in PlanUnfinished: asked again, it goes on behind what
    was read. TooLarge is for a file that takes longer by itself, and that cannot be read in parts.

    Raises InvalidRunInput, InputNotFound, InputChanged, EmptyInput, MalformedInput, SchemaMismatch, MissingColumn,
    HubUnavailable.
    """
    form = _format(files, options)
    dialect = csv_format.dialect(files, options) if form == "csv" else {}
    started = [_source(item) for item in files]
    found: list[Found] = []
    scans = Scans(s3, staged if form != "parquet" else ("", ""), started)
    try:
        for one in _described(s3, started, form, dialect, limit, hub, scans, staged, until):
            found.append(one)
            if not one.whole:
                raise OutOfTime(one.file.uri)
    except OutOfTime as err:
        raise scans.keep(found, err) from None
    found = [one for one in found if one.schema is not None or one.layout.rows]
    rows = sum(one.layout.rows for one in found)
    if not rows:
        raise EmptyInput(f"The input has no rows: {', '.join(item.uri for item in started[:3])}.")
    jsonl: dict[str, Any] = {}
    if form in ("jsonl", "bedrock_jsonl"):
        kinds = [(one.file, one.kinds) for one in found]
        schema, jsonl = schemas.of_json(kinds, options.get("types") or {}, ready_made=form == "bedrock_jsonl")
    else:
        schema = schemas.common([(one.file, one.schema) for one in found])
    filled = [one for one in found if one.layout.rows]
    columns = [Column(field.name, str(field.type)).to_json() for field in schema]
    packed = schemas.packed(schema)
    table = Table(format=form, rows=rows, schema=packed, columns=columns, csv=dialect, jsonl=jsonl)
    sources = [replace(one.file, rows=one.layout.rows) for one in filled]
    return Description(table, schema, sources, [one.layout for one in filled])


def declared_columns(table: Table) -> list[str]:
    """Return the columns whose types the user declared; only reading them tells whether every cell is of its type."""
    return [*table.csv.get("types", ()), *table.jsonl.get("typed", ())]


def read_shard(s3: S3, run: Run, shard: Shard, *, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the shard's rows in the run's schema, in order, in batches of some MB.

    With `columns` only those top-level columns, in the schema's order. The number of rows is checked against
    the plan: raises InputChanged when the object is no longer the planned one, MalformedInput (naming file,
    row and what was expected) for what cannot be read.
    """
    table = Table.from_json(run.table)
    schema = schemas.unpacked(table.schema)
    names = [name for name in schema.names if columns is None or name in columns]
    sources = [Source.from_json(source) for source in run.sources]
    hub = _hub(run.input) if any(source.dataset for source in sources) else None
    # Rows of the table before each source.
    before = [0, *accumulate(source.rows for source in sources)]
    at = shard.first_row
    for piece in shard.read_pieces():
        source = sources[piece.source]
        row = at - before[piece.source] + 1
        yield from read_piece(s3, hub, source, piece, table=table, schema=schema, columns=names, row=row)
        at += piece.rows


def read_piece(
    s3: S3,
    hub: "Hub | None",
    source: Source,
    piece: Piece,
    *,
    table: Table,
    schema: pa.Schema,
    columns: Sequence[str],
    row: int,
) -> Iterator[pa.RecordBatch]:
    """Yield a piece's rows; `row` is the source's row (from 1) that comes first, for messages."""
    row -= piece.skip
    if table.format == "parquet":
        fetch = _fetch(s3, hub, source)
        batches = parquet_format.read(fetch, piece, name=source.uri, size=source.size, schema=schema, columns=columns)
    elif table.format == "csv":
        batches = csv_format.read(s3, source, piece, schema=schema, csv_=table.csv, columns=columns, row=row)
    else:
        batches = jsonl_format.read(s3, source, piece, schema=schema, jsonl=table.jsonl, columns=columns, row=row)
    planned = piece.skip + piece.rows + piece.tail
    at = 0
    for batch in batches:
        low, high = max(piece.skip - at, 0), min(piece.skip + piece.rows - at, batch.num_rows)
        at += batch.num_rows
        if low < high:
            yield batch.slice(low, high - low)
    if at != planned:
        raise MalformedInput(
            f"{source.uri}: {planned} rows from row {row} were planned and {at} were read.",
            advice="Its quotes are ambiguous, or the file is damaged: write it again with every text field quoted.",
        )


def _described(
    s3: S3,
    files: Sequence[Source],
    form: Format,
    dialect: Mapping[str, Any],
    limit: int | None,
    hub: "Hub | None",
    scans: Scans,
    staged: tuple[str, str],
    until: float,
) -> Iterator[Found]:
    """Yield what every file holds, in order, up to `limit` rows."""

    def one(number: int, file: Source, most: int | None) -> Found:
        kept = scans.kept(number)
        if kept is not None and kept.whole:
            return kept
        if form == "parquet":
            schema, layout = parquet_format.describe(_fetch(s3, hub, file), name=file.uri, size=file.size, limit=most)
            return Found(file, layout, schema)
        bucket, prefix = staged
        copy = (bucket, f"{prefix}{number:05d}.{'csv' if form == 'csv' else 'jsonl'}")
        terms = text_stream.Terms(copy, until)
        item = Object(file.bucket, file.key, file.etag, file.size)
        if form == "csv":
            schema, layout, text = csv_format.describe(s3, item, dialect, most, terms, kept)
            return Found(_source(text.stored, origin=file.uri), layout, schema, whole=text.whole)
        kinds, layout, text = jsonl_format.describe(s3, item, most, terms, kept)
        return Found(_source(text.stored, origin=file.uri), layout, kinds=kinds, whole=text.whole)

    if limit is not None:
        # One after the other: how much of a file is wanted depends on those before it.
        for number, file in enumerate(files):
            found = one(number, file, limit)
            yield found
            limit -= found.layout.rows
            if not limit:
                return
        return
    workers = parquet_format.CONCURRENT_FILES if form == "parquet" else text_stream.CONCURRENT_FILES
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(one, count(), files, repeat(None))


def _source(item: Object | Source, *, origin: str = "") -> Source:
    if isinstance(item, Source):
        return item
    return Source(item.bucket, item.key, item.etag, item.size, rows=0, origin="" if origin == item.uri else origin)


def _hub(asked: Mapping[str, Any]) -> "Hub":
    # Imported only where it is needed: it takes as long as everything else together.
    from bedrock_batch.table import hugging_face

    return hugging_face.connect(asked.get("hf_token_secret_arn"))


def _fetch(s3: S3, hub: "Hub | None", source: Source) -> parquet_format.Fetch:
    """Return what fetches bytes of a Parquet file's planned version."""
    if hub is not None:
        return partial(hub.read, source)
    return lambda start, end: s3.read(source.bucket, source.key, start=start, end=end, etag=source.etag)


def _format(files: Sequence[Object | Source], options: Mapping[str, Any]) -> Format:
    """Return the one format of all files: as asked, else by their suffixes."""
    asked: Format | None = options.get("format")
    found: dict[Format, str] = {}
    for item in files:
        suffix, codec = text_stream.suffixes(item.key)
        form = asked or _SUFFIXES.get(suffix)
        if form is None:
            raise InvalidRunInput(
                f"The name of {item.uri} does not tell its format (.csv, .tsv, .jsonl, .ndjson, .json, .parquet; text "
                "also with .gz or .zst). Set input.format, or move what is not part of the table elsewhere."
            )
        if form == "parquet" and codec:
            raise InvalidRunInput(f"{item.uri} is compressed as a whole, and Parquet is read in parts. Unpack it.")
        found.setdefault(form, item.uri)
    if len(found) > 1:
        raise InvalidRunInput(f"The input mixes formats: {' and '.join(found.values())}. Start a run for each.")
    (form,) = found
    if form == "parquet" and (options.get("csv") or options.get("types")):
        raise InvalidRunInput("input.csv and input.types are for text files, and the input is Parquet. Remove them.")
    if form != "csv" and options.get("csv"):
        raise InvalidRunInput("input.csv is for CSV, and the input is JSON lines. Remove it.")
    return form

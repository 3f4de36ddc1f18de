"""Read the input table from its files: describe the table, and return the rows of a shard as Arrow."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, repeat
from typing import TYPE_CHECKING, Any, Literal, Protocol

import pyarrow as pa

from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import Piece, PlannedShard
from bedrock_batch.contracts.run import Column, Run, Source, Table
from bedrock_batch.errors import EmptyInput, InvalidRunInput, MalformedInput
from bedrock_batch.table import (
    batch_bytes,
    csv_dialect,
    csv_format,
    hive_paths,
    input_files,
    jsonl_format,
    parquet_format,
    schemas,
    text_stream,
)
from bedrock_batch.table.deadline import NO_DEADLINE, Deadline
from bedrock_batch.table.input_files import InputFiles
from bedrock_batch.table.layout import Layout
from bedrock_batch.table.scan_checkpoint import Found, Scan, Scans
from bedrock_batch.table.schemas import Selection

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


class Reader(Protocol):
    """Reads the files of one format."""

    concurrent_files: int
    """How many files planning reads at the same time."""

    def describe(self, scan: Scan) -> Found:
        """Find a file's columns and the places of its rows."""

    def schema(self, found: Sequence[Found], options: Mapping[str, Any]) -> tuple[pa.Schema, dict[str, Any]]:
        """Return the one schema of all files, and the fields of `Table` for this format."""

    def read(self, source: Source, piece: Piece, selection: Selection, row: int) -> Iterator[pa.RecordBatch]:
        """Yield a piece's rows, including `skip` and `tail`. In the source, the first row has number `row`, from 1."""


class Rows:
    """The rows of an input table, whose sources are on S3 or on the hub."""

    def __init__(self, s3: S3, hub: "Hub | None", table: Table, sources: Sequence[Source]) -> None:
        self.schema = schemas.unpacked(table.schema)
        self.sources = sources
        self._reader = _reader(s3, hub, table.format, csv_=table.csv, jsonl=table.jsonl)
        self._is_csv = table.format == "csv"
        self._in_files = pa.schema([field for field in self.schema if field.name not in table.path_columns])
        self._names_in_files = frozenset(self._in_files.names)

    def read(self, piece: Piece, columns: Sequence[str], *, row: int) -> Iterator[pa.RecordBatch]:
        """Yield a piece's rows with these columns, in batches of some MB.

        `row` is the number (from 1) of the first row in the source, for messages. Raises MalformedInput if the number
        of rows is not the planned one.
        """
        source = self.sources[piece.source]
        row -= piece.skip
        planned = piece.skip + piece.rows + piece.tail
        wanted = pa.schema([self.schema.field(name) for name in columns])
        # Read at least one column of the file: without any, a batch has no number of rows.
        read = [name for name in columns if name in self._names_in_files] or self._in_files.names[:1]
        at = 0
        for batch in self._reader.read(source, piece, Selection.of(self._in_files, read), row):
            low, high = max(piece.skip - at, 0), min(piece.skip + piece.rows - at, batch.num_rows)
            if low < high:
                rows = hive_paths.added(source, batch.slice(low, high - low), wanted, row=row + at + low)
                yield from batch_bytes.cut(rows)
            at += batch.num_rows
        if at != planned:
            advice = "The file is damaged. Write it again."
            if self._is_csv:
                advice = "Its quotes are ambiguous, or the file is damaged. Write it again with every text in quotes."
            raise MalformedInput(
                f"{source.uri}: {planned} rows from row {row} on were planned, but {at} were read.", advice=advice
            )


@dataclass(frozen=True, slots=True)
class Files:
    """The files of an input, in order, on S3 or on the hub."""

    s3: S3
    found: InputFiles
    hub: "Hub | None" = None


@dataclass(frozen=True, slots=True)
class Description:
    """The input as planning needs it. `layouts[i]` is the layout of `sources[i]`; both are in table order."""

    table: Table
    schema: pa.Schema
    sources: list[Source]
    layouts: list[Layout]
    rows: Rows


def find(s3: S3, asked: Mapping[str, Any], *, own: str | None = None) -> Files:
    """Return the files of a run input; `asked` is its `input` object. `own`: see `input_files.find`."""
    if not asked.get("dataset_id"):
        return Files(s3, input_files.find(s3, asked["s3_uri"], own=own))
    hub = _hub(asked)
    items = hub.find(
        asked["dataset_id"],
        config=asked.get("config"),
        split=asked.get("split") or "train",
        revision=asked.get("revision"),
    )
    return Files(s3, InputFiles(items), hub)


def describe(
    files: Files,
    *,
    options: Mapping[str, Any],
    limit: int | None = None,
    staged: tuple[str, str] = ("", ""),
    deadline: Deadline = NO_DEADLINE,
) -> Description:
    """Read what planning needs: Parquet footers, or one pass over each text file for record boundaries and JSON types.

    `options` is the run input's `input` object: `format` (without it the suffixes decide), `csv` (delimiter, quote, …),
    `types` (column to Arrow type). `limit` is the most rows to read (`shards.row_limit`): later rows are not read, and
    `Table.rows` and `Source.rows` do not count them. Files without rows, and files after the limit, are not sources.
    Text files that are compressed or not in UTF-8 are copied below `staged`, which is a bucket and a prefix; the
    sources are then the copies.

    Raises:
        PlanUnfinished: the deadline has passed; the next call continues after the last row read.
        TooLarge: a file that cannot be read in parts takes longer than the function has time.
        InvalidRunInput, InputNotFound, InputChanged, EmptyInput, MalformedInput, SchemaMismatch, MissingColumn: the
            input is wrong.
        HubUnavailable: the hub does not answer.
    """
    items, types = files.found.sources, options.get("types") or {}
    form = _format(items, options)
    csv_ = csv_dialect.dialect(items, options) if form == "csv" else {}
    reader = _reader(files.s3, files.hub, form, csv_=csv_, jsonl={})
    started = [item for item in items if item.size]
    scans = Scans(files.s3, staged if form != "parquet" else ("", ""), started, deadline)
    # A file without rows is left out: its columns need not match.
    filled = [one for one in scans.collect(_described(reader, scans, len(started), limit)) if one.layout.rows]
    if not filled:
        raise EmptyInput(f"The input has no rows: {', '.join(item.uri for item in items[:3])}.")
    in_files, of_format = reader.schema(filled, options)
    schema = hive_paths.extended(in_files, [one.file for one in filled], types, form)
    if not schema.names:
        raise EmptyInput(f"The input has rows, but no column: {', '.join(item.uri for item in items[:3])}.")
    table = Table(
        format=form,
        rows=sum(one.layout.rows for one in filled),
        schema=schemas.packed(schema),
        columns=[Column(field.name, str(field.type)) for field in schema],
        path_columns=schema.names[len(in_files) :],
        **of_format,
    )
    sources = [replace(one.file, rows=one.layout.rows, columns=_own_order(one.schema, in_files)) for one in filled]
    layouts = [one.layout for one in filled]
    return Description(table, schema, sources, layouts, Rows(files.s3, files.hub, table, sources))


def _own_order(of_file: pa.Schema | None, table: pa.Schema) -> list[str] | None:
    """Return the columns of a file in the file's order; None if the table has the same order."""
    return None if of_file is None or of_file.names == table.names else of_file.names


def read_shard(s3: S3, run: Run, shard: PlannedShard, *, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield the shard's rows with these top-level columns, in the schema's order, in batches of some MB.

    Raises:
        InputChanged: an object is no longer the planned one.
        MalformedInput: a row cannot be read, or the number of rows is not the planned one; names the file and the row.
    """
    hub = _hub(run.input) if any(source.dataset for source in run.sources) else None
    rows = Rows(s3, hub, run.table, run.sources)
    wanted = set(columns)
    names = [name for name in rows.schema.names if name in wanted]
    # Rows of the table before each source.
    before = [0, *accumulate(source.rows for source in run.sources)]
    at = shard.first_row
    for piece in shard.pieces:
        yield from rows.read(piece, names, row=at - before[piece.source] + 1)
        at += piece.rows


def _described(reader: Reader, scans: Scans, files: int, limit: int | None) -> Generator[Found, None, None]:
    """Yield what was found in every file, in order, up to `limit` rows."""

    def one(number: int, most: int | None) -> Found:
        scan = scans.scan(number, most)
        return scan.earlier if scan.earlier is not None and scan.earlier.whole else reader.describe(scan)

    if limit is not None:
        # One file after the other: how many rows of a file to read depends on the files before it.
        for number in range(files):
            found = one(number, limit)
            yield found
            limit -= found.layout.rows
            if not limit:
                return
        return
    with ThreadPoolExecutor(reader.concurrent_files) as pool:
        yield from pool.map(one, range(files), repeat(None))


def _reader(s3: S3, hub: "Hub | None", form: Format, *, csv_: Mapping[str, Any], jsonl: Mapping[str, Any]) -> Reader:
    """Return the reader of this format; `csv_` and `jsonl` are `Table.csv` and `Table.jsonl`."""
    if form == "parquet":
        return parquet_format.ParquetReader(partial(_fetch, s3, hub))
    if form == "csv":
        return csv_format.CsvReader(s3, csv_)
    return jsonl_format.JsonlReader(s3, jsonl)


def _hub(asked: Mapping[str, Any]) -> "Hub":
    # Imported only when needed: this import takes as long as all others together.
    from bedrock_batch.table import hugging_face

    return hugging_face.connect(asked.get("hf_token_secret_arn"))


def _fetch(s3: S3, hub: "Hub | None", source: Source) -> parquet_format.Fetch:
    """Return a function that fetches bytes of a Parquet file, in the version that was planned."""
    if hub is not None:
        return partial(hub.read, source)
    return parquet_format.fetch_from(s3, source)


def _format(files: Sequence[Source], options: Mapping[str, Any]) -> Format:
    """Return the one format of all files: `input.format`, or the format that the suffixes show."""
    asked: Format | None = options.get("format")
    found: dict[Format, str] = {}
    for item in files:
        suffix, codec = text_stream.suffixes(item.key)
        form = asked or _SUFFIXES.get(suffix)
        if form is None:
            raise InvalidRunInput(
                f"The name of {item.uri} does not show its format (.csv, .tsv, .jsonl, .ndjson, .json, .parquet; text "
                "also with .gz or .zst). Set input.format, or move files that are not part of the table elsewhere."
            )
        if form == "parquet" and codec:
            raise InvalidRunInput(
                f"{item.uri} is compressed as a whole, but Parquet files are read in parts. Decompress it."
            )
        found.setdefault(form, item.uri)
    if len(found) > 1:
        raise InvalidRunInput(f"The input mixes formats: {' and '.join(found.values())}. Start a run for each.")
    (form,) = found
    if form != "csv" and options.get("csv"):
        raise InvalidRunInput(f"input.csv is for CSV, but the input's format is {form}. Remove input.csv.")
    return form

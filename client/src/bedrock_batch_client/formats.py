"""Read and write the three formats of a table as Arrow batches. It needs pyarrow, the extra `data`."""

import base64
import json
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from bedrock_batch_client.errors import Mistake

if TYPE_CHECKING:
    import pyarrow as pa

Batches = Iterator["pa.RecordBatch"]

_BLOCK = 1 << 20  # bytes of a CSV that become a batch
_LINES = 5_000  # of JSON that become a batch
_NUMBERS = ("row", "input_tokens", "output_tokens")
"""Columns of ours that are whole numbers, without the prefix of the run."""


def arrow() -> Any:
    """Return the module pyarrow. Raises Mistake where it is not installed."""
    try:
        import pyarrow
        import pyarrow.csv
        import pyarrow.parquet
    except ImportError as err:
        raise Mistake('This needs pyarrow: install it with `pip install "bedrock-batch-client[data]"`.') from err
    return pyarrow


def our_prefix(names: list[str]) -> str | None:
    """Return the prefix of the columns that a run has added, or None where there are none.

    They stand behind the columns of the input, and the answer stands behind the outcome.
    """
    for index in range(len(names) - 2, -1, -1):
        prefix = names[index].removesuffix("outcome")
        answers = (f"{prefix}response", f"{prefix}embedding")
        if prefix != names[index] and names[index + 1] in answers and f"{prefix}error_code" in names[index:]:
            return prefix
    return None


# --- Read a file ---


def schema_of(form: str, files: Iterable[Path]) -> "pa.Schema":
    """Return one schema for all files of a table.

    A CSV has no types: its columns are text, but the numbers that the run has added. JSON lines have those of their
    values; a column whose values do not go together is text, and holds JSON.
    """
    pa = arrow()
    if form == "parquet":
        return pa.parquet.read_schema(next(iter(files)))
    if form == "csv":
        return _csv_schema(next(iter(files)))
    return _merged([_types(rows) for path in files for rows in _json_rows(path)])


def read(form: str, path: Path, schema: "pa.Schema") -> Batches:
    """Yield the rows of a file in the schema of its table."""
    pa = arrow()
    if form == "parquet":
        with pa.parquet.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield from file.read_row_group(group).to_batches()
    elif form == "csv":
        convert = pa.csv.ConvertOptions(
            column_types=schema, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
        )
        with _opened_csv(path, convert) as reader:
            yield from reader
    else:
        for rows in _json_rows(path):
            yield pa.RecordBatch.from_arrays(
                [_column([row.get(field.name) for row in rows], field.type) for field in schema], schema=schema
            )


def _csv_schema(path: Path) -> "pa.Schema":
    pa = arrow()
    with _opened_csv(path) as reader:
        names = reader.schema.names
    prefix = our_prefix(names) or ""
    numbers = {f"{prefix}{name}" for name in _NUMBERS}
    return pa.schema([(name, pa.int64() if name in numbers else pa.string()) for name in names])


def _opened_csv(path: Path, convert: Any = None) -> Any:
    """Return a reader of a CSV. Arrow refuses a row that is longer than a block, so the longest row is looked for."""
    pa = arrow()
    return pa.csv.open_csv(
        path,
        read_options=pa.csv.ReadOptions(block_size=max(_BLOCK, _longest_row(path))),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=convert,
    )


def _longest_row(path: Path) -> int:
    longest = row = 0
    with path.open("rb") as file:
        quoted = False
        for line in file:
            row += len(line)
            quoted ^= line.count(b'"') % 2 == 1
            if not quoted:
                longest, row = max(longest, row), 0
    return longest


def _json_rows(path: Path) -> Iterator[list[dict[str, Any]]]:
    with path.open("rb") as file:
        rows = []
        for line in file:
            rows.append(json.loads(line))
            if len(rows) == _LINES:
                yield rows
                rows = []
        if rows:
            yield rows


def _types(rows: list[dict[str, Any]]) -> "pa.Schema":
    pa = arrow()
    fields = []
    for name in dict.fromkeys(name for row in rows for name in row):
        try:
            kind = pa.array([row.get(name) for row in rows]).type
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            kind = pa.string()
        fields.append((name, kind))
    return pa.schema(fields)


def _merged(schemas: list["pa.Schema"]) -> "pa.Schema":
    """Return the schema that holds all of some; a column whose types do not go together is text."""
    pa = arrow()
    fields = []
    for name in dict.fromkeys(name for schema in schemas for name in schema.names):
        kinds = [schema.field(name).type for schema in schemas if name in schema.names]
        try:
            kind = pa.unify_schemas([pa.schema([(name, one)]) for one in kinds], promote_options="permissive").types[0]
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            kind = pa.string()
        # Parquet has no struct without members, and all objects of this column are empty.
        fields.append((name, pa.string() if "struct<>" in str(kind) else kind))
    return pa.schema(fields)


def _column(values: list[Any], kind: "pa.DataType") -> "pa.Array":
    pa = arrow()
    if pa.types.is_string(kind):
        values = [value if value is None or isinstance(value, str) else as_json(value) for value in values]
    if pa.types.is_floating(kind):  # Arrow refuses a whole number beyond 2^53 among fractions.
        values = [None if value is None else float(value) for value in values]
    return pa.array(values, kind)


# --- Write a file ---


def write(form: str, schema: "pa.Schema", batches: Iterable["pa.RecordBatch"], out: BinaryIO) -> None:
    """Write batches as one file."""
    writers: dict[str, Callable[..., None]] = {"parquet": _write_parquet, "csv": _write_csv, "jsonl": _write_jsonl}
    writers[form](schema, batches, out)


def _write_parquet(schema: "pa.Schema", batches: Iterable["pa.RecordBatch"], out: BinaryIO) -> None:
    with arrow().parquet.ParquetWriter(out, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)


def _write_csv(schema: "pa.Schema", batches: Iterable["pa.RecordBatch"], out: BinaryIO) -> None:
    pa = arrow()
    header = pa.schema([(field.name, _as_text(pa.nulls(0, field.type)).type) for field in schema])
    with pa.csv.CSVWriter(out, header) as writer:
        for batch in batches:
            writer.write_batch(pa.record_batch([_as_text(column) for column in batch.columns], header))


def _write_jsonl(schema: "pa.Schema", batches: Iterable["pa.RecordBatch"], out: BinaryIO) -> None:
    for batch in batches:
        columns = [plain(column).to_pylist() for column in batch.columns]
        for values in zip(*columns, strict=True):
            out.write(as_json(dict(zip(schema.names, values, strict=True))).encode() + b"\n")


def plain(column: "pa.Array") -> "pa.Array":
    """Return a column in types that JSON has, and bytes: as the module writes it in a CSV or in JSON lines.

    A float of 32 bits becomes a text first, and then a number: 0.1 stays 0.1, and is not 0.10000000149011612.
    """
    pa = arrow()
    return column.cast(_plain_type(column.type, pa.string())).cast(_plain_type(column.type, pa.float64()))


def _plain_type(kind: "pa.DataType", short_float: "pa.DataType") -> "pa.DataType":
    pa = arrow()
    if isinstance(kind, pa.BaseExtensionType):
        return _plain_type(kind.storage_type, short_float)
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type, short_float)
    if pa.types.is_nested(kind):
        return _plain_nested(kind, short_float)
    if pa.types.is_float16(kind) or pa.types.is_float32(kind):
        return short_float
    if pa.types.is_duration(kind):
        return pa.int64()
    if "binary" in str(kind):
        return pa.large_binary()
    is_plain = pa.types.is_null(kind) or pa.types.is_boolean(kind) or pa.types.is_integer(kind)
    return kind if is_plain or pa.types.is_float64(kind) else pa.large_string()


def _plain_nested(kind: "pa.DataType", short_float: "pa.DataType") -> "pa.DataType":
    pa = arrow()
    if pa.types.is_map(kind):
        return pa.map_(_plain_type(kind.key_type, short_float), _plain_type(kind.item_type, short_float))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_plain_type(field.type, short_float)) for field in kind])
    item = kind.value_field.with_type(_plain_type(kind.value_type, short_float))
    return pa.list_(item, kind.list_size) if pa.types.is_fixed_size_list(kind) else pa.list_(item)


def _as_text(column: "pa.Array") -> "pa.Array":
    """Return a column as CSV can hold it: nested cells are JSON, bytes are base64."""
    pa = arrow()
    column = plain(column)
    if pa.types.is_nested(column.type):
        return pa.array([None if value is None else as_json(value) for value in column.to_pylist()], pa.string())
    if pa.types.is_large_binary(column.type):
        return pa.array([None if value is None else _base64(value) for value in column.to_pylist()], pa.string())
    return column


def as_json(value: Any) -> str:
    """Return a value as JSON in one line; bytes are base64, and what JSON has not is null or text."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_base64)
    except ValueError:  # NaN and infinity, which JSON has not
        return as_json(_without_nan(value))


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in value.items()}
    return [_without_nan(one) for one in value] if isinstance(value, list | tuple) else value


def _base64(value: Any) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)

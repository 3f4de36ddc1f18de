"""Convert columns to the plain types that JSON and CSV can hold: text, numbers, booleans, lists and structs of these.

Other types become text without loss: dates and times as Arrow writes them, decimals with all digits, bytes as base64.
A map becomes a list of its [key, value] pairs (keys may repeat), a duration the number of its units.
"""

from base64 import b64encode
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.types as pt

from bedrock_batch.errors import InvalidRunInput
from bedrock_batch.table import utc_times


def check(schema: pa.Schema, form: str) -> None:
    """Raise InvalidRunInput, naming the column, for a type without a plain type."""
    for field in schema:
        try:
            to_plain(pa.nulls(0, field.type))
        except (pa.ArrowException, TypeError) as err:
            raise InvalidRunInput(
                f'output.format {form} cannot hold the column "{field.name}" of type {field.type}. Set it to parquet, '
                "or leave the column out of output.columns."
            ) from err


def is_bytes(kind: pa.DataType) -> bool:
    """Return whether a type holds bytes."""
    return bool(pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_fixed_size_binary(kind))


def to_plain(column: pa.Array) -> pa.Array:
    """Return the column in its plain type; bytes stay bytes. Raises ArrowException or TypeError if it has none."""
    return utc_times.written(column).cast(plain(column.type))


def to_text(column: pa.Array) -> pa.Array:
    """Return a plain column as CSV can hold it: nested cells as JSON text, bytes as base64.

    Raises ArrowInvalid for text that is not UTF-8.
    """
    if pt.is_nested(column.type):
        cells = zip(json_cells(column), column.is_valid().to_pylist(), strict=True)
        return pa.array([cell if valid else None for cell, valid in cells], pa.string())
    if pt.is_binary(column.type):
        return pa.array([None if value is None else b64encode(value) for value in column.to_pylist()], pa.string())
    column.validate(full=True)  # Arrow's Parquet reader does not check that text is UTF-8.
    return column


def is_utf8(column: pa.Array) -> bool:
    """Return whether all text in a column is UTF-8. Arrow's Parquet reader does not check it."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def json_cells(column: pa.Array) -> list[bytes]:
    """Return each cell of a plain column as JSON. NaN and infinity become null, because JSON has neither."""
    if not len(column):
        return []
    if _is_list(column.type) and pt.is_floating(column.type.value_type):
        return _vectors(column)
    if pt.is_nested(column.type):
        return [orjson.dumps(value, default=_base64) for value in column.to_pylist()]
    values = column.to_numpy(zero_copy_only=False) if pt.is_floating(column.type) else column.to_pylist()
    # One dump for all cells is fast. It is indented and cut at the line feeds: no JSON value holds a raw one.
    option = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
    return orjson.dumps(values, default=_base64, option=option)[4:-2].split(b",\n  ")


def _vectors(column: pa.Array) -> list[bytes]:
    values = column.flatten().to_numpy(zero_copy_only=False)
    ends = np.cumsum(column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False))
    rows, valid = np.split(values, ends[:-1]), column.is_valid().to_pylist()
    option = orjson.OPT_SERIALIZE_NUMPY
    return [orjson.dumps(row, option=option) if ok else b"null" for row, ok in zip(rows, valid, strict=True)]


def _is_list(kind: pa.DataType) -> bool:
    return bool(pt.is_list(kind) or pt.is_large_list(kind) or pt.is_fixed_size_list(kind))


def plain(kind: pa.DataType) -> pa.DataType:
    """Return the plain type that the cells of a type are written in. Raises TypeError if there is none."""
    if isinstance(kind, pa.BaseExtensionType):
        return plain(kind.storage_type)
    if pt.is_dictionary(kind):
        return plain(kind.value_type)
    return _plain_nested(kind) if pt.is_nested(kind) else _plain_value(kind)


def _plain_nested(kind: pa.DataType) -> pa.DataType:
    if pt.is_map(kind):
        return pa.map_(plain(kind.key_type), plain(kind.item_type))
    if pt.is_struct(kind):
        if len({field.name for field in kind}) < kind.num_fields:
            raise TypeError(f"{kind} has two fields of one name")
        return pa.struct([field.with_type(plain(field.type)) for field in kind])
    if pt.is_fixed_size_list(kind):
        return pa.list_(kind.value_field.with_type(plain(kind.value_type)), kind.list_size)
    if _is_list(kind):
        return pa.list_(kind.value_field.with_type(plain(kind.value_type)))
    raise TypeError(f"{kind} has no plain form")


def _plain_value(kind: pa.DataType) -> pa.DataType:
    if pt.is_boolean(kind) or pt.is_integer(kind) or pt.is_float32(kind) or pt.is_float64(kind):
        return kind
    if pt.is_float16(kind):
        return pa.float32()
    if pt.is_duration(kind):
        return pa.int64()
    if is_bytes(kind):
        return pa.binary()
    if pt.is_timestamp(kind) and not utc_times.is_utc(kind):
        # Arrow refuses an unknown time zone only if there is a cell. The plan must refuse it before it reads cells.
        pa.nulls(1, kind).cast(pa.string())
    return pa.string()


def _base64(value: Any) -> str:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    raise TypeError(f"{type(value)} is not plain")

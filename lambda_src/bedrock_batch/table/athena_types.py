"""The types with which Athena reads the output's columns, in Hive's notation: `array<float>`.

They are the types of what stands in the files. What of Arrow's types Athena's reader of Parquet cannot read has no
type here.
"""

import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.types as pt

from bedrock_batch.contracts.run import OutputColumn
from bedrock_batch.table.plain_types import plain

_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""Names of fields that Hive's types can have. Hive's types have no quotes."""

_MOST_DIGITS = 38
"""Most digits of a decimal in Athena."""

_PLAIN = {
    pa.bool_(): "boolean",
    pa.int8(): "tinyint",
    pa.int16(): "smallint",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.uint8(): "smallint",
    pa.uint16(): "int",
    pa.uint32(): "bigint",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.date32(): "date",
    pa.date64(): "date",
}


class _Unreadable(Exception):
    """Athena cannot read the type; the message says why."""


def columns(schema: pa.Schema, form: str) -> list[OutputColumn]:
    """Return the columns of an output of that format, each with its type for Athena."""
    return [_column(field, form) for field in schema]


def _column(field: pa.Field, form: str) -> OutputColumn:
    if form == "csv":
        return OutputColumn(field.name, "string")
    try:
        kind = _in_json(plain(field.type)) if form == "jsonl" else _in_parquet(field.type)
    except _Unreadable as err:
        return OutputColumn(field.name, "", str(err))
    return OutputColumn(field.name, kind, _note(field.type, form))


def _note(kind: pa.DataType, form: str) -> str:
    """Return a note about a column that its type does not show."""
    kind = _stored(kind)
    if pt.is_duration(kind) or (form == "parquet" and pt.is_time64(kind)):
        return f"a count of {kind.unit}"
    if form == "jsonl":
        return "base64" if pt.is_binary(plain(kind)) else ""
    if pt.is_timestamp(kind) and kind.tz:
        return "in UTC"
    if pt.is_uint32(kind) or pt.is_uint64(kind):
        return f"values from {1 << (kind.bit_width - 1)} on appear as negative ones: add {1 << kind.bit_width} to them"
    return ""


def _stored(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values in a column of an extension type or of a dictionary."""
    if isinstance(kind, pa.BaseExtensionType):
        return _stored(kind.storage_type)
    return _stored(kind.value_type) if pt.is_dictionary(kind) else kind


def _in_parquet(kind: pa.DataType) -> str:
    """Return the type of a column of a Parquet file. Raises _Unreadable."""
    kind = _stored(kind)
    if kind in _PLAIN:
        return _PLAIN[kind]
    if pt.is_struct(kind):
        fields = [(field.name, _in_parquet(field.type)) for field in kind]
        return _struct(fields)
    if pt.is_map(kind):
        return f"map<{_in_parquet(kind.key_type)},{_in_parquet(kind.item_type)}>"
    if pt.is_nested(kind):
        return f"array<{_in_parquet(kind.value_type)}>"
    if pt.is_decimal(kind):
        if kind.precision > _MOST_DIGITS:
            raise _Unreadable(
                f"Athena reads decimals of {_MOST_DIGITS} digits at most, and this one has {kind.precision}"
            )
        return f"decimal({kind.precision},{kind.scale})"
    if pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind):
        return "string"
    if pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_fixed_size_binary(kind) or pt.is_binary_view(kind):
        return "binary"
    if pt.is_timestamp(kind):
        return "timestamp"
    if pt.is_uint64(kind) or pt.is_duration(kind) or pt.is_time64(kind):
        return "bigint"
    raise _Unreadable(f"Athena cannot read the type {kind} of a Parquet file")


def _in_json(kind: pa.DataType) -> str:
    """Return the type of a plain column in JSON lines. A column without a type is read as its JSON text."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    if pt.is_struct(kind):
        try:
            return _struct([(field.name, _in_json(field.type)) for field in kind])
        except _Unreadable:
            return "string"
    if pt.is_map(kind):
        return "array<array<string>>"  # A list of pairs, whose key and value may differ in type.
    if pt.is_nested(kind):
        return f"array<{_in_json(kind.value_type)}>"
    return "string"  # Texts, and types that JSON does not have: dates, decimals, bytes.


def _struct(fields: Sequence[tuple[str, str]]) -> str:
    names = [name for name, _ in fields]
    for name in names:
        if not _FIELD.fullmatch(name):
            raise _Unreadable("a field of this struct has a name that Athena cannot have")
    if len({name.casefold() for name in names}) < len(names):
        raise _Unreadable("two fields of this struct differ in upper and lower case alone")
    if not names:
        raise _Unreadable("Athena knows no struct without fields")
    return f"struct<{','.join(f'{name}:{kind}' for name, kind in fields)}>"

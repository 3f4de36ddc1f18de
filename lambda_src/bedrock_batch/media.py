"""Images and documents beside the prompt: one column holds their bytes or S3 URIs, they go into the records as base64.

For the request template they are two more columns, `media.data` and `media.format`, which exist only while a shard
is prepared.
"""

from collections.abc import Mapping
from typing import Any, Literal

import pyarrow as pa
import pyarrow.types as pt

from bedrock_batch.errors import InvalidRunInput, MissingColumn

Kind = Literal["image", "document"]

DATA, FORMAT = "media.data", "media.format"

FORMATS: dict[str, frozenset[str]] = {
    "image": frozenset({"png", "jpeg", "gif", "webp"}),
    "document": frozenset({"pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"}),
}
"""What Converse takes; other bodies take no more."""

_SUFFIXES = {"jpg": "jpeg", "htm": "html", "text": "txt", "markdown": "md"}

BASE64 = 4 / 3


def check(media: Mapping[str, Any], schema: pa.Schema, *, nulls: str) -> None:
    """Refuse a column that cannot hold media. Raises MissingColumn, InvalidRunInput."""
    column = media["column"]
    if column not in schema.names:
        raise MissingColumn(f"media.column is {column!r}; the table's columns are: {', '.join(schema.names[:50])}.")
    kind = schema.field(column).type
    if not (_is_bytes(kind) or pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind)):
        raise InvalidRunInput(f"media.column {column!r} is of type {kind}; it must hold S3 URIs or bytes.")
    if _is_bytes(kind) and "format" not in media:
        raise InvalidRunInput(f"media.format is needed: bytes, as in {column!r}, do not tell their format.")
    if DATA in schema.names or FORMAT in schema.names:
        raise InvalidRunInput(f"The table has a column {DATA} or {FORMAT}, which stand for the media: rename it.")
    if nulls == "empty":
        raise InvalidRunInput('input.nulls cannot be "empty" with media: a record cannot go without its image.')
    if "format" in media:
        _checked(media["format"], media["kind"])


def extended(schema: pa.Schema) -> pa.Schema:
    """Return the table's schema with the columns that a template may use for media."""
    return schema.append(pa.field(DATA, pa.string())).append(pa.field(FORMAT, pa.string()))


def holds_bytes(media: Mapping[str, Any], schema: pa.Schema) -> bool:
    """Tell whether the column holds the media themselves rather than where they lie."""
    return _is_bytes(schema.field(media["column"]).type)


def format_of(uri: str, media: Mapping[str, Any]) -> str:
    """Return the format of an object, as the run input or its name tells. Raises InvalidRunInput."""
    suffix = uri.rpartition("/")[2].rpartition(".")[2].lower()
    return str(media.get("format") or _checked(_SUFFIXES.get(suffix, suffix), media["kind"]))


def _checked(format_: str, kind: str) -> str:
    if format_ not in FORMATS[kind]:
        raise InvalidRunInput(
            f"{format_!r} is not the format of {'an image' if kind == 'image' else 'a document'} that models take "
            f"({', '.join(sorted(FORMATS[kind]))}): set media.format if the name misleads."
        )
    return format_


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(
        pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_fixed_size_binary(kind) or pt.is_binary_view(kind)
    )

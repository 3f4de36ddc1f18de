"""Images, documents and videos beside the prompt, from one column with their bytes or S3 URIs.

With `inline`, the records hold them as base64. With `s3_location`, for models that accept it, the records refer to
copies in the folder of their job. The request template reads them from columns named `media.…`, which exist only while
a shard is prepared.
"""

from collections.abc import Mapping
from typing import Any, Literal

import pyarrow as pa
import pyarrow.types as pt

from bedrock_batch.errors import InvalidRunInput, missing_column
from bedrock_batch.models.template import resolve
from bedrock_batch.records import media_format
from bedrock_batch.table.plain_types import is_bytes

Kind = Literal["image", "document", "video"]

DATA, URI, FORMAT, OWNER = "media.data", "media.uri", "media.format", "media.owner"

PLACES = {"inline": (DATA, FORMAT), "s3_location": (URI, FORMAT, OWNER)}
"""The columns that a template may use, by `media.source`. It must use the first one."""

FORMATS: dict[str, frozenset[str]] = {
    "image": frozenset({"png", "jpeg", "gif", "webp"}),
    "document": frozenset({"pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"}),
    "video": frozenset({"mp4", "mov", "mkv", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"}),
}
"""The formats that Converse accepts. Other bodies do not accept more."""

_SUFFIXES = {"jpg": "jpeg", "htm": "html", "text": "txt", "markdown": "md", "3gp": "three_gp"}

BASE64 = 4 / 3

_NAME_BYTES = 60
"""Bytes of a copy's name, its format and its owner."""

_FULL = 0.8
"""The part of a job's quota that the estimate may fill."""


def check(media: Mapping[str, Any], schema: pa.Schema, *, nulls: str) -> None:
    """Refuse a column that cannot hold media. Raises MissingColumn, InvalidRunInput."""
    column = media["column"]
    kind = _kind(media, schema)
    if not (is_bytes(kind) or _is_file(kind) or pt.is_string(kind) or pt.is_large_string(kind)):
        raise InvalidRunInput(
            f"media.column {column!r} has the type {kind}. It must hold S3 URIs, bytes, or structs of bytes and path."
        )
    if not (pt.is_string(kind) or pt.is_large_string(kind)) and media["source"] == "s3_location":
        raise InvalidRunInput(
            f"media.source is s3_location, so media.column must hold S3 URIs, but {column!r} holds bytes. Remove "
            "media.source."
        )
    if taken := set(PLACES[media["source"]]) & set(schema.names):
        raise InvalidRunInput(f"The table has a column {min(taken)}, but that name is reserved for media. Rename it.")
    if nulls == "empty":
        raise InvalidRunInput(
            'input.nulls cannot be "empty" with media, because every record needs its item. Use "skip" or "error".'
        )
    if "format" in media:
        _checked(media["format"], media["kind"])


def extended(schema: pa.Schema, media: Mapping[str, Any]) -> pa.Schema:
    """Return the table's schema with the columns that a template may use for media."""
    for name in PLACES[media["source"]]:
        schema = schema.append(pa.field(name, pa.string()))
    return schema


def record_bytes(media: Mapping[str, Any], schema: pa.Schema, *, folder: str) -> int:
    """Return the bytes that media add to a record on average, beyond those in the table; `folder` is a job's URI."""
    if media["source"] == "s3_location":
        return len(folder) + _NAME_BYTES
    # Bytes in the table are already counted with the table.
    kind = _kind(media, schema)
    return 0 if is_bytes(kind) or _is_file(kind) else int(media["average_bytes"] * BASE64)


def lowered(quotas: Mapping[str, int], media: Mapping[str, Any]) -> dict[str, int]:
    """Return the quotas with fewer records for each job, so that the objects of the records fit into the job's size."""
    most = dict(quotas)
    if media["source"] == "s3_location":
        room = int(quotas["max_job_bytes"] * _FULL) // media["average_bytes"]
        most["max_records"] = max(quotas["min_records"], min(quotas["max_records"], room))
    return most


def format_of(name: str, data: bytes, media: Mapping[str, Any]) -> str:
    """Return the format of an item: `media.format`, or what its first bytes show, or else its suffix.

    Raises InvalidRunInput if nothing shows the format, or if it is not a format of this kind of media.
    """
    if "format" in media:
        return str(media["format"])
    _, dot, suffix = name.rpartition("/")[2].lower().rpartition(".")
    suffix = suffix if dot else ""
    named = _SUFFIXES.get(suffix, suffix)
    found = media_format.of(data, named)
    if found is None and not named:
        raise InvalidRunInput(f"The first bytes of {name or 'the cell'} do not show its format. Set media.format.")
    return _checked(found or named, media["kind"])


def path(media: Mapping[str, Any], schema: pa.Schema) -> tuple[str, ...]:
    """Return the top-level column that holds the media, and the fields that lead to them. Raises MissingColumn."""
    column = media["column"]
    found = resolve(column, schema)
    if found is None:
        raise missing_column(f"media.column is {column[:80]!r}", column, schema.names)
    return found


def _kind(media: Mapping[str, Any], schema: pa.Schema) -> pa.DataType:
    column, *fields = path(media, schema)
    kind = schema.field(column).type
    for field in fields:
        kind = kind.field(field).type
    return kind.value_type if pt.is_dictionary(kind) else kind


def _is_file(kind: pa.DataType) -> bool:
    """Return whether a type is a struct of bytes and path, as datasets of the hub use for images and files."""
    fields = {field.name: field.type for field in kind} if pt.is_struct(kind) else {}
    return "bytes" in fields and is_bytes(fields["bytes"]) and fields.keys() <= {"bytes", "path"}


def _checked(format_: str, kind: str) -> str:
    if format_ not in FORMATS[kind]:
        raise InvalidRunInput(
            f"{format_[:20]!r} is not a format of {'an' if kind == 'image' else 'a'} {kind} that models accept "
            f"({', '.join(sorted(FORMATS[kind]))}). If the format is wrong, set media.format."
        )
    return format_

"""Images, documents and videos beside the prompt, from one column that holds their bytes or S3 URIs.

They go into the records as base64 (`inline`), or the records refer to copies in the folder of their job
(`s3_location`), for models that take that. For the request template they are more columns, `media.…`, which exist
only while a shard is prepared.
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
"""The columns that a template may use, by `media.source`; the first is the one that it must use."""

FORMATS: dict[str, frozenset[str]] = {
    "image": frozenset({"png", "jpeg", "gif", "webp"}),
    "document": frozenset({"pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"}),
    "video": frozenset({"mp4", "mov", "mkv", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"}),
}
"""What Converse takes; other bodies take no more."""

_SUFFIXES = {"jpg": "jpeg", "htm": "html", "text": "txt", "markdown": "md", "3gp": "three_gp"}

BASE64 = 4 / 3

_NAME_BYTES = 60
"""Of a copy's name, its format and its owner."""

_FULL = 0.8
"""How full a job may be by estimate."""


def check(media: Mapping[str, Any], schema: pa.Schema, *, nulls: str) -> None:
    """Refuse a column that cannot hold media. Raises MissingColumn, InvalidRunInput."""
    column = media["column"]
    kind = _kind(media, schema)
    if not (is_bytes(kind) or _is_file(kind) or pt.is_string(kind) or pt.is_large_string(kind)):
        raise InvalidRunInput(
            f"media.column {column!r} is of type {kind}; it must hold S3 URIs, bytes, or structs of bytes and path."
        )
    if not (pt.is_string(kind) or pt.is_large_string(kind)) and media["source"] == "s3_location":
        raise InvalidRunInput(
            f"media.source s3_location refers to objects by their S3 URI, and {column!r} holds bytes: leave it out."
        )
    if taken := set(PLACES[media["source"]]) & set(schema.names):
        raise InvalidRunInput(f"The table has a column {min(taken)}, which stands for the media: rename it.")
    if nulls == "empty":
        raise InvalidRunInput('input.nulls cannot be "empty" with media: a record cannot go without its image.')
    if "format" in media:
        _checked(media["format"], media["kind"])


def extended(schema: pa.Schema, media: Mapping[str, Any]) -> pa.Schema:
    """Return the table's schema with the columns that a template may use for media."""
    for name in PLACES[media["source"]]:
        schema = schema.append(pa.field(name, pa.string()))
    return schema


def record_bytes(media: Mapping[str, Any], schema: pa.Schema, *, folder: str) -> int:
    """Return how much longer media make a record on average, beyond what the table holds; `folder` is a job's URI."""
    if media["source"] == "s3_location":
        return len(folder) + _NAME_BYTES
    # Bytes within the table are counted as the table's already.
    kind = _kind(media, schema)
    return 0 if is_bytes(kind) or _is_file(kind) else int(media["average_bytes"] * BASE64)


def lowered(quotas: Mapping[str, int], media: Mapping[str, Any]) -> dict[str, int]:
    """Return the quotas with as many records a job as the objects that they refer to leave room for."""
    most = dict(quotas)
    if media["source"] == "s3_location":
        room = int(quotas["max_job_bytes"] * _FULL) // media["average_bytes"]
        most["max_records"] = max(quotas["min_records"], min(quotas["max_records"], room))
    return most


def format_of(name: str, data: bytes, media: Mapping[str, Any]) -> str:
    """Return the format of an item: as the run input says, else as its first bytes show, else as its name ends.

    Raises InvalidRunInput where that is no format of its kind, or nothing shows it.
    """
    if "format" in media:
        return str(media["format"])
    _, dot, suffix = name.rpartition("/")[2].lower().rpartition(".")
    suffix = suffix if dot else ""
    named = _SUFFIXES.get(suffix, suffix)
    found = media_format.of(data, named)
    if found is None and not named:
        raise InvalidRunInput(f"The first bytes of {name or 'the cell'} do not show its format: set media.format.")
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
    return kind


def _is_file(kind: pa.DataType) -> bool:
    """Tell whether a type is that of images and files in datasets of the hub: a struct of bytes and path."""
    fields = {field.name: field.type for field in kind} if pt.is_struct(kind) else {}
    return "bytes" in fields and is_bytes(fields["bytes"]) and fields.keys() <= {"bytes", "path"}


def _checked(format_: str, kind: str) -> str:
    if format_ not in FORMATS[kind]:
        raise InvalidRunInput(
            f"{format_[:20]!r} is not the format of {'an' if kind == 'image' else 'a'} {kind} that models take "
            f"({', '.join(sorted(FORMATS[kind]))}): set media.format if that is wrong."
        )
    return format_

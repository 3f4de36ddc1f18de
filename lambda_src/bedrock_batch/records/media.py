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
    if column not in schema.names:
        raise missing_column(f"media.column is {column[:80]!r}", column, schema.names)
    kind = schema.field(column).type
    if not (is_bytes(kind) or pt.is_string(kind) or pt.is_large_string(kind)):
        raise InvalidRunInput(f"media.column {column!r} is of type {kind}; it must hold S3 URIs or bytes.")
    if is_bytes(kind) and "format" not in media:
        raise InvalidRunInput(f"media.format is needed: bytes, as in {column!r}, do not tell their format.")
    if is_bytes(kind) and media["source"] == "s3_location":
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
    return 0 if is_bytes(schema.field(media["column"]).type) else int(media["average_bytes"] * BASE64)


def lowered(quotas: Mapping[str, int], media: Mapping[str, Any]) -> dict[str, int]:
    """Return the quotas with as many records a job as the objects that they refer to leave room for."""
    most = dict(quotas)
    if media["source"] == "s3_location":
        room = int(quotas["max_job_bytes"] * _FULL) // media["average_bytes"]
        most["max_records"] = max(quotas["min_records"], min(quotas["max_records"], room))
    return most


def format_of(uri: str, media: Mapping[str, Any]) -> str:
    """Return the format of an object, as the run input or its name tells. Raises InvalidRunInput."""
    suffix = uri.rpartition("/")[2].rpartition(".")[2].lower()
    return str(media.get("format") or _checked(_SUFFIXES.get(suffix, suffix), media["kind"]))


def _checked(format_: str, kind: str) -> str:
    if format_ not in FORMATS[kind]:
        raise InvalidRunInput(
            f"{format_!r} is not the format of {'an' if kind == 'image' else 'a'} {kind} that models take "
            f"({', '.join(sorted(FORMATS[kind]))}): set media.format if the name misleads."
        )
    return format_

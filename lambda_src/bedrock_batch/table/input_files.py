"""Find the objects on S3 that are the table's files: those below a prefix, without the objects that engines add.

Folders such as `dt=2024-01-01/` give values of columns (Hive's paths). A folder with a table's log is refused, because
only the log says which of its files are still part of the table.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from urllib.parse import unquote

from bedrock_batch.aws.s3 import S3, Object, split_uri
from bedrock_batch.contracts.run import Source
from bedrock_batch.errors import InputNotFound, InvalidRunInput

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""Hive's text for a null in a path."""

_DELTA, _HUDI, _ICEBERG = "_delta_log/", ".hoodie/", "metadata/"
_LOGS = {
    _DELTA: ("a Delta table", "the files of its current version (`DeltaTable(…).file_uris()`)"),
    _HUDI: ("a Hudi table", "the files of its latest snapshot"),
    _ICEBERG: ("an Iceberg table", "the files of its current snapshot (`table.scan().plan_files()`)"),
}
_ICEBERG_SUFFIX = (".metadata.json", ".metadata.json.gz")
_MOST_LISTED = 10_000
"""Most objects to list in a folder `metadata/` above a prefix: it may be unrelated and hold millions of objects."""

_MOST_ABOVE = 10
"""Most folders above a prefix to search for a log."""

_NAMED = 5


@dataclass(slots=True)
class InputFiles:
    """The files of the table in order, the number of other objects below the prefixes, and the first few of these."""

    sources: list[Source] = field(default_factory=list)
    left_out: int = 0
    left_out_first: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def find(s3: S3, uris: str | Sequence[str], *, own: str | None = None) -> InputFiles:
    """Return the files of an `s3://` object, of a prefix ending in `/`, or of a list of both.

    The files below a prefix are in the order of their keys. Empty markers and names that start with `_` or `.` are
    left out (but `_dt=2024-01-01/` is a folder of data). Objects that the user names one by one are all taken.

    `own` is the URI of the folder that runs write their tables to. Above a prefix in it, no log is searched for: there
    is none, and the function may not list there.

    Raises:
        InputNotFound: there is no object; the message names the URI and the missing permission.
        InvalidRunInput: a text is not a URI, an object is named twice, or a prefix is a table with a log.
    """
    found = InputFiles()
    for uri in [uris] if isinstance(uris, str) else uris:
        bucket, key = split_uri(uri)
        if key and not key.endswith("/"):
            found.sources.append(_source(s3.head(bucket, key), {}))
        else:
            if own is None or not uri.startswith(own):
                _refuse_log_above(s3, bucket, key, found)
            _add_prefix(s3, bucket, key, found)
    seen = set()
    for source in found.sources:
        if source.uri in seen:
            raise InvalidRunInput(
                f"s3_uri names {source.uri} twice, so its rows would be paid for twice. Remove it once."
            )
        seen.add(source.uri)
    return found


def _add_prefix(s3: S3, bucket: str, prefix: str, found: InputFiles) -> None:
    items = []
    for item in s3.list(bucket, prefix):
        path = item.key[len(prefix) :]
        _refuse_log_within(bucket, prefix, path)
        if item.size == 0 and item.key.endswith(("/", "_$folder$")):
            continue
        *folders, name = path.split("/")
        if any(map(_is_hidden, folders)) or name.startswith(("_", ".")):
            found.left_out += 1
            found.left_out_first = [*found.left_out_first, item.uri][:_NAMED]
        else:
            items.append(item)
            found.sources.append(_source(item, _path_values(item, folders)))
    s3.check_archived(items)
    if not items:
        hidden = f" {found.left_out} objects whose names begin with _ or . do not count." if found.left_out else ""
        raise InputNotFound(f"There is no object below s3://{bucket}/{prefix}.{hidden}")


def _source(item: Object, path_values: dict[str, str | None]) -> Source:
    return Source(item.bucket, item.key, item.etag, item.size, rows=0, path_values=path_values)


def _is_hidden(folder: str) -> bool:
    return folder.startswith(("_", ".")) and "=" not in folder


def _path_values(item: Object, folders: Sequence[str]) -> dict[str, str | None]:
    """Return the columns that folders name, with their values.

    Raises InvalidRunInput if two folders name the same column, or if a text is not UTF-8.
    """
    values: dict[str, str | None] = {}
    for folder in folders:
        name, equals, value = folder.partition("=")
        if not (name and equals):
            continue
        try:
            name, value = (unquote(text, errors="strict") for text in (name, value))
        except UnicodeDecodeError:
            raise InvalidRunInput(
                f"{item.uri}: the bytes after % in the folder {folder} are not UTF-8. Rename it."
            ) from None
        if name in values:
            raise InvalidRunInput(f'{item.uri}: two of its folders name the column "{name}". Rename one of them.')
        values[name] = None if value == NO_VALUE else value
    return values


def _refuse_log_within(bucket: str, prefix: str, path: str) -> None:
    """Raise InvalidRunInput if an object below a prefix belongs to a table's log."""
    for log in _LOGS:
        at = f"/{path}".find(f"/{log}")
        if at >= 0 and (log != _ICEBERG or path.endswith(_ICEBERG_SUFFIX)):
            raise _has_log(bucket, prefix + path[:at], log)


def _refuse_log_above(s3: S3, bucket: str, prefix: str, found: InputFiles) -> None:
    """Raise InvalidRunInput if a folder above the prefix has a table's log: then the prefix is part of that table."""
    folders = prefix.split("/")[:-1]
    above = ["".join(f"{folder}/" for folder in folders[:count]) for count in range(len(folders))]
    try:
        for folder in reversed(above[-_MOST_ABOVE:]):
            for log in _LOGS:
                items = islice(s3.list(bucket, folder + log), _MOST_LISTED)
                if any(log != _ICEBERG or item.key.endswith(_ICEBERG_SUFFIX) for item in items):
                    raise _has_log(bucket, folder, log)
    except InputNotFound:
        found.warnings.append(
            f"s3://{bucket}/{prefix} may be part of a table with a log (Delta, Hudi, Iceberg). This could not be "
            "checked, because the function may not list the folders above it. If it is, the run also reads, and pays "
            "for, rows that were replaced or deleted."
        )


def _has_log(bucket: str, folder: str, log: str) -> InvalidRunInput:
    kind, files = _LOGS[log]
    return InvalidRunInput(
        f"s3://{bucket}/{folder} is {kind}: it has {log}. Its files still hold rows that were replaced or deleted, and "
        f"only the log says which. Set s3_uri to a list of {files}, or to a copy of the table that its engine wrote."
    )

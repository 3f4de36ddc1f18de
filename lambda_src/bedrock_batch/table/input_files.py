"""Which objects on S3 are the table's files: those below a prefix, without what engines leave beside them.

Folders such as `dt=2024-01-01/` give values of columns (Hive's paths). A folder that has a table's log is refused: only
the log knows which of its files still count.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from urllib.parse import unquote

from bedrock_batch.aws.s3 import S3, Object, split_uri
from bedrock_batch.contracts.run import Source
from bedrock_batch.errors import InputNotFound, InvalidRunInput

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""What Hive writes for a null in a path."""

_DELTA, _HUDI, _ICEBERG = "_delta_log/", ".hoodie/", "metadata/"
_LOGS = {
    _DELTA: ("a Delta table", "the files of its current version (`DeltaTable(…).file_uris()`)"),
    _HUDI: ("a Hudi table", "the files of its latest snapshot"),
    _ICEBERG: ("an Iceberg table", "the files of its current snapshot (`table.scan().plan_files()`)"),
}
_ICEBERG_SUFFIX = (".metadata.json", ".metadata.json.gz")
_MOST_LISTED = 10_000
"""Objects of a folder `metadata/` above a prefix that are looked at: it may be anything's, with millions of objects."""

_MOST_ABOVE = 10
"""Folders above a prefix in which a log is looked for."""

_NAMED = 5


@dataclass(slots=True)
class InputFiles:
    """The files of the table, in order; how many other objects the prefixes hold, and the first of them."""

    sources: list[Source] = field(default_factory=list)
    left_out: int = 0
    left_out_first: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def find(s3: S3, uris: str | Sequence[str], *, own: str | None = None) -> InputFiles:
    """Return the files of an `s3://` object, of a prefix ending in `/`, or of a list of both.

    `own` is the URI of the folder that runs write their tables to: no table with a log lies above a prefix in it, and
    what is above may not be listed.

    Within a prefix in key order, without empty markers and names that start with `_` or `.` (but `_dt=2024-01-01/`
    is a folder of data). Objects that are named one by one are taken as they are.

    Raises:
        InputNotFound: there is none; names the URI and the missing permission.
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
            raise InvalidRunInput(f"s3_uri names {source.uri} twice: its rows would be paid twice.")
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
        hidden = f" {found.left_out} names that begin with _ or . do not count." if found.left_out else ""
        raise InputNotFound(f"There is no object below s3://{bucket}/{prefix}.{hidden}")


def _source(item: Object, path_values: dict[str, str | None]) -> Source:
    return Source(item.bucket, item.key, item.etag, item.size, rows=0, path_values=path_values)


def _is_hidden(folder: str) -> bool:
    return folder.startswith(("_", ".")) and "=" not in folder


def _path_values(item: Object, folders: Sequence[str]) -> dict[str, str | None]:
    """Return the columns that folders name, with their values.

    Raises InvalidRunInput where two name one column, or where a text is not UTF-8.
    """
    values: dict[str, str | None] = {}
    for folder in folders:
        name, equals, value = folder.partition("=")
        if not (name and equals):
            continue
        try:
            name, value = (unquote(text, errors="strict") for text in (name, value))
        except UnicodeDecodeError:
            raise InvalidRunInput(f"{item.uri}: the folder {folder} is not UTF-8 behind its %. Rename it.") from None
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
    """Raise InvalidRunInput if a folder above the prefix has a table's log: the prefix is then a part of that table."""
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
            f"Whether s3://{bucket}/{prefix} is a part of a table with a log (Delta, Hudi, Iceberg) is not known: the "
            "folders above it may not be listed. Of such a table replaced rows would be read, and paid, too."
        )


def _has_log(bucket: str, folder: str, log: str) -> InvalidRunInput:
    kind, files = _LOGS[log]
    return InvalidRunInput(
        f"s3://{bucket}/{folder} is {kind}: it has {log}. Rows that were replaced or deleted are still in its files, "
        f"and only its log knows which. Give s3_uri as a list of {files}, or a copy that its engine has written."
    )

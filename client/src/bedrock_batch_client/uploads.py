"""Bring a table to where runs may read it: a file or a data frame of yours becomes an object."""

import contextlib
import hashlib
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bedrock_batch_client import formats
from bedrock_batch_client.errors import Mistake, NotFound, calling
from bedrock_batch_client.installation import Installation

_BLOCK = 1 << 20
_URI = re.compile(r"s3://([^/]+)/(.*)")


def place(installation: Installation, table: Any, *, to: str | None = None) -> Any:
    """Return the URI of a table; a file or a data frame is uploaded first. A list of URIs stays as it is.

    A data frame is whatever has `__arrow_c_stream__` (pandas, polars, Arrow), or an older one of pandas.
    """
    if isinstance(table, list | tuple) or (isinstance(table, str) and table.startswith("s3://")):
        return list(table) if isinstance(table, tuple) else table
    if isinstance(table, str | os.PathLike):
        return upload(installation, Path(table), to=to)
    with _as_file(table) as path:
        return upload(installation, path, to=to)


def upload(installation: Installation, path: Path, *, to: str | None = None) -> str:
    """Upload a file and return its URI. Its name has the digest of its content: what is there is not uploaded again.

    `to` is a place such as `s3://bucket/tables/`; without it the installation's own is taken.
    """
    if not path.is_file():
        raise Mistake(
            f"There is no file {str(path)!r}. A table is a file, or an address such as s3://bucket/table.csv."
        )
    bucket, prefix = _place(installation, to)
    key = f"{prefix}{_digest(path)[:16]}-{_safe(path.name)}"
    arn = f"{installation.object_arn('').partition(':::')[0]}:::{bucket}/{key}"
    if not _is_there(installation, bucket, key, arn, path.stat().st_size):
        with calling("s3:PutObject", arn), _upload_errors(arn):
            installation.aws.s3.upload_file(str(path), bucket, key)
    return f"s3://{bucket}/{key}"


def _place(installation: Installation, to: str | None) -> tuple[str, str]:
    if to is None and installation.uploads:
        return installation.bucket, installation.uploads
    if to is None:
        raise Mistake(
            f"The installation {installation.name!r} has a bucket that was given to it, and no place for tables there. "
            "Say where the table may go (`--upload-to`, `upload_to=`): a place that runs may read, such as s3://bucket/tables/."
        )
    found = _URI.fullmatch(to)
    if not found:
        raise Mistake(f"{to!r} is not an address on S3, such as s3://bucket/tables/.")
    return found[1], found[2] if not found[2] or found[2].endswith("/") else f"{found[2]}/"


def _is_there(installation: Installation, bucket: str, key: str, arn: str, size: int) -> bool:
    try:
        with calling("s3:GetObject", arn):
            head = installation.aws.s3.head_object(Bucket=bucket, Key=key)
    except NotFound:
        return False
    return bool(head["ContentLength"] == size)


@contextlib.contextmanager
def _upload_errors(arn: str) -> Iterator[None]:
    """Raise the original error in place of the one that boto3 wraps it in."""
    from boto3.exceptions import S3UploadFailedError
    from botocore.exceptions import ClientError

    try:
        yield
    except S3UploadFailedError as err:
        cause = err.__cause__ or err.__context__
        if isinstance(cause, ClientError):
            raise cause from err
        raise Mistake(f"{arn} could not be written: {err}") from err


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _safe(name: str) -> str:
    """Return a file's name as a run input takes it, with its end, which says the format."""
    stem, dot, end = re.sub(r"[^A-Za-z0-9._-]+", "-", name).partition(".")
    return f"{stem.lstrip('-')[:60] or 'table'}{dot}{end[-40:]}"


@contextlib.contextmanager
def _as_file(frame: Any) -> Iterator[Path]:
    """Write a data frame as Parquet."""
    pa = formats.arrow()
    if not hasattr(frame, "columns" if _is_of_pandas(frame) else "__arrow_c_stream__"):
        raise Mistake(
            f"A {type(frame).__name__} is not a table. Give a path, an address on S3, or a data frame of pandas, "
            "polars or Arrow."
        )
    with tempfile.TemporaryDirectory(prefix="bedrock-batch-") as folder:
        path = Path(folder) / "table.parquet"
        try:
            pa.parquet.write_table(_as_table(frame), path, compression="zstd")
        except (pa.ArrowException, OverflowError, TypeError, ValueError) as err:
            said = ". ".join(str(part) for part in err.args)
            raise Mistake(f"The {type(frame).__name__} cannot be written as Parquet: {said}") from err
        yield path


def _is_of_pandas(frame: Any) -> bool:
    return type(frame).__module__.partition(".")[0] == "pandas"


def _as_table(frame: Any) -> Any:
    pa = formats.arrow()
    table = pa.Table.from_pandas(frame, preserve_index=False) if _is_of_pandas(frame) else pa.table(frame)
    if twice := [name for name, count in Counter(table.column_names).items() if count > 1]:
        raise ValueError(f"it has two columns of the name {twice[0]!r}")
    return table

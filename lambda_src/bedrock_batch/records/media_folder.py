"""The folder of one job, for objects that its records refer to. Bedrock reads objects only in that folder."""

import hashlib
import json
import re
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from bedrock_batch import keys
from bedrock_batch.aws.s3 import S3, Object
from bedrock_batch.contracts.run import Run

COPIES = 24
"""Copies at the same time. The clients keep 32 connections."""

_NAME = r"[0-9a-f]{32}\.[a-z0-9_]+"


class MediaFolder:
    """Copies objects into the folder of a job's input file.

    A copy's name depends on the version of its original, so an object that is already copied is not copied again.
    """

    def __init__(self, s3: S3, run: Run, input_key: str) -> None:
        self._s3, self._bucket, self._folder = s3, run.bucket, keys.folder_of(input_key)
        self._present = {item.key for item in s3.list(run.bucket, self._folder)}

    def uri(self, name: str) -> str:
        return f"s3://{self._bucket}/{self._folder}{name}"

    def take(self, bucket: str, key: str, name: str, *, etag: str | None = None) -> str:
        """Copy an object to this name; return the copy's URI."""
        if self._folder + name not in self._present:
            self._s3.copy(bucket, key, to=(self._bucket, self._folder + name), etag=etag)
        return self.uri(name)


def name_of(source: Object, format_: str) -> str:
    """Return the name of an object's copy: the same for the same version of the same object."""
    return f"{hashlib.sha256(f'{source.uri}@{source.etag}'.encode()).hexdigest()[:32]}.{format_}"


class Mover:
    """Moves records from the folders of their shards to the folder of a pooled job, with the objects they refer to.

    It is a context manager: at the end of the block, every object is copied.
    """

    def __init__(self, s3: S3, run: Run, input_key: str) -> None:
        self._folder = MediaFolder(s3, run, input_key)
        self._bucket = run.bucket
        folders = re.escape(f"s3://{run.bucket}/{run.keys.input_folder}")
        self._reference = re.compile(rf"{folders}{keys.SHARD_NAME}/({_NAME})")
        self._copies: dict[str, Future[str]] = {}
        self._pool = ThreadPoolExecutor(COPIES)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=error is not None)
        if error is None:
            for copy in self._copies.values():
                copy.result()

    def moved(self, line: bytes) -> bytes:
        """Return a record that refers to this job's copies."""
        record = self._redirected(json.loads(line))
        return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()

    def _redirected(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._redirected(member) for key, member in value.items()}
        if isinstance(value, list):
            return [self._redirected(member) for member in value]
        if not isinstance(value, str) or (match := self._reference.fullmatch(value)) is None:
            return value
        name = match[1]
        if name not in self._copies:
            key = value.removeprefix(f"s3://{self._bucket}/")
            self._copies[name] = self._pool.submit(self._folder.take, self._bucket, key, name)
        return self._folder.uri(name)

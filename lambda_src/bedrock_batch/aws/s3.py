"""Thin calls of S3: list, read a version by its ETag, write. There is no policy here.

It imports only the standard library and botocore, because functions without the libraries layer use it too.
"""

import json
import re
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError

from bedrock_batch.aws import s3_refusals
from bedrock_batch.aws.s3_upload import Writer, naming_object
from bedrock_batch.errors import InputNotFound, InvalidRunInput

READ_BYTES = 8 << 20
"""Most bytes of one request of `S3.stream`."""

_READ_AHEAD = 2
_BODY_ATTEMPTS = 4
_URI = re.compile(r"s3://([A-Za-z0-9._-]{3,255})/(.*)", re.DOTALL)
"""Bucket names that the client accepts: names of old buckets have capitals and underscores."""

_NO_BUCKET = "NoSuchBucket"

_HEADS_AT_ONCE = 16

_MAY_BE_ARCHIVED = ("GLACIER", "DEEP_ARCHIVE", "INTELLIGENT_TIERING")
"""Storage classes of archived objects, which must be restored before reading; of the last one, only some objects."""

_NO_BODY = ("301", "400", "403")
"""Statuses of a refused HEAD. Its answer has nothing but the status."""


@dataclass(frozen=True, slots=True)
class Object:
    """An object from a listing or a HEAD. `etag` has S3's quotes."""

    bucket: str
    key: str
    etag: str
    size: int
    storage_class: str = ""

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


class S3:
    """The operations of S3 that this package needs, with a boto3 client."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def check_archived(self, items: Iterable[Object]) -> None:
        """Raise InputNotFound, naming the object, for an archived object.

        A listing shows neither whether an object is restored nor its tier, so this sends a HEAD.
        """
        doubtful = [item for item in items if item.storage_class in _MAY_BE_ARCHIVED]
        with ThreadPoolExecutor(_HEADS_AT_ONCE) as pool:
            for _ in pool.map(lambda item: self.head(item.bucket, item.key), doubtful):
                pass

    def list(self, bucket: str, prefix: str) -> Iterator[Object]:
        """Yield every object below a prefix, in key order."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        try:
            for page in pages:
                for item in page.get("Contents", ()):
                    yield Object(bucket, item["Key"], item["ETag"], item["Size"], item.get("StorageClass", ""))
        except ClientError as err:
            s3_refusals.refuse(err, bucket, prefix, "s3:ListBucket")

    def head(self, bucket: str, key: str) -> Object:
        """Return an object that can be read. Raises InputNotFound if it is missing or archived."""
        try:
            answer = self._client.head_object(Bucket=bucket, Key=key)
        except ClientError as err:
            code = err.response["Error"]["Code"]
            if code == "404":
                self._check_bucket(bucket, key)
            if code in _NO_BODY:
                self.read(bucket, key, end=1)
            s3_refusals.refuse(err, bucket, key, "s3:GetObject")
        s3_refusals.check_archived(answer, bucket, key)
        return Object(bucket, key, answer["ETag"], answer["ContentLength"])

    def _check_bucket(self, bucket: str, key: str) -> None:
        """Raise InputNotFound if the bucket does not exist. (The answer to a HEAD does not say what is missing.)"""
        try:
            next(self.list(bucket, key), None)
        except InputNotFound as err:
            if isinstance(err.__cause__, ClientError) and err.__cause__.response["Error"]["Code"] == _NO_BUCKET:
                raise

    def read(self, bucket: str, key: str, *, start: int = 0, end: int | None = None, etag: str | None = None) -> bytes:
        """Return bytes [start, end) of an object. Raises InputChanged if it no longer has that ETag."""
        if end is not None and start >= end:
            return b""
        request = {"Bucket": bucket, "Key": key}
        if start or end is not None:
            request["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        if etag is not None:
            request["IfMatch"] = etag
        # botocore repeats requests, but not after a body that breaks off.
        attempts = _BODY_ATTEMPTS
        while True:
            try:
                data: bytes = self._client.get_object(**request)["Body"].read()
                return data
            except ClientError as err:
                s3_refusals.refuse(err, bucket, key, "s3:GetObject")
            except (HTTPClientError, IncompleteReadError):
                attempts -= 1
                if not attempts:
                    raise

    def stream(
        self, bucket: str, key: str, *, start: int, end: int, etag: str | None = None
    ) -> Generator[bytes, None, None]:
        """Yield bytes [start, end) in order, 8 MB at a time. The next requests are already running."""

        def fetch(at: int) -> bytes:
            return self.read(bucket, key, start=at, end=min(at + READ_BYTES, end), etag=etag)

        with ThreadPoolExecutor(_READ_AHEAD) as pool:
            waiting: deque[Future[bytes]] = deque()
            try:
                for at in range(start, end, READ_BYTES):
                    waiting.append(pool.submit(fetch, at))
                    if len(waiting) > _READ_AHEAD:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def get_json(self, bucket: str, key: str) -> Any:
        return json.loads(self.read(bucket, key))

    def put_json(
        self, bucket: str, key: str, value: Any, *, replaces: str | None = None, indent: int | None = None
    ) -> None:
        """Write a value as JSON, with an `indent` for people. `replaces`: see `writer`."""
        with self.writer(bucket, key, replaces=replaces) as out:
            out.write(_json(value, indent))

    def put(self, bucket: str, key: str, body: bytes, *, content_type: str = "") -> None:
        """Write an object; with a `content_type` a browser shows it."""
        given = {"ContentType": content_type} if content_type else {}
        try:
            self._client.put_object(Bucket=bucket, Key=key, Body=body, **given)
        except ClientError as err:
            raise naming_object(err, bucket, key) from None

    def copy(self, bucket: str, key: str, *, to: tuple[str, str], etag: str | None = None) -> None:
        """Copy an object of at most 5 GB to the bucket and key `to`, within S3. Raises like `read`."""
        pinned = {} if etag is None else {"CopySourceIfMatch": etag}
        source = {"Bucket": bucket, "Key": key}
        try:
            # Do not copy tags, because that needs more permissions.
            self._client.copy_object(Bucket=to[0], Key=to[1], CopySource=source, TaggingDirective="REPLACE", **pinned)
        except ClientError as err:
            s3_refusals.refuse(err, bucket, key, "s3:GetObject")

    def lines(self, bucket: str, key: str) -> Iterator[Any]:
        """Yield the values of a JSONL object."""
        return map(json.loads, self.raw_lines(bucket, key))

    def raw_lines(self, bucket: str, key: str) -> Iterator[bytes]:
        """Yield the lines of an object that are not empty, without their newlines."""
        item = self.head(bucket, key)
        rest = b""
        for chunk in self.stream(bucket, key, start=0, end=item.size, etag=item.etag):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line for line in lines if line)
        if rest:
            yield rest

    def put_lines(self, bucket: str, key: str, values: Iterable[Any]) -> int:
        """Write values as JSONL; return their number."""
        count = 0
        with self.writer(bucket, key) as out:
            for value in values:
                out.write(_json(value) + b"\n")
                count += 1
        return count

    def writer(self, bucket: str, key: str, *, empty: bool = True, replaces: str | None = None) -> Writer:
        """Return a writer of one object of any size: `with s3.writer(b, k) as out: out.write(data)`.

        The object exists when the block ends. After an error inside the block, there is no object. With `empty=False`
        there is no object if nothing was written. `replaces` is the ETag that the object must still have at that time,
        or "" if it must not exist. Otherwise the block ends with Overtaken.
        """
        return Writer(self._client, bucket, key, empty=empty, replaces=replaces)


def split_uri(uri: str) -> tuple[str, str]:
    """Return the bucket and the key, which may be empty. Raises InvalidRunInput."""
    match = _URI.fullmatch(uri)
    if match is None:
        raise InvalidRunInput(f"{uri[:200]!r} is not of the form s3://bucket/key.")
    return match[1], match[2]


def _json(value: Any, indent: int | None = None) -> bytes:
    separators = (",", ":") if indent is None else None
    # A row's error may repeat half of a surrogate pair, which UTF-8 cannot hold.
    return json.dumps(value, ensure_ascii=False, separators=separators, indent=indent).encode(errors="replace")

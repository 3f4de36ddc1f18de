"""Write one object of any size to S3. One part is uploaded while the next one is made."""

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from botocore.exceptions import ClientError

PART_BYTES = 8 << 20
"""Bytes of one request. An object may have 10,000 parts, so 80 GB."""

_OVERTAKEN = ("PreconditionFailed", "412", "ConditionalRequestConflict")


class Overtaken(Exception):
    """Another write has changed the object that this write should replace. The other one stays."""


def naming_object(err: ClientError, bucket: str, key: str) -> ClientError:
    """Return S3's error, of the same class, with the object in its message, because S3 does not name it."""
    err.args = (f"{err} (s3://{bucket}/{key})",)
    return err


class Writer:
    """A streaming upload in parts of 8 MB or more. One part is uploaded while the next one fills.

    `size` is the number of written bytes. After the block, `etag` is the object's ETag, if there is an object. A body
    below 8 MB is one PutObject.
    """

    def __init__(self, client: Any, bucket: str, key: str, *, empty: bool, replaces: str | None) -> None:
        self.size = 0
        self.etag = ""
        self._empty = empty
        self._condition = {} if replaces is None else {"IfMatch": replaces} if replaces else {"IfNoneMatch": "*"}
        self._client = client
        self._target = {"Bucket": bucket, "Key": key}
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._upload: dict[str, str] = {}
        self._parts: list[Future[dict[str, Any]]] = []
        self._pool = ThreadPoolExecutor(1)

    def write(self, data: bytes) -> int:
        # Keep the pieces until the part is full: a growing buffer would copy its content again and again.
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self.size += len(data)
        if self._waiting_bytes >= PART_BYTES:
            self._send(self._take())
        return len(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._pool:
            if error is None:
                try:
                    self._finish()
                except BaseException as err:
                    self._abort()
                    if isinstance(err, ClientError) and err.response["Error"]["Code"] in _OVERTAKEN:
                        raise Overtaken(f"s3://{self._target['Bucket']}/{self._target['Key']}") from err
                    if isinstance(err, ClientError):
                        raise naming_object(err, self._target["Bucket"], self._target["Key"]) from None
                    raise
            else:
                self._abort()

    def _take(self) -> bytes:
        data, self._waiting, self._waiting_bytes = b"".join(self._waiting), [], 0
        return data

    def _send(self, part: bytes) -> None:
        if not self._upload:
            answer = self._client.create_multipart_upload(**self._target)
            self._upload = {**self._target, "UploadId": answer["UploadId"]}
        if self._parts:
            self._parts[-1].result()
        self._parts.append(self._pool.submit(self._send_part, len(self._parts) + 1, part))

    def _send_part(self, number: int, part: bytes) -> dict[str, Any]:
        answer = self._client.upload_part(**self._upload, PartNumber=number, Body=part)
        # If the SDK sent a part's checksum, it must be repeated when the upload is completed.
        sums = {name: answer[name] for name in answer if name.startswith("Checksum")}
        sums.pop("ChecksumType", None)
        return {"PartNumber": number, "ETag": answer["ETag"], **sums}

    def _finish(self) -> None:
        if not self._upload:
            if self._waiting_bytes or self._empty:
                self.etag = self._client.put_object(**self._target, **self._condition, Body=self._take())["ETag"]
            return
        if self._waiting_bytes:
            self._send(self._take())
        parts = [part.result() for part in self._parts]
        done = self._client.complete_multipart_upload(
            **self._upload, **self._condition, MultipartUpload={"Parts": parts}
        )
        self.etag = done["ETag"]

    def _abort(self) -> None:
        if not self._upload:
            return
        # Wait for running uploads: a part that ends after the abort would stay.
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._client.abort_multipart_upload(**self._upload)

"""S3 as a folder: the few methods of a boto3 client that `aws.s3.S3` calls, without network or server.

So the bench measures the shipped functions as a whole and nothing else. `<root>/<bucket>/<key>` is an object.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Body:
    """The bytes read from an object, without another copy."""

    data: bytes

    def read(self) -> bytes:
        return self.data


class LocalClient:
    """Replaces the boto3 client. Parts of an upload must come in order, as the S3 writer sends them."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, bucket: str, key: str) -> Path:
        return self._root / bucket / key

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        path = self.path(Bucket, Key)
        return {"ETag": _etag(path), "ContentLength": path.stat().st_size}

    def get_object(self, *, Bucket: str, Key: str, Range: str = "bytes=0-", IfMatch: str = "") -> dict[str, Any]:
        path = self.path(Bucket, Key)
        if IfMatch and IfMatch != _etag(path):
            raise RuntimeError(f"{path} changed while it was read")
        first, _, last = Range.removeprefix("bytes=").partition("-")
        with path.open("rb") as file:
            file.seek(int(first))
            body = file.read(int(last) - int(first) + 1) if last else file.read()
        return {"Body": Body(body)}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> dict[str, str]:
        path = self.path(Bucket, Key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(Body)
        return {"ETag": _etag(path)}

    def create_multipart_upload(self, *, Bucket: str, Key: str) -> dict[str, str]:
        # Write into the object itself, as the other candidates do: the kernel reuses the pages of the old content.
        self.put_object(Bucket=Bucket, Key=Key, Body=b"")
        return {"UploadId": Key}

    def upload_part(self, *, Bucket: str, Key: str, UploadId: str, PartNumber: int, Body: bytes) -> dict[str, str]:
        with self.path(Bucket, UploadId).open("ab") as file:
            file.write(Body)
        return {"ETag": str(PartNumber)}

    def complete_multipart_upload(
        self, *, Bucket: str, Key: str, UploadId: str, MultipartUpload: Any
    ) -> dict[str, str]:
        return {"ETag": _etag(self.path(Bucket, Key))}

    def abort_multipart_upload(self, *, Bucket: str, Key: str, UploadId: str) -> None:
        self.path(Bucket, UploadId).unlink()

    def get_paginator(self, operation: str) -> "LocalClient":
        if operation != "list_objects_v2":
            raise NotImplementedError(operation)
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:
        root = self._root / Bucket
        keys = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
        yield {
            "Contents": [
                {"Key": key, "ETag": _etag(root / key), "Size": (root / key).stat().st_size}
                for key in keys
                if key.startswith(Prefix)
            ]
        }


class NoQuotas:
    """Service Quotas without any quota, so that the catalogue's values are used."""

    def get_paginator(self, operation: str) -> "NoQuotas":
        return self

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        yield {"Quotas": []}


def _etag(path: Path) -> str:
    found = path.stat()
    return f'"{found.st_mtime_ns:x}-{found.st_size:x}"'

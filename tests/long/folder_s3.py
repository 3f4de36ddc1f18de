"""S3 in a folder. In addition to the bench's, it has conditional writes, and errors for missing objects."""

from typing import Any

from botocore.exceptions import ClientError

from bench.local_s3 import LocalClient


class FolderS3(LocalClient):
    """Replaces the boto3 client."""

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        self._exists(Bucket, Key, "HeadObject")
        return super().head_object(Bucket=Bucket, Key=Key)

    def get_object(self, *, Bucket: str, Key: str, Range: str = "bytes=0-", IfMatch: str = "") -> dict[str, Any]:
        self._exists(Bucket, Key, "GetObject")
        return super().get_object(Bucket=Bucket, Key=Key, Range=Range, IfMatch=IfMatch)

    def put_object(
        self, *, Bucket: str, Key: str, Body: bytes, IfMatch: str = "", IfNoneMatch: str = ""
    ) -> dict[str, str]:
        etag = self.head_object(Bucket=Bucket, Key=Key)["ETag"] if self.path(Bucket, Key).is_file() else ""
        if (IfMatch and IfMatch != etag) or (IfNoneMatch and etag):
            raise ClientError({"Error": {"Code": "PreconditionFailed", "Message": Key}}, "PutObject")
        return super().put_object(Bucket=Bucket, Key=Key, Body=Body)

    def _exists(self, bucket: str, key: str, operation: str) -> None:
        if not self.path(bucket, key).is_file():
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": key}}, operation)

"""Access to the S3 of the local AWS from inside the engine, in the account of the current context."""

from collections.abc import Iterator

from ministack.services import s3


class StorageError(Exception):
    """A bucket or an object does not exist or cannot be written."""


def split(uri: str) -> tuple[str, str]:
    """Return bucket and key of an S3 URI; the key may be empty."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def sizes(uri: str) -> dict[str, int]:
    """Return the sizes of the objects at a URI, by key: of the object itself, or of all objects in that folder."""
    bucket, key = split(uri)
    objects = _objects(bucket)
    if key in objects:
        return {key: objects[key]["size"]}
    folder = f"{key.rstrip('/')}/" if key else ""
    return {name: objects[name]["size"] for name in sorted(objects) if name.startswith(folder)}


def exists(bucket: str, key: str) -> bool:
    """Return whether there is such an object."""
    return key in _held(bucket)


def lines(bucket: str, key: str) -> Iterator[bytes]:
    r"""Yield the lines of an object, split at `\n` alone and without it."""
    data = s3._get_object_data(bucket, key)
    if data is None:
        raise StorageError(f"s3://{bucket}/{key} does not exist")
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        if end < 0:
            end = len(data)
        yield data[start:end]
        start = end + 1


def write(bucket: str, key: str, data: bytes, *, kms_key: str | None = None) -> None:
    """Write one object, encrypted with `kms_key` if there is one."""
    headers = {"content-type": "application/json"}
    if kms_key:
        headers |= {
            "x-amz-server-side-encryption": "aws:kms",
            "x-amz-server-side-encryption-aws-kms-key-id": kms_key,
        }
    status, _, body = s3._put_object(bucket, key, data, headers)
    if status != 200:
        raise StorageError(f"s3://{bucket}/{key} cannot be written: {body.decode(errors='replace')}")


def check_bucket(uri: str) -> None:
    """Raise StorageError if the bucket of a URI does not exist."""
    _objects(split(uri)[0])


def _objects(bucket: str) -> dict[str, dict[str, int]]:
    return dict(_held(bucket))  # a copy: other threads write to it


def _held(bucket: str) -> dict[str, dict[str, int]]:
    found = s3._buckets.get(bucket)
    if found is None:
        raise StorageError(f"The bucket {bucket} does not exist")
    objects: dict[str, dict[str, int]] = found["objects"]
    return objects

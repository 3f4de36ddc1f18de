"""Put the zips of the release in dist/ into a bucket, from where installations read them.

    python -m release.publish --bucket artifacts --prefix bedrock-batch/    what `make publish BUCKET=… PREFIX=…` does

A zip is written once. What is there with the same content is left alone, and other content is never overwritten.
"""

import argparse
import base64
import hashlib
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from release import manifest


class PublishError(Exception):
    """The zips cannot be put there; the message says why and what to do."""


def publish(s3: Any, zips: dict[str, manifest.Zip], dist: Path, bucket: str, prefix: str) -> list[str]:
    """Put the zips into the bucket and return the keys that were new; raise PublishError before anything is written."""
    if not zips:
        raise PublishError("terraform/release.json names no zips: run make release first.")
    for one in zips.values():
        check_built(one, dist / one.file)
    missing = [one for one in zips.values() if not is_there(s3, one, bucket, prefix + one.key)]
    for one in missing:
        # S3 keeps the digest, by which the next call knows what is there.
        with (dist / one.file).open("rb") as body:
            s3.put_object(Bucket=bucket, Key=prefix + one.key, Body=body, ChecksumAlgorithm="SHA256")
    return [prefix + one.key for one in missing]


def check_built(one: manifest.Zip, path: Path) -> None:
    if not path.is_file():
        raise PublishError(f"There is no file {path}: run make release first.")
    if base64.b64encode(hashlib.sha256(path.read_bytes()).digest()).decode() != one.sha256:
        raise PublishError(f"{path} is not the zip that terraform/release.json names: run make release again.")


def is_there(s3: Any, one: manifest.Zip, bucket: str, key: str) -> bool:
    """Return whether the object exists. Raise PublishError when its content differs, or is not known."""
    try:
        found = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    except ClientError as error:
        if error.response["Error"]["Code"] == "404":
            return False
        raise
    if (found.get("ChecksumSHA256"), found["ContentLength"]) != (one.sha256, one.bytes):
        raise PublishError(
            f"s3://{bucket}/{key} has other content than dist/{one.file}, or no SHA-256, and is not overwritten. "
            "Look who wrote it; delete it if it is not in use, and publish again."
        )
    return True


def block(bucket: str, prefix: str) -> str:
    """Return the input of the module that names what was published."""
    where = f'bucket = "{bucket}", prefix = "{prefix}"' if prefix else f'bucket = "{bucket}"'
    return f"package = {{ s3 = {{ {where} }} }}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Put the zips in dist/ into a bucket.")
    parser.add_argument("--bucket", required=True, help="its name, in the Region of the installations")
    parser.add_argument("--prefix", default="", help="where in the bucket, like bedrock-batch/")
    arguments = parser.parse_args()
    bucket, prefix = arguments.bucket, arguments.prefix
    if prefix and (not prefix.endswith("/") or prefix.startswith("/")):
        sys.exit(f"publish: PREFIX={prefix} must end with a slash and not begin with one, like bedrock-batch/.")
    try:
        new = publish(boto3.client("s3"), manifest.read(), manifest.DIST, bucket, prefix)
    except (PublishError, ClientError, BotoCoreError) as error:
        sys.exit(f"publish: {error}")
    print(*(f"s3://{bucket}/{key} is new" for key in new), sep="\n")
    print(f"All zips of version {manifest.version()} are there. In the module block:\n\n{block(bucket, prefix)}")


if __name__ == "__main__":
    main()

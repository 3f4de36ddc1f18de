"""References to objects on S3 in a record (`s3Location`): the models that accept them, and their allowed targets."""

from collections.abc import Iterator
from typing import Any

from local.bedrock import storage
from local.bedrock.bodies import Refused

_FOLLOWED_BY = "amazon.nova"


def check(body: dict[str, Any], model: str) -> None:
    """Check the references of a body. Raises Refused."""
    for uri in _uris(body):
        if not model.startswith(_FOLLOWED_BY):
            raise Refused("This model doesn't support s3Location as a source. Give the bytes instead and try again.")
        bucket, key = storage.split(uri)
        try:
            found = storage.exists(bucket, key)
        except storage.StorageError as error:
            raise Refused(str(error)) from error
        if not found:
            raise Refused(f"The object {uri} does not exist")


def check_folder(body: dict[str, Any], file_uri: str, *, whole_folder: bool) -> None:
    """Check that a record refers only to objects beside its file, and that the job's input is their folder."""
    for uri in _uris(body):
        if uri.rpartition("/")[0] != file_uri.rpartition("/")[0]:
            raise Refused(f"The object {uri} is not in the S3 folder of the input file {file_uri}")
        if not whole_folder:
            raise Refused(f"The job's input is one file: give its folder, which holds the object {uri}, instead")


def _uris(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for member in value:
            yield from _uris(member)
    elif isinstance(value, dict):
        for key, member in value.items():
            if key == "s3Location" and isinstance(member, dict):
                if not isinstance(member.get("uri"), str):
                    raise Refused("Malformed input request: s3Location: required key [uri] not found")
                yield member["uri"]
            else:
                yield from _uris(member)

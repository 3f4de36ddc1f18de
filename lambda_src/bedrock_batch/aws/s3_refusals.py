"""Turn refusals by S3 into errors for the user: which object, and what to do."""

from collections.abc import Mapping
from typing import Any, NoReturn

from botocore.exceptions import ClientError

from bedrock_batch.aws.s3_upload import naming_object
from bedrock_batch.errors import InputChanged, InputNotFound

_CHANGED = ("PreconditionFailed", "412")
_NO_BUCKET = ("NoSuchBucket",)
_MISSING = ("NoSuchKey", "404", "NotFound")
_ARCHIVED = ("InvalidObjectState", "ObjectNotInActiveTierError")
_DENIED = ("AccessDenied", "403", "AllAccessDisabled")
_ELSEWHERE = (
    "301",
    "PermanentRedirect",
    "TemporaryRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
)

_CUSTOMER_KEY = "server side encryption"
"""Part of S3's message for an object whose key the customer sends with every request."""

_REQUESTER_PAYS = "requester pays"

_ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")
_RESTORED = 'ongoing-request="false"'


def refuse(err: ClientError, bucket: str, key: str, permission: str) -> NoReturn:
    """Raise the user's error for a refusal by S3. Other errors are raised again.

    Raises InputChanged, InputNotFound, or `err` with the object in its message.
    """
    error: Mapping[str, Any] = err.response["Error"]
    code, said = error["Code"], error.get("Message") or ""
    uri = f"s3://{bucket}/{key}"
    if code in _CHANGED:
        raise InputChanged(f"{uri} changed after the run was planned.", advice="Start a new run.") from err
    if code in _NO_BUCKET:
        raise InputNotFound(f"The bucket of {uri} does not exist.", advice="Correct its name.") from err
    if code in _MISSING:
        raise InputNotFound(f"{uri} does not exist ({code}).", advice="A prefix must end in a slash.") from err
    if code in _ARCHIVED:
        shown: dict[str, Any] = {**error, **err.response}
        raise _archived(uri, shown.get("StorageClass") or code, shown.get("AccessTier")) from err
    if code in _ELSEWHERE:
        raise _elsewhere(err, uri, bucket) from err
    if code.startswith("KMS."):
        raise InputNotFound(
            f"{uri} cannot be decrypted ({code}): its KMS key is disabled, deleted or cannot be used. S3 says: {said}",
            advice="Enable the key, or copy the object with another key.",
        ) from err
    if _CUSTOMER_KEY in said.lower():
        raise InputNotFound(
            f"{uri} is encrypted with a key that you send with every request (SSE-C). The functions do not have it.",
            advice="Copy the object with SSE-S3 or SSE-KMS.",
        ) from err
    if code in _DENIED:
        raise _denied(uri, bucket, key, permission, said) from err
    raise naming_object(err, bucket, key)


def check_archived(answer: Mapping[str, Any], bucket: str, key: str) -> None:
    """Raise InputNotFound if the answer to a HEAD shows an archived object, which must be restored first."""
    storage_class, tier = answer.get("StorageClass") or "", answer.get("ArchiveStatus")
    if (storage_class in _ARCHIVES or tier) and _RESTORED not in answer.get("Restore", ""):
        raise _archived(f"s3://{bucket}/{key}", storage_class, tier)


def _archived(uri: str, storage_class: str, tier: str | None) -> InputNotFound:
    where = f"{storage_class}, {tier}" if tier else storage_class
    return InputNotFound(
        f"{uri} is archived ({where}) and cannot be read.",
        advice="Restore it and start the run again, or use a copy in another storage class.",
    )


def _denied(uri: str, bucket: str, key: str, permission: str, said: str) -> InputNotFound:
    if _REQUESTER_PAYS in said.lower():
        return InputNotFound(
            f"The bucket of {uri} has Requester Pays, but the functions do not pay for requests. S3 says: {said}",
            advice="Copy the object to a bucket of yours.",
        )
    # Not by its ARN, which begins with aws-us-gov or aws-cn elsewhere.
    resource = f"the bucket {bucket}" if permission == "s3:ListBucket" else f"{key} in the bucket {bucket}"
    return InputNotFound(
        f"{uri} may not be read: the function's role needs {permission} on {resource}, and if the object is encrypted "
        "with a KMS key, kms:Decrypt on that key. List the bucket in the module's inputs.buckets, or a prefix of it in "
        "inputs.locations, and the key in inputs.kms_key_arns. To a role without s3:ListBucket, a missing object "
        "looks the same. If another account's bucket has Requester Pays, copy the object to a bucket of yours. "
        f"S3 says: {said}"
    )


def _elsewhere(err: ClientError, uri: str, bucket: str) -> InputNotFound:
    error = err.response["Error"]
    headers = err.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = headers.get("x-amz-bucket-region") or error.get("Region") or error.get("Endpoint") or ""
    named = f" ({region})" if region else ""
    return InputNotFound(
        f"{uri}: the bucket {bucket} is in another Region{named}.",
        advice="Copy the objects to a bucket in the module's Region.",
    )

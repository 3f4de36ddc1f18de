"""Fetch a prompt from outside the run input: from an S3 object or from Bedrock Prompt Management."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from bedrock_batch.aws.s3 import S3, split_uri
from bedrock_batch.errors import UnknownPrompt
from bedrock_batch.models import prompts

_REFUSED = ("AccessDeniedException", "ResourceNotFoundException", "ValidationException")
_VERSION = re.compile(r"(?<=prompt/[0-9a-zA-Z]{10}):([0-9]+)$")


def fetch(s3: S3, bedrock_agent: Callable[[], Any], prompt: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return `text`, and perhaps `system` and `messages`, of a prompt; None if the run input has the text itself.

    `bedrock_agent` makes the client, because few runs need one.

    Raises:
        InputNotFound, UnknownPrompt: the prompt does not exist, may not be read, or is not a prompt.
    """
    if prompt is not None and "s3_uri" in prompt:
        return _from_s3(s3, prompt["s3_uri"])
    if prompt is not None and "arn" in prompt:
        return prompts.from_management(_get(bedrock_agent(), prompt["arn"]))
    return None


def _from_s3(s3: S3, uri: str) -> dict[str, Any]:
    if uri.endswith("/"):
        raise UnknownPrompt(f"prompt.s3_uri {uri!r} must name one object: s3://bucket/key.")
    item = s3.head(*split_uri(uri))
    if item.size > prompts.MOST_BYTES:
        raise UnknownPrompt(f"{uri} has {item.size} bytes, but a prompt may have at most {prompts.MOST_BYTES}.")
    return prompts.from_document(uri, s3.read(item.bucket, item.key, etag=item.etag))


def _get(client: Any, arn: str) -> dict[str, Any]:
    version = _VERSION.search(arn)
    request = {"promptIdentifier": _VERSION.sub("", arn)}
    if version:
        request["promptVersion"] = version[1]
    try:
        answer: dict[str, Any] = client.get_prompt(**request)
    except ClientError as err:
        if err.response["Error"]["Code"] not in _REFUSED:
            raise
        raise UnknownPrompt(
            f"prompt.arn {arn}: {err}. The prompt must be in the module's own account and Region, and must have the "
            "version at the end of the ARN. An ARN without a version means the draft."
        ) from err
    return answer

"""The AWS clients, made on first use and kept. Importing this module needs neither a Region nor credentials."""

import os
from functools import cache, partial
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 8},
    max_pool_connections=32,
    connect_timeout=5,
    read_timeout=60,
)
_OWN_CONFIGS = {
    # "adaptive" slows down the next calls after a throttled one. A model may think for minutes, and a call that is
    # given up early is paid too.
    "bedrock-runtime": Config(retries={"mode": "adaptive", "max_attempts": 8}, connect_timeout=5, read_timeout=600),
    # A run works without these two, so a VPC may have no endpoints for them.
    "dynamodb": _CONFIG.merge(Config(connect_timeout=3)),
    "service-quotas": _CONFIG.merge(Config(connect_timeout=3)),
}
_UNREACHABLE = (ConnectTimeoutError, EndpointConnectionError)
"""A service that cannot be reached cannot be reached a moment later either."""

_FINAL: dict[str, tuple[type[Exception], ...]] = {
    # The model still works on the first call, and each call is paid.
    "bedrock-runtime": (ReadTimeoutError,),
    "dynamodb": _UNREACHABLE,
    "service-quotas": _UNREACHABLE,
}
"""The errors that botocore would retry and must not, by service."""

_WRITES = ("PutObject", "CopyObject", "CreateMultipartUpload")
"""The calls that say how an object is encrypted."""


@cache
def client(service: str) -> Any:
    """Return the process's only client of an AWS service. All retry settings are in this module."""
    config = _OWN_CONFIGS.get(service, _CONFIG)
    made: Any = boto3.client(service, config=config)  # type: ignore[call-overload]  # the name is not a literal here
    if service in _FINAL:
        made.meta.events.register_first(f"needs-retry.{service}", partial(_give_up, _FINAL[service]))
    if service == "s3" and (key := os.environ.get("KMS_KEY_ARN")):
        for operation in _WRITES:
            made.meta.events.register(f"provide-client-params.s3.{operation}", partial(_encrypt, key))
    return made


def _give_up(final: tuple[type[Exception], ...], caught_exception: Exception | None = None, **_: Any) -> None:
    if isinstance(caught_exception, final):
        raise caught_exception


def _encrypt(key: str, params: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Name the installation's key in a write: the policy of a bucket may demand that each write does."""
    return params | {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}


def s3() -> Any:
    return client("s3")

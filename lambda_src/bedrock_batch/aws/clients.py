"""The AWS clients, made on first use and kept: importing this needs neither region nor credentials."""

from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError

_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 8},
    max_pool_connections=32,
    connect_timeout=5,
    read_timeout=60,
)
_ON_DEMAND = Config(
    # Adaptive: throttled calls slow the next ones down. A model may think for minutes, and a call that was given
    # up too early is paid all the same.
    retries={"mode": "adaptive", "max_attempts": 8},
    connect_timeout=5,
    read_timeout=600,
)


@cache
def client(service: str) -> Any:
    """Return the process's one client of an AWS service; every retry setting is in this module."""
    config = _ON_DEMAND if service == "bedrock-runtime" else _CONFIG
    made: Any = boto3.client(service, config=config)  # type: ignore[call-overload]  # the name is not a literal here
    if service == "bedrock-runtime":
        made.meta.events.register_first("needs-retry.bedrock-runtime", _give_up)
    return made


def _give_up(caught_exception: Exception | None = None, **_: Any) -> None:
    """Raise a read time-out, which botocore would retry: the model still works on the first call, and each is paid."""
    if isinstance(caught_exception, ReadTimeoutError):
        raise caught_exception


def s3() -> Any:
    return client("s3")

"""The AWS clients, made on first use and kept. Importing this module needs neither a Region nor credentials."""

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
    # "adaptive" slows down the next calls after a throttled one. A model may think for minutes, and a call that is
    # given up early is paid too.
    retries={"mode": "adaptive", "max_attempts": 8},
    connect_timeout=5,
    read_timeout=600,
)


@cache
def client(service: str) -> Any:
    """Return the process's only client of an AWS service. All retry settings are in this module."""
    config = _ON_DEMAND if service == "bedrock-runtime" else _CONFIG
    made: Any = boto3.client(service, config=config)  # type: ignore[call-overload]  # the name is not a literal here
    if service == "bedrock-runtime":
        made.meta.events.register_first("needs-retry.bedrock-runtime", _give_up)
    return made


def _give_up(caught_exception: Exception | None = None, **_: Any) -> None:
    """Raise a read time-out. botocore would call again while the model still works, and each call is paid."""
    if isinstance(caught_exception, ReadTimeoutError):
        raise caught_exception


def s3() -> Any:
    return client("s3")

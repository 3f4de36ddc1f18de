"""Read the account's quotas for batch inference from Service Quotas. They are found by name, because codes change."""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError

_LOG = logging.getLogger(__name__)

_OPERATIONS = {"default": "list_aws_default_service_quotas", "applied": "list_service_quotas"}
"""What is asked, by what its answers are called; later ones count more."""

_GIGABYTE = 10**9
_NAMES = {
    "minimum number of records per batch inference job for {}": ("min_records", 1),
    "records per batch inference job for {}": ("max_records", 1),
    # Our jobs read one file, so the limit of a file is the limit of a job.
    "records per input file per batch inference job for {}": ("max_records", 1),
    "batch inference input file size for {}": ("max_file_bytes", _GIGABYTE),
    "batch inference job size for {}": ("max_job_bytes", _GIGABYTE),
    "sum of in-progress and submitted batch inference jobs using a base model for {}": ("concurrent_jobs", 1),
}
_CUSTOM_NAMES = {name.replace("a base model", "a custom model"): quota for name, quota in _NAMES.items()}


def applied(
    client: Any,
    label: str | None,
    catalogue: Mapping[str, int],
    *,
    run_id: str,
    custom: bool = False,
    listed: dict[str, Any] | None = None,
) -> tuple[dict[str, int], dict[str, str]]:
    """Return the quotas of a model and where each was found. `label` is the model's name in the names of quotas.

    The account's applied value is used first, then AWS's default, then the catalogue's value. The catalogue's value is
    also used without a label or without the permission. Custom models have a quota of jobs of their own, separate from
    that of the model they were made from. `listed` keeps the answers of Service Quotas for the next model of the run
    `run_id`. It also keeps that Service Quotas could not be reached, because finding that out takes seconds.
    """
    values, origins = dict(catalogue), dict.fromkeys(catalogue, "catalogue")
    if label is None:
        return values, origins
    listed = {} if listed is None else listed
    names = _CUSTOM_NAMES if custom else _NAMES
    for origin, operation in _OPERATIONS.items():
        try:
            if operation not in listed:
                listed[operation] = list(_quotas(client, operation))
        except (ClientError, BotoCoreError) as err:
            # A run must not fail because a look-up failed. The catalogue has the values of the AWS documentation.
            _LOG.warning("quotas are not looked up", extra={"run_id": run_id, "operation": operation, "why": str(err)})
            listed[operation] = []
            if isinstance(err, ConnectTimeoutError | EndpointConnectionError):
                listed |= {operation: [] for operation in _OPERATIONS.values()}
        for quota, value in _found(listed[operation], label, names).items():
            values[quota], origins[quota] = value, origin
    return values, origins


def _found(listed: Iterable[tuple[str, float]], label: str, names: Mapping[str, tuple[str, int]]) -> dict[str, int]:
    wanted = {_plain(name.format(label)): quota for name, quota in names.items()}
    found: dict[str, int] = {}
    for name, value in listed:
        if (quota := wanted.get(_plain(name))) is not None:
            key, unit = quota
            # If two quotas limit the same thing, the lower one counts.
            found[key] = min(int(value * unit), found.get(key, int(value * unit)))
    return found


def _quotas(client: Any, operation: str) -> Iterator[tuple[str, float]]:
    for page in client.get_paginator(operation).paginate(ServiceCode="bedrock"):
        for quota in page["Quotas"]:
            yield quota["QuotaName"], quota["Value"]


def _plain(name: str) -> str:
    """Return a quota's name without what AWS does not write consistently: case, `(in GB)`, a final full stop."""
    return re.sub(r"\s+", " ", name.casefold().replace("(in gb)", " ")).strip().removesuffix(".").strip()

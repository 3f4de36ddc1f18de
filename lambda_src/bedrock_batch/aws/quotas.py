"""The account's quotas for batch inference, from Service Quotas, found by their names: their codes change."""

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
    # A job of ours reads one file.
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
    """Return the quotas of the model that quota names call `label`, and where each was found.

    The account's applied value is used before AWS's default, and the default before the catalogue's figure. Without
    the label or the permission all are the catalogue's; so is a quota that is missing in Service Quotas. Custom models
    share one quota of jobs apart from that of the model they were made from. `listed` keeps what Service Quotas said
    for the next model of the same run, `run_id`; also that it could not be reached, which takes seconds to find out.
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
            # A run must not fail because a look-up failed: the catalogue has AWS's documented figures.
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
            # Of two limits on the same thing the lower counts.
            found[key] = min(int(value * unit), found.get(key, int(value * unit)))
    return found


def _quotas(client: Any, operation: str) -> Iterator[tuple[str, float]]:
    for page in client.get_paginator(operation).paginate(ServiceCode="bedrock"):
        for quota in page["Quotas"]:
            yield quota["QuotaName"], quota["Value"]


def _plain(name: str) -> str:
    """Return a quota's name without what AWS writes in different ways: case, `(in GB)`, a final stop."""
    return re.sub(r"\s+", " ", name.casefold().replace("(in gb)", " ")).strip().removesuffix(".").strip()

"""Errors of our functions: the name of a Python exception is all that Step Functions sees of it."""

import re
from collections.abc import Iterator
from functools import cache

import boto3
import botocore.exceptions
import botocore.session
import pytest

from bedrock_batch import errors

from .machines import ROOT, tasks

WITHIN = {
    "bedrock-runtime": "an error of a record, or OnDemandRefused",
    "service-quotas": "a warning, and the catalogue's figures",
}
"""Services whose errors no function raises, and what becomes of them there."""

NETWORK = (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError)
NO_PROXY = {"ProxyConnectionError"}


def caught() -> set[str]:
    """Return the names without a prefix that the machines catch."""
    ways = (way for state in tasks() for way in state.ways() if way.kind.startswith("catch"))
    return {name for way in ways for name in way.rule["ErrorEquals"] if "." not in name}


def retried() -> set[str]:
    """Return the names without a prefix, as AWS's own have, that the machines try again."""
    return {name for state in tasks() for rule in state.retriers() for name in rule["ErrorEquals"] if "." not in name}


@cache
def called_services() -> frozenset[str]:
    """Return the services that the functions make a client of."""
    sources = (ROOT / "lambda_src/bedrock_batch").rglob("*.py")
    found = {name for path in sources for name in re.findall(r"client\(\"([\w-]+)\"\)", path.read_text())}
    assert {"s3", "bedrock", *WITHIN} <= found
    return frozenset(found - WITHIN.keys())


def modelled(service: str) -> Iterator[tuple[str, bool]]:
    """Yield the errors that the service's model names, and whether to ask again may help.

    botocore raises each of them as a class of its own, which is no class of botocore.exceptions.
    """
    for shape in botocore.session.get_session().get_service_model(service).error_shapes:
        # The model of Secrets Manager has no codes of HTTP.
        unknown = 500 if shape.error_code.startswith("Internal") else 400
        status = shape.metadata.get("error", {}).get("httpStatusCode", unknown)
        yield shape.error_code, status == 429 or status >= 500


@pytest.mark.parametrize("service", sorted(called_services()))
def test_botocore_names_a_modelled_error_by_its_code(service: str) -> None:
    client = boto3.client(service, region_name="us-east-1")  # type: ignore[call-overload]  # the name is not a literal here
    for code, _ in modelled(service):
        assert client.exceptions.from_code(code).__name__ == code
    assert client.exceptions.from_code("SlowDown") is botocore.exceptions.ClientError


@pytest.mark.parametrize("service", sorted(called_services()))
def test_modelled_errors_that_pass_are_waited_for(service: str) -> None:
    """Else a throttled list of jobs, alone, would fail a run."""
    assert {name for name, passes in modelled(service) if passes} <= retried()


def test_errors_of_the_network_are_waited_for() -> None:
    classes = [one for one in vars(botocore.exceptions).values() if isinstance(one, type) and issubclass(one, NETWORK)]
    ours = {one.__name__ for one in classes if one.__module__ == "botocore.exceptions"}
    assert {"ReadTimeoutError", "SSLError"} <= ours
    assert (ours | {"IncompleteReadError", "ClientError"}) - {"ConnectionError"} - NO_PROXY <= retried()


def test_nothing_else_is_tried_again() -> None:
    """Our other errors stay, however often they are tried, and so do the other errors of services."""
    of_services = {name for service in called_services() for name, passes in modelled(service) if passes}
    own = {name for name in retried() if name in errors.BY_NAME}
    assert own == {"HubUnavailable", "ChunkTaken", "PlanUnfinished"}
    for name in retried() - own - of_services:
        assert issubclass(getattr(botocore.exceptions, name), Exception)


def test_what_is_caught_by_name_is_raised_under_that_name() -> None:
    own = {name for name in caught() if name in errors.BY_NAME}
    assert own == {"OnDemandRefused"}
    for name in caught() - own:
        assert issubclass(getattr(botocore.exceptions, name), NETWORK)

"""Errors of our functions: Step Functions sees only the name of a Python exception."""

import importlib
import re
import ssl
from collections.abc import Iterator
from functools import cache
from typing import Any

import boto3
import botocore.exceptions
import botocore.session
import pytest
import urllib3.exceptions

from bedrock_batch import errors
from bedrock_batch.aws import clients
from bedrock_batch.contracts.lines import Chunk
from bedrock_batch.contracts.version import CONTRACT
from bedrock_batch.handlers.edge import at_edge

from .machines import ROOT, tasks
from .test_contracts import functions

EVENT = {"contract": CONTRACT}
WITHIN = {
    "bedrock-runtime": "an error of a record, or OnDemandRefused",
    "dynamodb": "a warning, and a report without the starts of jobs",
    "service-quotas": "a warning, and the catalogue's figures",
}
"""Services whose errors no function raises, and what the function does with them."""

NETWORK = (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError)
MORE_OF_THE_NETWORK = (
    botocore.exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2),
    ssl.SSLError("bad record mac"),
    urllib3.exceptions.SSLError("bad record mac"),
)


def raised(err: Exception) -> Exception:
    """Return the error that leaves a function in which another one was raised."""

    @at_edge
    def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
        raise err

    with pytest.raises(Exception) as caught:
        handler(EVENT, None)
    return caught.value


def expect_transient(err: Exception) -> None:
    left = raised(err)
    assert type(left) is errors.TransientError
    assert str(left) == f"{type(err).__name__}: {err}"
    assert left.__cause__ is err


def names(field: str) -> set[str]:
    """Return the names without a prefix that the machines retry or catch: these are errors of functions."""
    rules = (rule for state in tasks() for rule in state.body.get(field, []))
    return {name for rule in rules for name in rule["ErrorEquals"] if "." not in name}


@cache
def called_services() -> frozenset[str]:
    """Return the services that the functions make a client of."""
    sources = (ROOT / "lambda_src/bedrock_batch").rglob("*.py")
    found = {name for path in sources for name in re.findall(r"client\(\"([\w-]+)\"\)", path.read_text())}
    assert {"s3", "bedrock", *WITHIN} <= found
    return frozenset(found - WITHIN.keys())


each_service = pytest.mark.parametrize("service", sorted(called_services()))


def modelled(service: str) -> Iterator[tuple[str, bool]]:
    """Yield the errors in the service's model, and whether the next call may succeed.

    botocore raises each of them as a separate class, which is not in botocore.exceptions.
    """
    for shape in botocore.session.get_session().get_service_model(service).error_shapes:
        # The model of Secrets Manager has no codes of HTTP.
        unknown = 500 if shape.error_code.startswith("Internal") else 400
        status = shape.metadata.get("error", {}).get("httpStatusCode", unknown)
        yield shape.error_code, status == 429 or status >= 500


def answered(service: str, code: str) -> Exception:
    """Return the error that a client of the service raises for a code."""
    client = boto3.client(service, region_name="us-east-1")  # type: ignore[call-overload]  # the name is not a literal here
    err: Exception = client.exceptions.from_code(code)({"Error": {"Code": code, "Message": "no"}}, "Operation")
    return err


@each_service
def test_errors_of_a_service_that_pass_are_transient_and_its_others_are_not(service: str) -> None:
    """If it were not retried, one throttled list of jobs would fail a run."""
    for code, passes in modelled(service):
        err = answered(service, code)
        assert type(err).__name__ == code
        if passes:
            expect_transient(err)
        else:
            assert raised(err) is err


@each_service
@pytest.mark.parametrize("code", ["SlowDown", "503", "ExpiredToken"])
def test_a_code_that_the_model_does_not_name_is_transient(service: str, code: str) -> None:
    err = answered(service, code)
    assert type(err) is botocore.exceptions.ClientError
    expect_transient(err)


def classes_of_the_network() -> list[type[Exception]]:
    found = [one for one in vars(botocore.exceptions).values() if isinstance(one, type) and issubclass(one, NETWORK)]
    ours = [one for one in found if one.__module__ == "botocore.exceptions"]
    assert {"ReadTimeoutError", "SSLError", "EndpointConnectionError"} <= {one.__name__ for one in ours}
    return ours


@pytest.mark.parametrize("kind", classes_of_the_network(), ids=lambda kind: kind.__name__)
def test_errors_of_the_network_are_transient(kind: type[Exception]) -> None:
    # Each kind puts other words into its sentence.
    words = dict.fromkeys(re.findall(r"\{(\w+)\}", getattr(kind, "fmt", "")), "x")
    expect_transient(kind(**words))
    expect_transient(type("OfNextYear", (kind,), {})(**words))


@pytest.mark.parametrize("err", MORE_OF_THE_NETWORK, ids=lambda err: f"{type(err).__module__}.{type(err).__name__}")
def test_a_body_that_breaks_off_is_transient(err: Exception) -> None:
    expect_transient(err)


@pytest.mark.parametrize("name", errors.BY_NAME)
def test_of_our_errors_only_the_transient_ones_are(name: str) -> None:
    err = errors.BY_NAME[name]("the hub answered 503")
    below = {one.__name__ for one in errors.TransientError.__subclasses__()}
    assert below == {"HubUnavailable", "ChunkTaken"}
    if name in below:
        expect_transient(err)
    else:
        assert raised(err) is err


@pytest.mark.parametrize(
    "err",
    [
        botocore.exceptions.ParamValidationError(report="Unknown parameter"),
        botocore.exceptions.NoCredentialsError(),
        botocore.exceptions.NoRegionError(),
        KeyError("bucket"),
        ValueError("not a number"),
        MemoryError(),
        ConnectionResetError(),
        TimeoutError(),
    ],
    ids=repr,
)
def test_what_stays_as_it_is_keeps_its_name(err: Exception) -> None:
    assert raised(err) is err


@pytest.mark.parametrize("wrap", [errors.after_spend("All is kept."), errors.naming("nova")], ids=["spend", "naming"])
def test_sentences_that_are_added_stay_in_the_message(wrap: Any) -> None:
    @at_edge
    def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
        with wrap:
            raise errors.HubUnavailable("The hub answered 503.")

    with pytest.raises(errors.TransientError) as caught:
        handler(EVENT, None)
    said = {"HubUnavailable: The hub answered 503. All is kept.", "HubUnavailable: nova: The hub answered 503."}
    assert str(caught.value) in said


@pytest.mark.parametrize("name", functions())
def test_every_function_has_this_edge(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(service: str) -> Any:
        raise botocore.exceptions.EndpointConnectionError(endpoint_url=service)

    monkeypatch.setattr(clients, "client", unreachable)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "2048")  # as Lambda does
    chunk = Chunk("b", "k", 0, [], "k").to_json()
    event = chunk | EVENT | {"run_id": "r", "root": "r"}
    with pytest.raises(errors.TransientError, match="EndpointConnectionError: "):
        importlib.import_module(f"bedrock_batch.handlers.{name}").handler(event, None)


def test_machines_try_again_what_functions_call_transient_and_a_plan_that_takes_turns() -> None:
    assert names("Retry") == {"TransientError", "PlanUnfinished"}


def test_what_is_caught_by_name_is_raised_under_that_name() -> None:
    assert names("Catch") == {"TransientError", "OnDemandRefused"}
    assert names("Catch") <= errors.BY_NAME.keys()

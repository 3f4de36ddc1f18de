"""The owner of a run's name: the claim is written once, and only its execution goes on."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.claim import Claim
from bedrock_batch.contracts.state import RunState
from bedrock_batch.errors import ContractMismatch, InvalidRunInput, RunNameTaken, TransientError
from bedrock_batch.handlers.claim_run import handler
from bedrock_batch.run.claim_run import claim_run
from tests.conftest import BUCKET
from tests.unit.factories import JOIN_SHARD, claimed, keys_of

FUNCTIONS = {"gather_leftovers": "arn:g:3", "join_shard": JOIN_SHARD, "finish_run": "arn:f:3"}


def event(run_id: str = "monday", **changes: Any) -> dict[str, Any]:
    return claimed(run_id, BUCKET).to_json() | {"functions": FUNCTIONS} | changes


def claim(s3: S3, given: dict[str, Any]) -> RunState:
    return claim_run(s3, RunState.from_json(given), Claim.from_json(given))


def objects() -> dict[str, bytes]:
    s3 = S3(clients.s3())
    return {item.key: s3.read(BUCKET, item.key) for item in s3.list(BUCKET, "")}


def test_the_claim_says_whose_the_name_is(aws: None) -> None:
    assert handler(event(), None) == claimed("monday", BUCKET).to_json() | {"functions": FUNCTIONS}
    said = json.loads(objects()[keys_of().claim])
    begun = {key: event()[key] for key in ("contract", "execution_arn", "started_at")}
    assert said == begun | {"functions": FUNCTIONS}


def test_the_same_execution_may_claim_again(aws: None) -> None:
    """The same execution may call twice, after a lost response or a redrive. The first call's versions stay."""
    first = handler(event(), None)
    before = objects()
    assert handler(event(functions={name: f"{arn}9" for name, arn in FUNCTIONS.items()}), None) == first
    assert objects() == before


@pytest.mark.parametrize(
    "other",
    [
        {"started_at": "2100-01-01T00:00:00.001Z"},
        {"execution_arn": "arn:aws:states:us-east-1:123456789012:execution:other-run:monday"},
    ],
)
def test_another_execution_is_refused_and_nothing_changes(aws: None, other: dict[str, str]) -> None:
    handler(event(), None)
    before = objects()
    with pytest.raises(RunNameTaken, match=r"The name 'monday' belongs to the run that started at 2100-01-01T00:00:00"):
        handler(event(**other), None)
    assert objects() == before


def test_two_installations_have_claims_of_their_own(aws: None) -> None:
    handler(event(), None)
    assert handler(event(root="teams/nlp/reviews", started_at="2100-01-02T00:00:00.000Z"), None)["root"] != "reviews"
    assert set(objects()) == {"reviews/claims/monday.json", "teams/nlp/reviews/claims/monday.json"}


@pytest.mark.parametrize("run_id", ["a.b", "a b", "é", "x" * 81, "a/b"])
def test_a_name_that_bedrock_refuses_is_refused_first(aws: None, run_id: str) -> None:
    with pytest.raises(InvalidRunInput, match="use at most 80 letters, digits"):
        handler(event(run_id), None)
    assert objects() == {}


class Racing:
    """An S3 in which another conditional write is in progress: S3 refuses ours before the other one has ended."""

    def __init__(self, client: Any, meanwhile: Callable[[], object]) -> None:
        self._client, self._meanwhile = client, meanwhile

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._client, operation)

    def put_object(self, **request: Any) -> Any:
        self._meanwhile()
        raise ClientError({"Error": {"Code": "ConditionalRequestConflict", "Message": "again"}}, "PutObject")


def test_a_write_that_is_under_way_is_waited_for(aws: None) -> None:
    with pytest.raises(TransientError, match=r"reviews/claims/monday.json is being written by another call"):
        claim(S3(Racing(clients.s3(), lambda: None)), event())


def test_a_write_that_was_under_way_counts(aws: None) -> None:
    theirs = event(started_at="2100-01-03T00:00:00.000Z")
    with pytest.raises(RunNameTaken):
        claim(S3(Racing(clients.s3(), lambda: claim(S3(clients.s3()), theirs))), event())
    ours = event("tuesday")
    racing = Racing(clients.s3(), lambda: claim(S3(clients.s3()), ours))
    assert claim(S3(racing), ours) == replace(claimed("tuesday", BUCKET), functions=FUNCTIONS)


@pytest.mark.parametrize("body", [b"", b"not JSON", b"[]", b"{}"])
def test_what_lies_there_and_is_no_claim_is_named_and_stays(aws: None, body: bytes) -> None:
    s3 = S3(clients.s3())
    s3.put(BUCKET, keys_of().claim, body)
    with pytest.raises(ContractMismatch, match="s3://.*/claims/monday.json is not a claim .* another execution name"):
        claim(s3, event())
    assert s3.read(BUCKET, keys_of().claim) == body

"""The handlers, one after the other, with nothing but JSON between them, as the state machine calls them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from bedrock_batch.aws.map_results import write_results
from bedrock_batch.aws.s3 import S3
from bedrock_batch.errors import ContractMismatch
from bedrock_batch.handlers import claim_run, finish_run, gather_leftovers, plan_run, prepare_shard, review_run
from tests.conftest import BUCKET
from tests.functional.planned import ServiceQuotas
from tests.functional.played import RUN, Items, Jobs, check_report
from tests.functional.whole import LITE, asked, reviews
from tests.unit.factories import JOIN_SHARD, claimed, keys_of, settings, stopped

Json = dict[str, Any]
SETTINGS = "reviews/config/settings.json"


@pytest.fixture
def call(s3: S3, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, Json], Json]:
    services = {"bedrock": Jobs(), "dynamodb": Items(), "service-quotas": ServiceQuotas(), "s3": s3._client}
    monkeypatch.setattr("bedrock_batch.aws.clients.client", services.__getitem__)
    monkeypatch.setenv("INVENTORY_TABLE_NAME", "reviews-inventory")
    monkeypatch.setenv("SETTINGS_URI", f"s3://{BUCKET}/{SETTINGS}")
    s3.put_json(BUCKET, SETTINGS, settings(LITE).to_json())
    reviews(s3, 120)

    def called(module: Any, event: Json) -> Json:
        answer: Json = json.loads(json.dumps(module.handler(json.loads(json.dumps(event)), None)))
        return answer

    return called


def prepared(call: Callable[[Any, Json], Json], s3: S3, **given: Any) -> Json:
    """Return the state of a run before its review."""
    event = claimed(RUN, BUCKET).to_json() | {"functions": {"join_shard": JOIN_SHARD}}
    state = call(plan_run, call(claim_run, event) | {"input": asked(LITE, max_records_per_job=100, **given)})
    results = [call(prepare_shard, line) for line in s3.lines(BUCKET, state["plan_key"])]
    return state | {"prepared": write_results(s3, BUCKET, f"{state['prefix']}/results/prepared", results)}


def test_a_dry_run(call: Callable[[Any, Json], Json], s3: S3) -> None:
    state = call(review_run, prepared(call, s3, dry_run=True))
    assert (state["next"], state["dry_run"], state["estimate"]["rows"]) == ("finish", True, 120)
    result = call(finish_run, state)
    assert (result["dry_run"], result["rows"], result["warnings"] > 0) == (True, 120, False)
    check_report(s3)


def test_a_round_that_ended_and_a_run_that_was_stopped(call: Callable[[Any, Json], Json], s3: S3) -> None:
    state = call(review_run, prepared(call, s3))
    (line,) = s3.lines(BUCKET, state["jobs_key"])
    ended = {"job_name": line["job_name"], "records": line["records"], "status": "Failed", "message": "m"}
    details = write_results(s3, BUCKET, f"{state['prefix']}/results/jobs", [ended])
    state = call(gather_leftovers, state | {"result": details, "redrives": 0})
    assert (state["next"], state["rounds"], "result" in state) == ("join", 1, False)
    found = call(gather_leftovers, stopped(RUN, BUCKET, error="X", cause="why", status="FAILED").to_json())
    assert (found["next"], found["message"], found["salvage"]) == ("join", "why", True)
    assert next(s3.lines(BUCKET, found["joins_key"]))["function"] == JOIN_SHARD


def test_settings_of_another_version_are_refused_before_anything_is_read(
    call: Callable[[Any, Json], Json], s3: S3
) -> None:
    s3.put_json(BUCKET, SETTINGS, settings(LITE, contract=2).to_json())
    with pytest.raises(ContractMismatch, match="Apply the module again"):
        prepared(call, s3)
    assert not list(s3.list(BUCKET, f"{keys_of(RUN).work}/"))

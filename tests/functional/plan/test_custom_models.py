"""Custom models are only for jobs: records that would need an on-demand answer are refused, or stay without one."""

from typing import Any

import pytest

from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.errors import InvalidRunInput, UnsupportedRequest
from tests.functional.played import Jobs, reviewed
from tests.functional.whole import LITE, WholeRun, asked, reviews

CUSTOM = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abc123def456"
THROTTLED = {"error": {"errorCode": 429, "errorMessage": "slow down"}}


@pytest.fixture
def s3(aws: None) -> S3:
    return S3(clients.s3())


def of_custom(**changes: Any) -> dict[str, Any]:
    return asked(**{"model_id": CUSTOM, **changes})


@pytest.mark.parametrize("model_id", [CUSTOM, [LITE, CUSTOM]], ids=["one model", "two models"])
def test_a_canary_is_refused(s3: S3, model_id: Any) -> None:
    reviews(s3, 24)
    with pytest.raises(UnsupportedRequest, match="canary_records: .*custom-model/.* cannot be called on demand"):
        WholeRun(s3).plan(of_custom(model_id=model_id, limits={"canary_records": 3}), models=[LITE, CUSTOM])


def test_a_table_too_small_for_a_job_is_refused(s3: S3) -> None:
    reviews(s3, 4)
    state = WholeRun(s3).plan(of_custom(), models=[CUSTOM])
    with pytest.raises(InvalidRunInput, match="4 records are fewer than the 5 .* cannot be called on demand") as error:
        reviewed(s3, Jobs(), state)
    assert "Set it to true" not in str(error.value)


def test_leftovers_stay_and_a_warning_says_so(s3: S3) -> None:
    reviews(s3, 24)
    played = WholeRun(s3, lambda model_id, record_id: THROTTLED if record_id.endswith("3") else {})
    played.run(of_custom(limits={"tolerated_failure_percentage": 50}))
    assert "answer" not in played.steps
    report = played.report()
    assert report["outcomes"]["failed"] == report["leftovers"] == 3
    assert any("custom model" in warning for warning in report["warnings"])


def test_who_switched_the_tail_off_needs_no_warning(s3: S3) -> None:
    reviews(s3, 24)
    played = WholeRun(s3)
    played.run(of_custom(limits={"on_demand_tail": False}))
    assert played.report()["warnings"] == []


def test_other_models_of_the_run_keep_their_tail(s3: S3) -> None:
    reviews(s3, 24)
    played = WholeRun(s3, lambda model_id, record_id: THROTTLED if record_id.endswith("3") else {})
    played.run(of_custom(model_id=[LITE, CUSTOM], limits={"tolerated_failure_percentage": 50}))
    by_model = {one["model_id"]: one["outcomes"] for one in played.report()["models"]}
    assert (by_model[LITE]["failed"], by_model[CUSTOM]["failed"]) == (0, 3)

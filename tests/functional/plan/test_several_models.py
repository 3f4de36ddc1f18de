"""Planning for several models: what they share, what is refused, and which model an error names."""

import json

import pytest

from bedrock_batch import keys
from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.errors import BudgetExceeded, NoValidRows, TooLarge, UnknownModel, UnsupportedRequest
from bedrock_batch.models import catalogue, request_body
from bedrock_batch.plan.resolve_models import Model, rendered_as
from tests.conftest import BUCKET
from tests.functional.played import RUN, Jobs, reviewed
from tests.functional.whole import LITE, MICRO, TITAN, Document, WholeRun, asked, keys_below, reviews
from tests.unit.factories import keys_of


@pytest.mark.parametrize(
    ("models", "changes", "error", "sentence"),
    [
        (
            [LITE, "amazon.titan-embed-text-v2:0"],
            {"inference": {"max_tokens": 5}},
            UnsupportedRequest,
            f"^{TITAN}: .* inference.max",
        ),
        ([MICRO, LITE], {"inference": {"max_tokens": 10_001}}, UnsupportedRequest, f"^{MICRO}: "),
        (["acme.chat", LITE], {"models": [LITE]}, UnknownModel, "^acme.chat: model_id 'acme.chat' is not on"),
    ],
)
def test_what_one_model_refuses_is_told_with_its_name(
    s3: S3, models: list[str], changes: Document, error: type[Exception], sentence: str
) -> None:
    reviews(s3, 24)
    known = changes.pop("models", None)
    played = WholeRun(s3)
    with pytest.raises(error, match=sentence):
        played.plan(asked(*models, **changes), models=known)
    assert keys_below(s3, "") == [], "nothing was planned"


def test_a_model_without_a_row_to_send_is_refused(s3: S3) -> None:
    reviews(s3, 6, nulls=set(range(6)))
    played = WholeRun(s3)
    with pytest.raises(NoValidRows, match=f"^{LITE}: All 6 rows were skipped"):
        reviewed(s3, Jobs(), played.plan(asked(LITE, MICRO)))


def test_the_budget_is_for_all_models_together(s3: S3) -> None:
    reviews(s3, 24)
    one = {"input": 0.0, "output": 1.0}
    document = asked(LITE, MICRO, price=one, inference={"max_tokens": 1000}, limits={"budget_usd": 0.048})
    assert reviewed(s3, Jobs(), WholeRun(s3).plan(document))["estimate"]["cost_usd"] == 0.048
    clients.s3().delete_object(Bucket=BUCKET, Key=keys_of(RUN).run())
    document["limits"] = {"budget_usd": 0.047}
    with pytest.raises(BudgetExceeded, match=r"The estimate is 0.048 USD"):
        reviewed(s3, Jobs(), WholeRun(s3).plan(document))


def test_shards_of_all_models_must_have_numbers(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    reviews(s3, 24)
    monkeypatch.setattr(keys, "MAX_SHARDS", 5)
    with pytest.raises(TooLarge, match="3 shards for each of 2 models are more than the 5"):
        WholeRun(s3).plan(asked(LITE, MICRO))


def test_a_plan_is_the_same_bytes_each_time(s3: S3) -> None:
    reviews(s3, 24)

    def planned() -> dict[str, bytes]:
        WholeRun(s3).plan(asked(LITE, TITAN, MICRO))
        return {key: s3.read(BUCKET, f"reviews/work/{RUN}/{key}") for key in keys_below(s3, "") if "results" not in key}

    first = planned()
    assert planned() == first
    lines = [json.loads(line) for line in first["plan.jsonl"].splitlines()]
    assert [line["shard"] for line in lines] == [0, 1, 2]
    assert {line["run_key"].rpartition("/")[2] for line in lines} == {"run.json"}
    files = {key for key in first if key.startswith(("input/", "frame/"))}
    assert files == {f"input/{number:05d}.jsonl" for number in range(6)} | {
        f"frame/{number:05d}.parquet" for number in range(3)
    }, "one body of two models, another of the third, and one table"


@pytest.mark.parametrize(("source", "shared"), [("inline", [0, 0]), ("s3_location", [0, 1])])
def test_what_a_job_may_have_counts_where_records_refer_to_objects(source: str, shared: list[int]) -> None:
    """A shard that fits one model's job may not fit the other's, so it is prepared for each."""
    prompt = {"text": "Judge {review}", "system": None, "messages": []}
    composed = request_body.compose(catalogue.resolve(LITE), {}, prompt)
    pair = [
        Model(
            label=name,
            asked={"media": {"source": source}},
            behind=LITE,
            family=catalogue.resolve(LITE),
            prompt=None,
            composed=composed,
            quotas={"max_file_bytes": 10**9, "max_job_bytes": size},
            origins={},
            warnings=[],
            retry_place=None,
        )
        for name, size in (("large", 10**11), ("small", 5 * 10**9))
    ]
    assert [rendered_as(pair, number) for number in range(2)] == shared

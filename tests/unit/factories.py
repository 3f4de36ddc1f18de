"""Small makers of the shapes that tests need."""

from typing import Any

from bedrock_batch.contracts.lines import Piece, PlannedShard
from bedrock_batch.contracts.results import Prepared
from bedrock_batch.contracts.run import Run, Source, Table
from bedrock_batch.contracts.settings import Settings
from bedrock_batch.contracts.state import RunState, Stopped
from bedrock_batch.contracts.version import CONTRACT
from bedrock_batch.keys import RunKeys
from bedrock_batch.models import catalogue, prompts, request_body
from bedrock_batch.run_input import validate

HAIKU = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
OPUS = "global.anthropic.claude-opus-5"
STARTED = "2100-01-01T00:00:00.000Z"
"""The start of runs in tests. It is so late that no run expires."""


JOIN_SHARD = "arn:aws:lambda:us-east-1:123456789012:function:reviews-join-shard:3"
"""The version that a stopped run began with."""

_OF_CLAIM: dict[str, Any] = {"started_at": STARTED, "functions": {"join_shard": JOIN_SHARD}}


def settings(*models: str, **others: Any) -> Settings:
    """Return the module's settings."""
    values = {"prompts": {}, "service_role_arn": "arn:aws:iam::123456789012:role/r", "work_days": 90, **others}
    return Settings(**{"contract": CONTRACT, "name": "reviews", "root": "reviews", "models": list(models), **values})


def keys_of(run_id: str = "monday") -> RunKeys:
    """Return the keys of a run of tests."""
    return RunKeys("reviews", run_id)


def claimed(run_id: str, bucket: str) -> RunState:
    """Return the state of a run that has its claim."""
    return RunState(
        contract=CONTRACT,
        bucket=bucket,
        root="reviews",
        run_id=run_id,
        execution_arn=f"arn:aws:states:us-east-1:123456789012:execution:reviews-run:{run_id}",
        started_at=STARTED,
    )


def compose(model_id: str, **given: Any) -> request_body.Composed:
    """Plan the request of a run input to a model, as plan_run does."""
    given.setdefault("s3_uri", "s3://bucket/t.csv")
    if "request" not in given:
        given.setdefault("prompt", {"text": "Judge {review}"})
    asked = validate.validate({"model_id": model_id, **given})
    family = catalogue.resolve(model_id, asked.get("invocation_type"))
    return request_body.compose(family, asked, prompts.resolve(asked, {}, family))


def make_run(**changes: Any) -> Run:
    """Return a planned text run of one shard with changes. Changes of the run input's keys go into its run input."""
    asked = changes.pop("input", None) or validate.validate(
        {"s3_uri": "s3://bucket/t.csv", "model_id": "amazon.nova-lite-v1:0", "prompt_id": "sentiment"}
    )
    asked = asked | {key: changes.pop(key) for key in ("model_id", "limits", "output", "media") if key in changes}
    if "nulls" in changes:
        asked["input"] = asked["input"] | {"nulls": changes.pop("nulls")}
    if retry := changes.pop("retry", None):
        asked["retry"] = {key: value for key, value in retry.items() if key != "place" and value is not None}
        changes["retry_place"] = retry["place"]
    values: dict[str, Any] = {
        "contract": CONTRACT,
        "bucket": "runs-bucket",
        "root": "reviews",
        "run_id": "monday",
        "execution_arn": "arn:aws:states:us-east-1:123456789012:execution:reviews-run:monday",
        "started_at": STARTED,
        "input": asked,
        "name": "reviews",
        "family": "converse",
        "kind": "text",
        "invocation_type": "Converse",
        "service_role_arn": "arn:aws:iam::123456789012:role/reviews-bedrock",
        "kms_key_arn": None,
        "request": {"messages": [{"role": "user", "content": [{"text": "Say {review}"}]}]},
        "response": {"text": "output.message.content[].text"},
        "dimensions": None,
        "prompt": {"id": "sentiment", "text": "Say {review}", "system": None, "sha256": "0" * 64},
        "table": Table("csv", 1, "", []),
        "sources": [Source("bucket", "t.csv", "e", 1, 1)],
        "shards": 1,
        "quotas": {"min_records": 100, "max_records": 100_000, "max_file_bytes": 10**9, "concurrent_jobs": 100},
    }
    return Run(**values | changes)


def stopped(run_id: str, bucket: str, **how: Any) -> Stopped:
    """Return the event of Gather leftovers for a run that was stopped."""
    given = {"status": "ABORTED", "join_shard": JOIN_SHARD, **_OF_CLAIM, **how}
    return Stopped(CONTRACT, bucket, "reviews", run_id, **given)


def make_shard(number: int, *, first_row: int = 0, rows: int = 100) -> PlannedShard:
    """Return a line of a plan: one piece of the first source."""
    return PlannedShard(
        bucket="runs-bucket",
        run_key="reviews/work/monday/run.json",
        shard=number,
        first_row=first_row,
        rows=rows,
        pieces=[Piece(0, first_row * 10, (first_row + rows) * 10, rows)],
    )


def make_prepared(number: int, *, records: int = 100, skipped: int = 0) -> Prepared:
    """Return prepare_shard's result for a shard: 400 bytes and 50 tokens for each record."""
    return Prepared(
        shard=number,
        rows=records + skipped,
        records=records,
        skipped=skipped,
        bytes=400 * records,
        input_tokens_estimate=50 * records,
        skipped_key=f"reviews/work/monday/skipped/{number:05d}.jsonl" if skipped else None,
    )

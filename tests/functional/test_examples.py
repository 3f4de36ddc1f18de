"""The documents in docs/examples through the functions that touch rows: planned, prepared, answered, joined."""

import io
import json
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bedrock_batch import keys
from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import JobEnd, PlannedShard, ShardJoin
from bedrock_batch.contracts.run import Run
from bedrock_batch.join.join_shard import join_shard
from bedrock_batch.models.catalogue import base_model_id
from bedrock_batch.plan.plan_run import plan_run
from bedrock_batch.records.prepare_shard import prepare_shard
from local.bedrock import models
from local.bedrock.replies import Reply
from local.sample import write_products, write_reviews
from tests.conftest import BUCKET
from tests.functional.planned import ServiceQuotas
from tests.functional.whole import WholeRun
from tests.unit.factories import claimed, keys_of, settings

EXAMPLES = sorted((Path(__file__).parents[2] / "docs" / "examples").glob("*.json"))
SEVERAL = "several-models"
ROWS = 120


def said(prompt: str, model: str) -> Reply:
    """Answer like a model that likes to talk."""
    return Reply(f'Sure: {{"sentiment": "mixed", "stars": 3, "topics": ["size"]}} ({len(prompt)})')


def run_through(s3: S3, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows that a run of this input gives."""
    state = plan_run(
        s3,
        ServiceQuotas(),
        claimed("monday", BUCKET),
        settings=settings(asked["model_id"]),
        input=asked,
    )
    run = Run.from_json(s3.get_json(BUCKET, state.keys.run()))
    assert run.warnings == []
    (shard,) = (PlannedShard.from_json(line) for line in s3.lines(BUCKET, state.plan_key))
    assert [one.records for one in prepare_shard(s3, shard).prepared] == [ROWS]
    answer = models.converse if run.invocation_type == "Converse" else models.invoke
    lines = []
    for record in s3.lines(BUCKET, run.input_key(0)):
        output = json.loads(answer(base_model_id(run.model_id), record["modelInput"], said).body)
        lines.append(json.dumps(record | {"modelOutput": output}).encode())
    s3.put(BUCKET, f"{keys.RunKeys('reviews', 'monday').raw('job')}abc123def456/00000.jsonl.out", b"\n".join(lines))
    job = JobEnd(job_name="job", status="Completed", raw_prefix=keys_of().raw("job"))
    joined = join_shard(s3, ShardJoin.from_json(shard.to_json() | {"jobs": [job.to_json()]}))
    assert sum(joined.outcomes.values()) == ROWS
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(s3.read(BUCKET, joined.output_key))).to_pylist()
    return rows


@pytest.mark.parametrize("path", [path for path in EXAMPLES if path.stem != SEVERAL], ids=lambda path: path.stem)
def test_an_example_goes_all_the_way(aws: None, path: Path, tmp_path: Path) -> None:
    s3 = S3(clients.s3())
    asked = json.loads(path.read_text("utf-8")) | {"s3_uri": f"s3://{BUCKET}/in/"}
    folder = "day=2026-11-01/country=C%C3%B4te%20d%27Ivoire/" if path.stem == "folders" else ""
    if "media" in asked:
        write_products(tmp_path / "t.csv", rows=ROWS, photos=f"s3://{BUCKET}/photos/")
        for number in range(5):
            s3.put(BUCKET, f"photos/{number}.png", bytes([number]))
    else:
        write_reviews(tmp_path / "t.csv", rows=ROWS)
    s3.put(BUCKET, f"in/{folder}t.csv", (tmp_path / "t.csv").read_bytes())
    rows = run_through(s3, asked)
    if folder:
        assert {(row["day"], row["country"]) for row in rows} == {(date(2026, 11, 1), "Côte d'Ivoire")}
    prefix = asked.get("output", {}).get("prefix", "bedrock_")
    assert {row[f"{prefix}outcome"] for row in rows} == {"succeeded"}
    if "embedding" in asked:
        assert {len(row["bedrock_embedding"]) for row in rows} == {asked["embedding"]["dimensions"]}
        return
    assert {row[f"{prefix}response"].startswith("Sure: ") for row in rows} == {True}
    if "schema" in asked.get("output", {}):
        found = [(row["review_sentiment"], row["review_stars"], row["review_topics"]) for row in rows]
        assert found == [("mixed", 3, ["size"])] * ROWS


def test_the_example_of_several_models_gives_each_its_table(aws: None, tmp_path: Path) -> None:
    s3 = S3(clients.s3())
    write_reviews(tmp_path / "reviews.csv", rows=ROWS)
    s3.put(BUCKET, "in/reviews.csv", (tmp_path / "reviews.csv").read_bytes())
    (path,) = (path for path in EXAMPLES if path.stem == SEVERAL)
    asked = json.loads(path.read_text("utf-8")) | {"s3_uri": f"s3://{BUCKET}/in/reviews.csv"}
    played = WholeRun(s3)
    played.run(asked)
    assert len(list(s3.list(BUCKET, "reviews/work/monday/input/"))) == 1, "the bodies are the same"
    for model_id in asked["model_id"]:
        outcomes = played.table(model_id)["bedrock_outcome"].to_pylist()
        # What answers here repeats the prompt, so most answers are cut short.
        assert (len(outcomes), set(outcomes)) == (ROWS, {"succeeded", "truncated"})
    assert played.report()["estimate"]["cost_usd"] > 0


def test_there_is_an_example_of_every_kind() -> None:
    kinds = {"text", "few-shot", "structured", "invoke-model", "embeddings", "own-request"}
    assert kinds | {SEVERAL, "photos", "folders"} <= {path.stem for path in EXAMPLES}

"""A run through an application inference profile: the plan asks for its model, jobs and calls go through it."""

import json

import pytest

from tests.e2e.batch import Batch

pytestmark = pytest.mark.e2e


def test_a_run_through_a_profile_of_ones_own(batch: Batch, profile: str) -> None:
    fault = {"job_name_contains": "profiled-", "record_errors": {"every": 10, "code": 429, "message": "slow down"}}
    batch.engine.configure(faults=[fault])
    lines = "\n".join(json.dumps({"text": f"text {row}"}) for row in range(120))
    ended = batch.run(
        "profiled",
        {
            "s3_uri": batch.upload("profiled.jsonl", lines.encode()),
            "model_id": profile,
            "prompt": {"text": "{text}"},
            "embedding": {"dimensions": 256},
            "job_name_prefix": "profiled",
        },
    )
    assert (ended.status, ended.cause) == ("SUCCEEDED", "")
    table = batch.table("profiled")
    assert set(table["bedrock_outcome"].to_pylist()) == {"succeeded"}
    assert {len(vector) for vector in table["bedrock_embedding"].to_pylist()} == {256}
    run = json.loads(batch.read("e2e/work/profiled/run.json"))
    assert (run["input"]["model_id"], run["family"], run["warnings"]) == (profile, "titan-text-embeddings-v2", [])
    assert batch.report("profiled")["on_demand"] == [{"records": 12, "failed": 0, "lost_chunks": 0}]

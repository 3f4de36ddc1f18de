"""Records that refer to videos on S3, in jobs, in a pooled job and on demand. Every job's folder has its objects."""

import json
from typing import Any

import pytest

from tests.e2e.batch import Batch, Ended

pytestmark = pytest.mark.e2e

VIDEOS = 7
FAULTS = [
    {"job_name_contains": "pooled-", "times": 3, "record_errors": {"every": 2, "code": 429, "message": "slow down"}},
    {"job_name_contains": "films-", "record_errors": {"every": 10, "code": 429, "message": "slow down"}},
]
RUNS = {"pooled": 300, "films": 120}


@pytest.fixture(scope="module")
def runs(batch: Batch) -> dict[str, Ended]:
    """Both runs, started at once and ended."""
    uris = [batch.upload(f"videos/n° {number}.mp4", b"film %d" % number) for number in range(VIDEOS)]
    batch.engine.configure(faults=FAULTS)
    executions = {}
    for name, rows in RUNS.items():
        lines = [json.dumps({"number": row, "video": uris[row % VIDEOS]}) for row in range(rows)]
        run_input = {
            "s3_uri": batch.upload(f"{name}.jsonl", "\n".join(lines).encode()),
            "model_id": "amazon.nova-lite-v1:0",
            "prompt": {"text": "Number {number}: what happens?"},
            "media": {"column": "video", "kind": "video", "source": "s3_location"},
            "job_name_prefix": name,
            "max_records_per_job": max(100, rows // 3),
        }
        executions[name] = batch.start(name, run_input)
    return {name: batch.wait(arn) for name, arn in executions.items()}


def folder(batch: Batch, run_id: str, name: str) -> tuple[dict[str, bytes], list[Any]]:
    """Return the objects by their URI, and the records, of a job's folder."""
    keys = batch.keys(f"e2e/work/{run_id}/input/{name}/")
    (records,) = (key for key in keys if key.endswith(".jsonl"))
    held = {f"s3://{batch.bucket}/{key}": batch.read(key) for key in keys if key != records}
    return held, [json.loads(line) for line in batch.read(records).splitlines()]


def uri(record: dict[str, Any]) -> str:
    found: str = record["modelInput"]["messages"][0]["content"][0]["video"]["source"]["s3Location"]["uri"]
    return found


@pytest.mark.parametrize("name", RUNS)
def test_every_row_is_answered(batch: Batch, runs: dict[str, Ended], name: str) -> None:
    assert (runs[name].status, runs[name].cause) == ("SUCCEEDED", "")
    table = batch.table(name)
    assert table["number"].to_pylist() == list(range(RUNS[name]))
    assert set(table["bedrock_outcome"].to_pylist()) == {"succeeded"}


@pytest.mark.parametrize(("name", "records"), [("00000", 100), ("00002", 100), ("r1-00000", 150)])
def test_each_job_has_its_objects_beside_its_records(
    batch: Batch, runs: dict[str, Ended], name: str, records: int
) -> None:
    held, lines = folder(batch, "pooled", name)
    assert len(lines) == records
    assert len(held) == VIDEOS
    for line in lines:
        row = int(line["recordId"][:5]) * 100 + int(line["recordId"][5:])
        assert held[uri(line)] == b"film %d" % (row % VIDEOS)


def test_a_second_round_had_what_was_left(batch: Batch, runs: dict[str, Ended]) -> None:
    assert batch.report("pooled")["rounds"] == [
        {"jobs": {"Completed": 3}, "records": 300},
        {"jobs": {"Completed": 1}, "records": 150},
    ]


def test_the_rest_is_answered_on_demand(batch: Batch, runs: dict[str, Ended]) -> None:
    assert batch.report("films")["on_demand"] == [{"records": 12, "failed": 0, "lost_chunks": 0}]

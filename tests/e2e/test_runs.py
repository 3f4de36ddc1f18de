"""Runs through the real module, state machines, Lambda zips and AWS APIs, on the local AWS."""

import csv
import hashlib
import io
import json
import time
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from local.sample import write_reviews
from tests.e2e.batch import Batch, wait_until
from tests.e2e.fixtures import PROMPT

pytestmark = pytest.mark.e2e

NOVA = "amazon.nova-lite-v1:0"
HAIKU = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
TITAN = "amazon.titan-embed-text-v2:0"


@pytest.fixture(scope="module")
def reviews(batch: Batch, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[dict[str, str]]]:
    """A CSV of 600 reviews with quotes and line breaks, uploaded: its URI and its rows."""
    path = tmp_path_factory.mktemp("sample") / "reviews.csv"
    write_reviews(path, rows=600)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return batch.upload("reviews.csv", path.read_bytes()), rows


def digest_of(row: dict[str, str]) -> str:
    """Return the text that the stand-in's answer to a row must contain. It depends on the whole prompt."""
    prompt = PROMPT.replace("{{", "\0").replace("}}", "\1")
    prompt = prompt.replace("{product}", row["product"]).replace("{review}", row["review"])
    return hashlib.sha256(prompt.replace("\0", "{").replace("\1", "}").encode()).hexdigest()[:8]


def assert_every_row_once_in_order(table: pa.Table, rows: list[dict[str, str]]) -> None:
    assert table.select(list(rows[0])).to_pylist() == rows


def test_every_row_gets_its_own_answer(batch: Batch, reviews: tuple[str, list[dict[str, str]]]) -> None:
    uri, rows = reviews
    run_input = {"s3_uri": uri, "model_id": NOVA, "prompt_id": "sentiment", "max_records_per_job": 200}
    ended = batch.run("happy", run_input)
    assert (ended.status, ended.error, ended.cause) == ("SUCCEEDED", "", "")
    table = batch.table("happy")
    assert_every_row_once_in_order(table, rows)
    assert set(table["bedrock_outcome"].to_pylist()) == {"succeeded"}
    for row, response in zip(rows, table["bedrock_response"].to_pylist(), strict=True):
        assert digest_of(row) in response
    assert min(table["bedrock_input_tokens"].to_pylist()) > 0
    report = batch.report("happy")
    assert report["rows"] == 600
    assert report["jobs"] == {"Completed": 3}
    assert not any(report["timeline"]["start_unknown"]), "an event said of each job when it began to run"
    assert all(job["submitted_at"] <= job["running_at"] <= job["ended_at"] for job in report["slowest_jobs"])
    assert ended.output["outcomes"]["succeeded"] == 600
    inventory = batch.inventory("happy")
    assert inventory["run/happy"]["status"] == "SUCCEEDED"
    assert Counter(item["status"] for item in inventory.values()) == {"SUCCEEDED": 1, "Completed": 3}
    assert not any("task_token" in item for item in inventory.values())


def test_a_failed_job_a_half_completed_one_and_a_lost_event(
    batch: Batch, reviews: tuple[str, list[dict[str, str]]]
) -> None:
    """The table is deleted while the jobs run, because it is not needed any more."""
    _, rows = reviews
    uri = batch.upload("deleted.csv", batch.read("datasets/reviews.csv"))
    batch.engine.configure(
        faults=[
            {"job_name_contains": "r0-00000", "fail_job": "the input file cannot be parsed"},
            {"job_name_contains": "r0-00001", "partial": 0.5},
            {"job_name_contains": "r0-00002", "drop_events": True},
            {"job_name_contains": "r0-", "stuck": 1},
            {"job_name_contains": "r0-00003", "record_errors": {"every": 10, "code": 400, "message": "bad record"}},
        ]
    )
    run_input = {
        "s3_uri": uri,
        "model_id": NOVA,
        "prompt_id": "sentiment",
        "max_records_per_job": 120,
        # Nothing is sent again, so the result of each job can be seen.
        "limits": {
            "check_seconds": 5,
            "max_rounds": 0,
            "on_demand_tail": False,
            "tolerated_failure_percentage": 40,
        },
    }
    arn = batch.start("faults", run_input)
    wait_until(lambda: batch.keys("e2e/work/faults/jobs-0.jsonl"))
    batch.s3.delete_object(Bucket=batch.bucket, Key="datasets/deleted.csv")
    assert not batch.keys("e2e/output/faults/"), "deleted before the first join"
    ended = batch.wait(arn)
    assert ended.status == "SUCCEEDED", ended
    table = batch.table("faults")
    assert_every_row_once_in_order(table, rows)
    outcomes = [Counter(table["bedrock_outcome"].slice(start, 120).to_pylist()) for start in range(0, 600, 120)]
    assert outcomes[0] == {"missing": 120}
    assert outcomes[1] == {"succeeded": 60, "missing": 60}
    assert outcomes[2] == {"succeeded": 120}
    assert outcomes[3] == {"succeeded": 108, "failed": 12}
    assert outcomes[4] == {"succeeded": 120}
    assert "the input file cannot be parsed" in table["bedrock_error"][0].as_py()
    failed = table.filter(pa.compute.equal(table["bedrock_outcome"], "failed"))
    assert set(failed["bedrock_error_code"].to_pylist()) == {"400"}
    report = batch.report("faults")
    assert report["jobs"] == {"Completed": 3, "Failed": 1, "PartiallyCompleted": 1}
    assert sum(report["outcomes"].values()) == 600


def test_embeddings_of_a_parquet_prefix_as_the_published_sample_has_them(batch: Batch) -> None:
    for number in range(2):
        table = pa.table(
            {
                "input_text": [f"text {number} {row}" for row in range(150)],
                "tags": [[row, number] for row in range(150)],
            }
        )
        sink = io.BytesIO()
        pq.write_table(table, sink)
        uri = batch.upload(f"texts/part-{number}.parquet", sink.getvalue())
    run_input = {
        "s3_uri": uri.rsplit("/", 1)[0] + "/",
        "job_name_prefix": "test-embeddings1",
        "model_id": "amazon.titan-embed-text-v2:0",
        "prompt_id": None,
        "output": {"prefix": ""},
    }
    ended = batch.run("embeddings", run_input)
    assert ended.status == "SUCCEEDED", ended
    table = batch.table("embeddings")
    assert table["input_text"].to_pylist() == [f"text {number} {row}" for number in range(2) for row in range(150)]
    assert table["tags"][151].as_py() == [1, 1]
    assert table.schema.field("embedding").type == pa.list_(pa.float32())
    vectors = np.stack(table["embedding"].to_numpy(zero_copy_only=False))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    assert len({vector.tobytes() for vector in vectors}) == 300


def test_several_models_answer_the_same_table(batch: Batch, reviews: tuple[str, list[dict[str, str]]]) -> None:
    uri, rows = reviews
    # Two shards a model: shard 2 is the second model's first, whose records then go into a round of their own.
    batch.engine.configure(faults=[{"job_name_contains": "-r0-00002", "fail_job": "no capacity"}])
    run_input = {
        "s3_uri": uri,
        "model_id": [NOVA, HAIKU, TITAN],
        "prompt_id": "sentiment",
        "max_records_per_job": 300,
        "limits": {"check_seconds": 5},
    }
    ended = batch.run("several", run_input)
    batch.engine.configure(faults=[])
    assert (ended.status, ended.error, ended.cause) == ("SUCCEEDED", "", "")
    for model_id in (NOVA, HAIKU, TITAN):
        table = batch.table("several", f"bedrock_model={model_id.replace(':', '-')}/")
        assert_every_row_once_in_order(table, rows)
        assert set(table["bedrock_outcome"].to_pylist()) == {"succeeded"}
        if model_id != TITAN:
            responses = table["bedrock_response"].to_pylist()
            assert all(digest_of(row) in response for row, response in zip(rows, responses, strict=True))
    # Nova and Claude are sent the same body, so it is rendered once.
    inputs = [key.rpartition("/")[2] for key in batch.keys("e2e/work/several/input/")]
    assert inputs == ["00000.jsonl", "00001.jsonl", "00004.jsonl", "00005.jsonl", "r1-00007.jsonl"]
    report = batch.report("several")
    assert [section["jobs"] for section in report["models"]] == [
        {"Completed": 2},
        {"Completed": 2, "Failed": 1},
        {"Completed": 2},
    ]
    assert (report["rows"], report["rows_times_models"], report["outcomes"]["succeeded"]) == (600, 1800, 1800)
    assert report["failed_jobs"][0]["model_id"] == HAIKU
    models = Counter(item["model_id"] for pk, item in batch.inventory("several").items() if pk.startswith("job/"))
    assert models == {NOVA: 2, HAIKU: 3, TITAN: 2}


TWO_ROWS = b"product,review\nlamp,fine\n"
BAD_INPUTS = {
    "unknown-key": ({"max_records_per_batch": 2}, "InvalidRunInput", "did you mean 'max_records_per_job'"),
    "no-object": ({"s3_uri": "nothing.csv"}, "InputNotFound", "nothing.csv"),
    "malformed-row": ({"s3_uri": "malformed.csv"}, "MalformedInput", "malformed.csv"),
    "all-null": ({"s3_uri": "null.parquet"}, "NoValidRows", "rows were skipped"),
}


def test_bad_input_ends_the_run_before_any_job(batch: Batch) -> None:
    batch.upload("good.csv", TWO_ROWS)
    batch.upload("malformed.csv", TWO_ROWS + b"lamp,fine,extra\n")
    sink = io.BytesIO()
    pq.write_table(pa.table({"product": ["lamp"], "review": pa.array([None], pa.string())}), sink)
    batch.upload("null.parquet", sink.getvalue())
    good = {"s3_uri": "good.csv", "model_id": NOVA, "prompt_id": "sentiment"}
    executions = {}
    for run_id, (change, _, _) in BAD_INPUTS.items():
        run_input = good | change
        run_input["s3_uri"] = f"s3://{batch.bucket}/datasets/{run_input['s3_uri']}"
        executions[run_id] = batch.start(f"bad-{run_id}", run_input)
    for run_id, (_, error, sentence) in BAD_INPUTS.items():
        ended = batch.wait(executions[run_id])
        assert (ended.status, ended.error) == ("FAILED", error), (run_id, ended)
        assert sentence in json.loads(ended.cause)["errorMessage"], (run_id, ended.cause)
        assert [key for key in batch.inventory(ended.run_id) if key.startswith("job/")] == []
    for run_id in BAD_INPUTS:
        path = batch.states(batch.stop_of(name=f"bad-{run_id}"))
        assert "Wait for stragglers" not in path, "no job can exist, so there is nothing to wait for"
        item = batch.inventory(f"bad-{run_id}")[f"run/bad-{run_id}"]
        assert (item["status"], BAD_INPUTS[run_id][2] in item["message"]) == ("FAILED", True), item
    names = [
        job["jobName"] for job in batch.bedrock.list_model_invocation_jobs(maxResults=1000)["invocationJobSummaries"]
    ]
    assert not [name for name in names if "bad-" in name]


def test_nothing_was_left_undelivered(batch: Batch) -> None:
    url = batch.outputs["undelivered_events_queue_url"].replace("localhost", "127.0.0.1")
    attributes = batch.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    assert attributes["Attributes"]["ApproximateNumberOfMessages"] == "0"


def test_logs_hold_neither_prompt_text_nor_task_tokens(batch: Batch, reviews: tuple[str, list[dict[str, str]]]) -> None:
    batch.engine.configure(faults=[{"job_name_contains": "logged", "stuck": 2}])
    run_input = {"s3_uri": reviews[0], "model_id": NOVA, "prompt_id": "sentiment", "job_name_prefix": "logged"}
    arn = batch.start("logged", run_input)
    tokens: set[str] = set()
    while not tokens:
        assert batch.sfn.describe_execution(executionArn=arn)["status"] == "RUNNING"
        tokens = {item["task_token"] for item in batch.inventory("logged").values() if "task_token" in item}
        time.sleep(0.1)
    assert batch.wait(arn).status == "SUCCEEDED"
    groups = [group["logGroupName"] for group in batch.logs.describe_log_groups()["logGroups"]]
    lines = [
        event["message"]
        for group in groups
        for page in batch.logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        for event in page["events"]
    ]
    records = [json.loads(line) for line in lines if line.startswith("{") and '"logger": "bedrock_batch.' in line]
    # A function cannot name the run of an event that it cannot read.
    nameless = [record for record in records if "run_id" not in record]
    assert {record.get("error") for record in nameless} <= {"ContractMismatch"}
    done = {
        record["function"] for record in records if record["message"] == "done" and record.get("run_id") == "logged"
    }
    assert done >= {"claim_run", "plan_run", "prepare_shard", "review_run", "join_shard", "finish_run"}, groups
    (metrics,) = [record for record in records if record["message"] == "metrics" and record["run_id"] == "logged"]
    assert metrics["RowsSucceeded"] == metrics["rows"] == len(reviews[1])
    (about,) = metrics["_aws"]["CloudWatchMetrics"]
    assert {"Name": "RowsSucceeded", "Unit": "Count"} in about["Metrics"], "CloudWatch makes this metric"
    assert not [line for line in lines if "of 5 stars" in line or any(token in line for token in tokens)]

"""Runs recover from faults: nothing is lost, nothing is paid twice."""

import csv
import io
import json
import time
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest

from bedrock_batch.contracts.lines import TERMINAL_STATUSES
from tests.e2e.batch import Batch, Ended, wait_until

pytestmark = pytest.mark.e2e

NOVA = "amazon.nova-lite-v1:0"
CLAUDE = "us.anthropic.claude-3-5-haiku-20241022-v1:0"

Rows = list[dict[str, str]]

# Each run has its own table, and its jobs' names have the run's name, so that a fault hits only this run.
RUNS: dict[str, tuple[int, dict[str, Any]]] = {
    "throttled": (300, {}),
    "tail": (200, {}),
    "unanswered": (200, {}),
    "refused": (200, {"limits": {"max_rounds": 5}}),
    "canary": (220, {"limits": {"canary_records": 15}}),
    "deadcanary": (220, {"limits": {"canary_records": 15}, "model_id": CLAUDE}),
    "mostly": (200, {}),
    "lossy": (400, {"max_records_per_job": 400}),
    "unseen": (100, {}),  # One job, so that only the run's Get is refused, and no Get of stop-run.
    "verbose": (
        200,
        {
            "limits": {"max_rounds": 0},
            "inference": {"max_tokens": 10},
            "retry": {"outcomes": ["truncated"], "max_tokens": 20},
        },
    ),
    "wrong": (
        30,
        {
            "inference": {"max_tokens": 10},
            "output": {"schema": {"type": "object", "properties": {"mood": {"type": "string"}}}},
            "retry": {"outcomes": ["invalid", "truncated"], "max_tokens": 20},
        },
    ),
}
# A word is a token. Of the 200 verbose rows 111 have a 1 first and need more than 10 words, 11 of these more than 20.
ANSWERS = [
    {"prompt_contains": "this verbose 19", "text": "word " * 30},
    {"prompt_contains": "this verbose 1", "text": "word " * 15},
    {"prompt_contains": "this wrong 1", "text": '{"mood": "good"}'},
    {"prompt_contains": "this wrong", "text": "It is good."},
]
FAULTS = [
    {"job_name_contains": "throttled-", "times": 3, "record_errors": {"every": 2, "code": 429, "message": "slow down"}},
    {"job_name_contains": "tail-", "record_errors": {"every": 10, "code": 429, "message": "slow down"}},
    {"job_name_contains": "mostly-", "record_errors": {"every": 2, "code": 400, "message": "no such parameter"}},
    {"job_name_contains": "lossy-", "times": 1, "drop_records": 150},
    {"job_name_contains": "unseen-", "refuse_get": {"error": "AccessDeniedException", "message": "not yours"}},
    {"job_name_contains": "unanswered-", "lose_create_response": True},
    {"job_name_contains": "-refused-", "refuse_create": {"error": "ValidationException", "message": "no such model"}},
    {"model_id_contains": "claude", "fail_invoke": {"error": "ValidationException", "times": 1000}},
]


def table(word: str, count: int) -> Rows:
    return [{"product": f"{word} {row}", "review": f'"{word}",\nand {row} of them'} for row in range(count)]


def start(batch: Batch, name: str, count: int, **more: Any) -> str:
    """Start a run of a table of its own, with jobs of 100 rows, and return its ARN."""
    out = io.StringIO()
    writer = csv.DictWriter(out, ["product", "review"])
    writer.writeheader()
    writer.writerows(table(name, count))
    run_input = {
        "s3_uri": batch.upload(f"{name}.csv", out.getvalue().encode()),
        "model_id": NOVA,
        "prompt_id": "sentiment",
        "job_name_prefix": name,
        "max_records_per_job": 100,
        **more,
    }
    return batch.start(name, run_input)


@pytest.fixture(scope="module")
def runs(batch: Batch) -> dict[str, Ended]:
    """All runs of the table above, started at once and ended."""
    batch.engine.configure(faults=FAULTS, answers=ANSWERS)
    executions = {name: start(batch, name, count, **more) for name, (count, more) in RUNS.items()}
    return {name: batch.wait(arn) for name, arn in executions.items()}


def outcomes(batch: Batch, name: str) -> Counter[str]:
    return Counter(batch.table(name)["bedrock_outcome"].to_pylist())


def in_flight(batch: Batch, name: str = "e2e") -> list[str]:
    jobs = batch.bedrock.list_model_invocation_jobs(maxResults=1000, nameContains=name)["invocationJobSummaries"]
    return [job["jobName"] for job in jobs if job["status"] not in TERMINAL_STATUSES]


def assert_rows_are_all_there(batch: Batch, name: str) -> None:
    count, _ = RUNS[name]
    assert batch.table(name).select(["product", "review"]).to_pylist() == table(name, count)


@pytest.mark.parametrize("name", ["throttled", "tail", "unanswered", "canary"])
def test_every_row_is_answered_in_the_end(batch: Batch, runs: dict[str, Ended], name: str) -> None:
    assert (runs[name].status, runs[name].cause) == ("SUCCEEDED", "")
    assert_rows_are_all_there(batch, name)
    assert outcomes(batch, name) == {"succeeded": RUNS[name][0]}


def test_no_row_is_paid_twice(batch: Batch, runs: dict[str, Ended]) -> None:
    assert {name: batch.paid_twice(name) for name in runs if name != "lossy"} == {
        name: {} for name in runs if name != "lossy"
    }
    assert list(batch.paid_twice("lossy").values()) == [2] * 150, "what Bedrock lost had been paid"


def test_throttled_records_make_a_second_round(batch: Batch, runs: dict[str, Ended]) -> None:
    report = batch.report("throttled")
    assert report["rounds"] == [
        {"jobs": {"Completed": 3}, "records": 300},
        {"jobs": {"Completed": 1}, "records": 150},
    ]
    assert report["jobs"] == {"Completed": 4}
    assert runs["throttled"].output["jobs"] == 4
    (pooled,) = batch.keys("e2e/work/throttled/input/r1-")
    lines = [json.loads(line) for line in batch.read(pooled).splitlines()]
    assert len({line["recordId"] for line in lines}) == 150
    assert {line["recordId"][:5] for line in lines} == {"00000", "00001", "00002"}


def test_leftovers_too_few_for_a_job_are_answered_on_demand(batch: Batch, runs: dict[str, Ended]) -> None:
    report = batch.report("tail")
    assert len(report["rounds"]) == 1
    assert report["on_demand"] == [{"records": 20, "failed": 0, "lost_chunks": 0}]
    sent = {
        line["recordId"]: line["modelInput"]
        for key in batch.keys("e2e/work/tail/input/")
        for line in map(json.loads, batch.read(key).splitlines())
    }
    keys = batch.keys("e2e/work/tail/raw/on-demand-0/")
    assert len(keys) == 2
    for line in (json.loads(text) for key in keys for text in batch.read(key).splitlines()):
        assert line["modelInput"] == sent[line["recordId"]], "the same body as in the job"
        assert line["modelOutput"]["output"]["message"]["content"]


def test_answers_that_met_their_limit_have_a_round_of_their_own(batch: Batch, runs: dict[str, Ended]) -> None:
    assert (runs["verbose"].status, runs["verbose"].cause) == ("SUCCEEDED", "")
    assert_rows_are_all_there(batch, "verbose")
    assert outcomes(batch, "verbose") == {"succeeded": 189, "truncated": 11}
    report = batch.report("verbose")
    assert [round_["records"] for round_ in report["rounds"]] == [200, 111]
    assert report["retried"] == {"records": 111, "succeeded": 100, "truncated": 11}
    assert report["on_demand"] == []
    found = batch.table("verbose").to_pylist()
    words = {row["product"]: row["bedrock_output_tokens"] for row in found}
    assert (words["verbose 2"], words["verbose 18"], words["verbose 19"]) == (7, 15, 20)
    assert report["output_tokens"] == sum(words.values()) + 111 * 10, "both answers were paid"
    (pooled,) = batch.keys("e2e/work/verbose/input/r1-")
    sent = [json.loads(line) for line in batch.read(pooled).splitlines()]
    assert {line["modelInput"]["inferenceConfig"]["maxTokens"] for line in sent} == {20}


def test_invalid_answers_are_asked_for_once_more_on_demand(batch: Batch, runs: dict[str, Ended]) -> None:
    assert (runs["wrong"].status, runs["wrong"].cause) == ("SUCCEEDED", "")
    assert outcomes(batch, "wrong") == {"succeeded": 11, "invalid": 19}
    report = batch.report("wrong")
    assert (report["jobs"], report["rounds"]) == ({}, []), "a small table needs no job"
    assert list(batch.inventory("wrong")) == ["run/wrong"]
    assert [pass_["records"] for pass_ in report["on_demand"]] == [30, 19]
    assert report["retried"] == {"records": 19, "invalid": 19}


def test_a_lost_answer_to_create_is_one_job(batch: Batch, runs: dict[str, Ended]) -> None:
    assert batch.engine.bedrock(job_name_contains="-unanswered-")["jobs"] == {"Completed": 2}


def test_records_that_two_jobs_refused_are_not_sent_a_third_time(batch: Batch, runs: dict[str, Ended]) -> None:
    ended = runs["refused"]
    assert (ended.status, ended.error) == ("FAILED", "TooManyFailures")
    assert "no such model" in json.loads(ended.cause)["errorMessage"]
    assert_rows_are_all_there(batch, "refused")
    report = batch.report("refused")
    assert report["rounds"] == [{"jobs": {"NotCreated": 2}, "records": 200}] * 2
    assert (report["on_demand"], report["leftovers"], report["errors"]) == ([], 0, {"RefusedTwice": 200})
    assert outcomes(batch, "refused") == {"failed": 200}
    rows = batch.table("refused").to_pylist()
    assert all("Bedrock.ValidationException: no such model" in row["bedrock_error"] for row in rows)
    assert batch.engine.bedrock(job_name_contains="-refused-")["jobs"] == {}


def ended_item(batch: Batch, name: str) -> dict[str, Any]:
    """Wait until stop-run has recorded why the run failed, and return the run's item in the inventory."""
    key = f"run/{name}"
    item: dict[str, Any] = wait_until(
        lambda: batch.inventory(name)[key] if "message" in batch.inventory(name)[key] else 0
    )
    return item


def test_a_run_of_which_half_failed_is_no_success(batch: Batch, runs: dict[str, Ended]) -> None:
    ended = runs["mostly"]
    assert (ended.status, ended.error) == ("FAILED", "TooManyFailures")
    message = json.loads(ended.cause)["errorMessage"]
    assert message.startswith("100 of 200 rows that were sent have no answer (50.0%, but at most 20% are tolerated)")
    assert_rows_are_all_there(batch, "mostly")
    report = batch.report("mostly")
    assert (report["status"], report["error"], report["message"]) == ("FAILED", "TooManyFailures", message)
    item = ended_item(batch, "mostly")
    assert (item["status"], item["message"]) == ("FAILED", message[:999] + "…" if len(message) > 1000 else message)


def test_what_bedrock_counted_and_lost_is_asked_again_and_told(batch: Batch, runs: dict[str, Ended]) -> None:
    assert (runs["lossy"].status, runs["lossy"].cause) == ("SUCCEEDED", "")
    assert outcomes(batch, "lossy") == {"succeeded": 400}
    report = batch.report("lossy")
    assert [round_["records"] for round_ in report["rounds"]] == [400, 150]
    counted = report["by_bedrock"]
    assert (counted["jobs"], counted["records"], counted["found"]["records"]) == (2, 550, 400)
    assert list(counted["differing_jobs"].values()) == [{"counted": 400, "found": 250}]
    assert counted["input_tokens"] > counted["found"]["input_tokens"] == report["input_tokens"]
    assert any("150 were paid and lost" in warning for warning in report["warnings"])
    assert runs["lossy"].output["first_warnings"] == report["warnings"]


def test_a_map_that_failed_is_told_by_its_children(batch: Batch, runs: dict[str, Ended]) -> None:
    """The execution itself says only that too many children failed."""
    ended = runs["unseen"]
    assert (ended.status, ended.error) == ("FAILED", "States.ExceedToleratedFailureThreshold")
    item = ended_item(batch, "unseen")
    assert item["status"] == "FAILED"
    assert item["message"].startswith("Bedrock.AccessDeniedException: not yours")
    assert " (job e2e-unseen-" in item["message"]
    report = wait_until(lambda: batch.keys("e2e/reports/unseen/report.json") and batch.report("unseen"))
    assert (report["salvaged"], report["status"], report["error"]) == (True, "FAILED", ended.error)
    assert report["message"] == item["message"]
    (child, *_) = report["failed_children"]
    assert child["error"] == "Bedrock.AccessDeniedException"
    assert child["message"].startswith("not yours")


def test_a_canary_goes_before_the_jobs(batch: Batch, runs: dict[str, Ended]) -> None:
    report = batch.report("canary")
    assert report["on_demand"] == [{"records": 15, "failed": 0, "lost_chunks": 0}]
    assert sum(round_["records"] for round_ in report["rounds"]) == 205


def test_a_dead_canary_ends_the_run_before_any_job(batch: Batch, runs: dict[str, Ended]) -> None:
    ended = runs["deadcanary"]
    assert (ended.status, ended.error) == ("FAILED", "CanaryFailed")
    assert "Only 0 of the first 15 records were answered" in json.loads(ended.cause)["errorMessage"]
    assert batch.engine.bedrock(job_name_contains="-deadcanary-")["jobs"] == {}
    assert ended_item(batch, "deadcanary")["message"].startswith("Only 0 of the first 15 records were answered")
    report = batch.report("deadcanary")
    assert (report["status"], report["error"], report["jobs"]) == ("FAILED", "CanaryFailed", {})
    wait_until(lambda: batch.inventory("deadcanary")["run/deadcanary"]["status"] == "FAILED")


# --- Stopping a run, and going on with it ---


def test_a_stopped_run_stops_its_jobs_and_a_redrive_finishes_it(batch: Batch) -> None:
    batch.engine.configure(records_per_second=10)
    arn = start(batch, "stopped", 250, limits={"max_concurrent_jobs": 1})
    try:
        wait_until(lambda: batch.engine.bedrock(job_name_contains="-stopped-")["records"])
        batch.sfn.stop_execution(executionArn=arn)
        report = wait_until(lambda: batch.keys("e2e/reports/stopped/report.json") and batch.report("stopped"))
    finally:
        batch.engine.configure(records_per_second=None)
    assert batch.wait(arn).status == "ABORTED"
    assert in_flight(batch, "stopped") == []
    assert (report["salvaged"], report["status"]) == (True, "ABORTED")
    assert report["jobs"] == {"NotCreated": 1, "Stopped": 1}
    assert report["slowest_jobs"][0]["running_at"], "its report also says when the job began to run"
    inventory = batch.inventory("stopped")
    assert inventory["run/stopped"]["status"] == "ABORTED"
    assert [item["status"] for key, item in inventory.items() if key.startswith("job/")] == ["Stopped"]
    salvaged = outcomes(batch, "stopped")
    assert salvaged["succeeded"] == report["outcomes"]["succeeded"] > 0, "what was paid is the user's"
    assert salvaged.total() == 250

    batch.sfn.redrive_execution(executionArn=arn)
    ended = batch.wait(arn)
    assert (ended.status, ended.cause) == ("SUCCEEDED", "")
    result = batch.table("stopped")
    assert result.select(["product", "review"]).to_pylist() == table("stopped", 250)
    assert pa.compute.all(pa.compute.equal(result["bedrock_outcome"], "succeeded")).as_py()
    assert batch.paid_twice("stopped") == {}
    report = batch.report("stopped")
    assert "salvaged" not in report
    assert (report["status"], report["jobs"]) == ("SUCCEEDED", {"Completed": 2, "Stopped": 1})
    (stopped,) = report["failed_jobs"]
    assert (stopped["status"], stopped["now"]) == ("Stopped", f"all {stopped['records']} records have an answer")
    inventory = batch.inventory("stopped")
    assert inventory["run/stopped"]["status"] == "SUCCEEDED"
    assert "message" not in inventory["run/stopped"], "why it was stopped is over"
    statuses = Counter(item["status"] for key, item in inventory.items() if key.startswith("job/"))
    assert statuses == {"Stopped": 1, "Completed": 2}, "an end that was written down stays"


def test_a_run_that_lacks_a_permission_goes_on_when_it_is_repaired(batch: Batch) -> None:
    """Two of its three jobs lack a permission, in different ways. The third job's answers are kept."""
    refused = {"error": "AccessDeniedException", "message": "not authorized to perform: iam:PassRole"}
    unpermitted = "Customer doesn't have permissions to invokeModel"
    rules = [
        {"job_name_contains": "-r0-00000", "refuse_create": refused},
        {"job_name_contains": "-r0-00001", "fail_job": unpermitted},
    ]
    batch.engine.configure(faults=rules)
    arn = start(batch, "forbidden", 300, limits={"max_rounds": 0, "on_demand_tail": False})
    ended = batch.wait(arn)
    assert (ended.status, ended.error) == ("FAILED", "PermissionMissing")
    message = json.loads(ended.cause)["errorMessage"]
    assert "not authorized to perform: iam:PassRole" in message and "(200 records have no answer)" in message
    wait_until(lambda: batch.keys("e2e/reports/forbidden/report.json"))
    assert outcomes(batch, "forbidden") == {"succeeded": 100, "missing": 200}
    report = batch.report("forbidden")
    assert (report["salvaged"], report["error"]) == (True, "PermissionMissing")
    assert report["jobs"] == {"Completed": 1, "Failed": 1, "NotCreated": 1}
    not_created, failed = sorted(report["failed_jobs"], key=lambda one: str(one["job_name"]))
    assert refused["message"] in not_created["message"], "what Bedrock said outlasts the run's own state"
    assert (failed["status"], failed["message"]) == ("Failed", unpermitted)

    batch.engine.configure(faults=[])
    batch.sfn.redrive_execution(executionArn=arn)
    ended = batch.wait(arn)
    assert (ended.status, ended.cause) == ("SUCCEEDED", "")
    result = batch.table("forbidden")
    assert result.select(["product", "review"]).to_pylist() == table("forbidden", 300)
    assert outcomes(batch, "forbidden") == {"succeeded": 300}
    assert batch.paid_twice("forbidden") == {}
    report = batch.report("forbidden")
    assert report["rounds"] == [
        {"jobs": {"Completed": 1, "Failed": 1, "NotCreated": 1}, "records": 300},
        {"jobs": {"Completed": 2}, "records": 200},
    ]
    assert len(report["failed_jobs"]) == 2


def test_a_full_account_is_waited_for(batch: Batch) -> None:
    batch.engine.configure(concurrent_jobs=2)
    try:
        arns = [start(batch, name, 400) for name in ("crowded", "crammed")]
        most = 0
        while any(batch.sfn.describe_execution(executionArn=arn)["status"] == "RUNNING" for arn in arns):
            most = max(most, len(in_flight(batch)))
            time.sleep(0.1)
    finally:
        batch.engine.configure(concurrent_jobs=100)
    assert most <= 2
    for arn, name in zip(arns, ("crowded", "crammed"), strict=True):
        assert batch.wait(arn).status == "SUCCEEDED"
        assert outcomes(batch, name) == {"succeeded": 400}
        assert batch.engine.bedrock(job_name_contains=f"-{name}-")["jobs"] == {"Completed": 4}
        run = json.loads(batch.read(f"e2e/work/{name}/run.json"))
        assert (run["quotas"]["concurrent_jobs"], run["quota_origins"]["concurrent_jobs"]) == (2, "applied")


def test_names_of_jobs_tell_run_and_round(batch: Batch, runs: dict[str, Ended]) -> None:
    """People find a run's jobs by the digest of its claim."""
    jobs = [key for key in batch.inventory("throttled") if key.startswith("job/")]
    assert len(jobs) == 4
    assert all(f"-{batch.job_digest('throttled')}-r" in name for name in jobs)

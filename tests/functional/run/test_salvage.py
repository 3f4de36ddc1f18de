"""Gather leftovers and Finish run for a run that was stopped."""

import json
from typing import Any

import pytest

from bedrock_batch.aws.inventory import Inventory
from bedrock_batch.contracts.state import RunState
from bedrock_batch.contracts.version import CONTRACT
from bedrock_batch.handlers.gather_leftovers import handler as gather_handler
from bedrock_batch.run import salvage
from bedrock_batch.run.finish_run import finish_run
from tests.conftest import BUCKET
from tests.functional.played import RUN, Bench, Items, Jobs, State, finished, job
from tests.report_schema import check
from tests.unit.factories import JOIN_SHARD, keys_of, make_run
from tests.unit.factories import stopped as stopped_event


@pytest.fixture
def bench(aws: None) -> Bench:
    return Bench([150, 150, 40])


MAP_FAILED = "States.ExceedToleratedFailureThreshold"


def stopped(bench: Bench, **how: str) -> State:
    return salvage.gather(bench.s3, bench.bedrock, stopped_event(RUN, BUCKET, **how)).to_json()


def test_salvage_joins_every_shard_with_all_that_was_answered(bench: Bench) -> None:
    state = bench.review()
    first, second = bench.lines(state["jobs_key"])
    bench.bedrock = Jobs(job(first["job_name"], "Stopped"))
    bench.s3.put(BUCKET, keys_of(RUN).skipped(1), b"{}\n")
    found = stopped(bench)
    assert found["next"] == "join"
    events = bench.lines(found["joins_key"])
    assert [event["shard"] for event in events] == [0, 1, 2]
    assert {event["function"] for event in events} == {JOIN_SHARD}
    assert [[end["status"] for end in event["jobs"]] for event in events] == [["Stopped"], ["NotCreated"], []]
    assert [event["step"] for event in events] == [None] * 3, "leftovers stay as the run planned with them"
    assert [bool(event["skipped_key"]) for event in events] == [False, True, False]

    results = [bench.joined(event | {"step": 99}, range(10 * event["shard"])) for event in events]
    finished(bench.s3, found | {"result": bench.map(results)})
    report = bench.s3.get_json(BUCKET, keys_of(RUN).report)
    assert (report["salvaged"], report["status"]) == (True, "ABORTED")
    assert report["jobs"] == {"NotCreated": 1, "Stopped": 1}
    assert report["outcomes"]["missing"] == 30
    assert second["job_name"] not in json.dumps(report["failed_jobs"])
    assert stopped(bench)["next"] == "join", "a report of an earlier salvage does not count"


def test_salvage_knows_which_records_had_been_sent_again(bench: Bench) -> None:
    state = bench.review()
    first, second = bench.lines(state["jobs_key"])
    state = bench.gather(state, [bench.job_result(first, (), again=range(120)), bench.job_result(second, ())])
    assert (state["next"], state["rounds"]) == ("run_jobs", 2)
    (pooled,) = bench.lines(state["jobs_key"])
    ended = [
        job(first["job_name"], "Completed"),
        job(second["job_name"], "Completed"),
        job(pooled["job_name"], "Stopped"),
    ]
    bench.bedrock = Jobs(*ended)
    events = bench.lines(stopped(bench)["joins_key"])
    assert [[end["leftovers_step"] for end in event["jobs"]] for event in events] == [[None, 0], [None], [None]]


def test_salvage_knows_what_the_run_knew_of_its_jobs(bench: Bench) -> None:
    """Without it, rows that two jobs refused would be missing, and the report would not have Bedrock's message."""
    state = bench.review()
    first, second = bench.lines(state["jobs_key"])
    told = {"status": "Failed", "message": "Unable to parse a.jsonl", "processed": 0}
    first_result = bench.job_result(first, range(150)) | told
    refused = {"status": "NotCreated", "message": "Bedrock.ValidationException: no such model", "processed": 0}
    state = bench.gather(state, [first_result, bench.job_result(second, ())])
    assert (state["next"], state["rounds"]) == ("run_jobs", 2)
    again, *others = bench.lines(state["jobs_key"])
    assert others == []
    bench.map([bench.job_result(again) | refused], "jobs")
    bench.bedrock = Jobs(job(first["job_name"], "Failed"), job(second["job_name"], "Completed"))

    found = stopped(bench)
    events = bench.lines(found["joins_key"])
    ends = [[(end["status"], end["message"], end.get("processed")) for end in event["jobs"]] for event in events]
    failed, never = tuple(told.values()), tuple(refused.values())
    assert ends == [[failed, never], [("Completed", "", None)], [never]]
    results = [bench.joined(event | {"step": 99}, range(10)) for event in events]
    finished(bench.s3, found | {"result": bench.map(results)})
    report = report_of(bench)
    assert report["jobs"] == {"Completed": 1, "Failed": 1, "NotCreated": 1}
    assert [job["message"] for job in report["failed_jobs"]] == [told["message"], refused["message"]]
    assert report["rounds"] == [
        {"jobs": {"Completed": 1, "Failed": 1}, "records": 300},
        {"jobs": {"NotCreated": 1}, "records": 190},
    ]


def test_of_jobs_that_the_run_did_not_wait_for_salvage_knows_what_bedrock_lists(bench: Bench) -> None:
    state = bench.review()
    first, second = bench.lines(state["jobs_key"])
    bench.map([bench.job_result(second, range(150)) | {"status": "Expired", "message": "late"}], "jobs")
    bench.bedrock = Jobs(job(first["job_name"], "Stopped"), job(second["job_name"], "Expired"))
    found = stopped(bench)
    results = [bench.joined(event | {"step": 99}, range(10)) for event in bench.lines(found["joins_key"])]
    finished(bench.s3, found | {"result": bench.map(results)})
    told = [(job["status"], job["message"]) for job in report_of(bench)["failed_jobs"]]
    assert told == [("Stopped", "the run was stopped"), ("Expired", "late")]


def test_nothing_is_salvaged_where_nothing_was_sent(bench: Bench) -> None:
    assert stopped(bench)["next"] == "end"
    bench.client.delete_object(Bucket=BUCKET, Key=keys_of(RUN).run())
    assert stopped(bench)["next"] == "end", "a run that failed in its plan"


def report_of(bench: Bench) -> dict[str, Any]:
    found: dict[str, Any] = bench.s3.get_json(BUCKET, keys_of(RUN).report)
    return found


def test_a_report_of_the_run_itself_says_how_it_ended(bench: Bench) -> None:
    """Its last step may have failed after the report was written."""
    bench.review()
    bench.s3.put_json(BUCKET, keys_of(RUN).report, {"run_id": RUN, "status": "SUCCEEDED", "rows": 340})
    found = stopped(bench, status="FAILED", error="DynamoDB.AmazonDynamoDBException", cause="slow down")
    assert (found["next"], found["message"]) == ("end", "slow down")
    ended = {"status": "FAILED", "error": "DynamoDB.AmazonDynamoDBException", "message": "slow down"}
    report = report_of(bench)
    assert "(`bedrock-batch redrive monday --name reviews`)" in report.pop("what_to_do")
    assert report == {"run_id": RUN, "rows": 340, **ended}


def test_a_run_that_failed_before_its_jobs_has_a_report(bench: Bench) -> None:
    cause = json.dumps({"errorMessage": "The estimate is 3 USD", "errorType": "BudgetExceeded", "stackTrace": []})
    found = stopped(bench, status="FAILED", error="BudgetExceeded", cause=cause)
    assert (found["next"], found["message"]) == ("end", "The estimate is 3 USD")
    report = report_of(bench)
    check(report)
    assert report["error"] == "BudgetExceeded"
    assert (report["status"], report["message"], report["jobs"]) == ("FAILED", "The estimate is 3 USD", {})
    assert stopped(bench)["message"] == "the execution was stopped"
    assert report_of(bench)["status"] == "ABORTED", "one of an earlier salvage is replaced"


def test_a_report_that_knows_its_end_stays_as_it_is(bench: Bench) -> None:
    own = {"run_id": RUN, "status": "FAILED", "error": "TooManyFailures", "message": "at length"}
    bench.s3.put_json(BUCKET, keys_of(RUN).report, own)
    assert stopped(bench, status="FAILED", error="TooManyFailures", cause="short")["next"] == "end"
    assert report_of(bench) == own


@pytest.mark.parametrize("edited", [b"{", b"[]", b"{}"])
def test_what_somebody_has_edited_keeps_no_answers_back(bench: Bench, edited: bytes) -> None:
    state = bench.review()
    bench.bedrock = Jobs(*(job(line["job_name"], "Stopped") for line in bench.lines(state["jobs_key"])))
    bench.s3.put(BUCKET, keys_of(RUN).estimate, edited)
    bench.s3.put(BUCKET, keys_of(RUN).report, edited)
    assert stopped(bench)["next"] == "join"


def test_a_plan_that_failed_is_reported_too(bench: Bench) -> None:
    bench.client.delete_object(Bucket=BUCKET, Key=keys_of(RUN).run())
    found = stopped(bench, status="FAILED", error="MissingColumn", cause='{"errorMessage": "no {reviw}"}')
    assert (found["next"], found["message"]) == ("end", "no {reviw}")
    report = report_of(bench)
    check(report)
    assert (report["error"], report["message"], report["jobs"]) == ("MissingColumn", "no {reviw}", {})
    assert report["functions"] == {"join_shard": "3"}
    assert "use one of the columns that the message lists" in page_of(bench)
    stopped(bench)
    assert report_of(bench)["status"] == "ABORTED", "the latest end counts"


def test_a_report_that_knows_more_outlives_the_plan(bench: Bench) -> None:
    stopped(bench, status="FAILED", error="BudgetExceeded", cause="too dear")
    before = report_of(bench)
    bench.client.delete_object(Bucket=BUCKET, Key=keys_of(RUN).run())
    stopped(bench, status="FAILED", error="RunExpired", cause="too old")
    assert report_of(bench) == before


def test_a_report_of_what_was_stopped_has_the_estimate(bench: Bench) -> None:
    state = bench.review()
    bench.bedrock = Jobs(*(job(line["job_name"], "Stopped") for line in bench.lines(state["jobs_key"])))
    found = stopped(bench)
    results = [bench.joined(event | {"step": 99}, ()) for event in bench.lines(found["joins_key"])]
    finished(bench.s3, found | {"result": bench.map(results)}, bench.bedrock)
    assert report_of(bench)["estimate"] == state["estimate"]
    assert "estimate" in bench.s3.get_json(BUCKET, keys_of(RUN).report)


def page_of(bench: Bench) -> str:
    return bench.s3.read(BUCKET, keys_of(RUN).page).decode()


def fail_children(bench: Bench, folder: str, *children: dict[str, Any]) -> None:
    """Write what the ResultWriter of a Map that fails does: the children's executions."""
    key = f"reviews/work/{RUN}/results/{folder}"
    bench.s3.put_lines(BUCKET, f"{key}/FAILED_0.jsonl", children)
    files = {"SUCCEEDED": [], "PENDING": [], "FAILED": [{"Key": f"{key}/FAILED_0.jsonl", "Size": 1}]}
    bench.s3.put_json(BUCKET, f"{key}/manifest.json", {"ResultFiles": files})


def child(number: int, error: str | None, cause: str = "", **given: Any) -> dict[str, Any]:
    entry = {"Status": "FAILED", "StopDate": f"2026-11-28T10:00:{number:02d}.000Z", "Input": json.dumps(given)}
    return entry | ({"Error": error, "Cause": cause} if error else {"Status": "ABORTED"})


def test_a_map_that_failed_is_told_by_its_children(bench: Bench) -> None:
    bench.review()
    denied = "not authorized to perform bedrock:GetModelInvocationJob"
    fail_children(bench, "jobs/1", child(1, "Bedrock.OldException", "of an earlier round"))
    fail_children(
        bench,
        "jobs/2",
        child(9, None, job_name="j-9", prompt="SECRET"),
        child(8, "Bedrock.AccessDeniedException", denied, job_name="j-8", prompt="SECRET"),
        child(7, "Bedrock.AccessDeniedException", denied, job_name="j-7"),
        child(6, "States.Runtime", 'cannot apply $x to {"prompt": "SECRET"}', job_name="j-6"),
    )
    fail_children(bench, "salvage/1", child(59, "Salvage", "of the machine that stops runs"))
    found = stopped(bench, status="FAILED", error=MAP_FAILED, cause="The threshold was exceeded")
    assert found["message"] == "States.Runtime: cannot apply $x to … (job j-6)"
    assert found["ended"]["failed_children"] == [
        {"error": "States.Runtime", "message": "cannot apply $x to …", "children": 1, "first": "job j-6"},
        {"error": "Bedrock.AccessDeniedException", "message": denied, "children": 2, "first": "job j-7"},
    ]
    results = [bench.joined(event | {"step": 99}, ()) for event in bench.lines(found["joins_key"])]
    finished(bench.s3, found | {"result": bench.map(results)})
    report = report_of(bench)
    assert (report["status"], report["error"], report["message"]) == ("FAILED", MAP_FAILED, found["message"])
    assert report["failed_children"] == found["ended"]["failed_children"]
    assert "SECRET" not in json.dumps(report)


def test_a_map_whose_children_say_nothing_is_told_by_its_own_cause(bench: Bench) -> None:
    bench.review()
    assert stopped(bench, status="FAILED", error=MAP_FAILED, cause="exceeded")["message"] == "exceeded"


def test_what_a_redriven_run_writes_meanwhile_stays(bench: Bench) -> None:
    state = bench.review()
    bench.bedrock = Jobs(*(job(line["job_name"], "Stopped") for line in bench.lines(state["jobs_key"])))
    part = keys_of(RUN).part(1, "parquet")
    bench.s3.put(BUCKET, part, b"joined before the stop")
    found = stopped(bench)
    events = bench.lines(found["joins_key"])
    etag = bench.s3.head(BUCKET, part).etag
    assert [event["replaces"] for event in events] == ["", etag, ""]

    own = {"rows": 340}
    bench.s3.put_json(BUCKET, keys_of(RUN).report, own)
    results = [bench.joined(event | {"step": 99}, ()) for event in events]
    inventory = Inventory(Items(), "reviews-inventory")
    finish_run(bench.s3, bench.bedrock, inventory, RunState.from_json(found | {"result": bench.map(results)}))
    assert bench.s3.get_json(BUCKET, keys_of(RUN).report) == own


def test_a_canary_alone_is_not_salvaged(aws: None) -> None:
    bench = Bench([20, 150], limits=make_run().limits | {"canary_records": 20})
    assert bench.review()["next"] == "answer"
    assert stopped(bench)["next"] == "end"


def test_a_tail_is_not_taken_for_a_canary_that_was_skipped(aws: None) -> None:
    bench = Bench([0, 50], limits=make_run().limits | {"canary_records": 20})
    assert bench.review()["next"] == "answer"
    assert stopped(bench)["next"] == "join"


def test_handler_tells_a_stopped_run_by_its_event(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bedrock_batch.aws.clients.client", lambda name: bench.bedrock)
    event = stopped_event(RUN, BUCKET, status="FAILED").to_json()
    monkeypatch.setattr("bedrock_batch.aws.clients.s3", lambda: bench.client)
    state = gather_handler(event, None)
    assert (state["ended"]["status"], state["contract"]) == ("FAILED", CONTRACT)

"""What Gather leftovers and Finish run make of a run that was stopped."""

import json

import pytest

from bedrock_batch import ids
from bedrock_batch.adapters import salvage
from bedrock_batch.handlers.finish_run import finish_run
from bedrock_batch.handlers.gather_leftovers import handler as gather_handler
from tests.conftest import BUCKET
from tests.functional.played import RUN, Bench, Jobs, State, job


@pytest.fixture
def bench(aws: None) -> Bench:
    return Bench([150, 150, 40])


def stopped(bench: Bench) -> State:
    event = {"salvage": True, "run_id": RUN, "bucket": BUCKET, "status": "ABORTED"}
    return salvage.gather(bench.s3, bench.bedrock, event)


def test_salvage_joins_every_shard_with_all_that_was_answered(bench: Bench) -> None:
    state = bench.review()
    first, second = bench.lines(state["jobs_key"])
    bench.bedrock = Jobs(job(first["job_name"], "Stopped"))
    bench.s3.put(BUCKET, ids.skipped_key(RUN, 1), b"{}\n")
    found = stopped(bench)
    assert found["next"] == "join"
    events = bench.lines(found["joins_key"])
    assert [event["shard"] for event in events] == [0, 1, 2]
    assert [[end["status"] for end in event["jobs"]] for event in events] == [["Stopped"], ["NotCreated"], []]
    assert [event["step"] for event in events] == [None] * 3, "leftovers stay as the run planned with them"
    assert [bool(event["skipped_key"]) for event in events] == [False, True, False]

    results = [bench.joined(event | {"step": 99}, range(10 * event["shard"])) for event in events]
    finish_run(bench.s3, found | {"result": bench.map(results)})
    report = bench.s3.get_json(BUCKET, ids.report_key(RUN))
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


def test_nothing_is_salvaged_where_nothing_was_sent(bench: Bench) -> None:
    assert stopped(bench)["next"] == "end"
    bench.client.delete_object(Bucket=BUCKET, Key=ids.run_key(RUN))
    assert stopped(bench)["next"] == "end", "a run that failed in its plan"


def test_a_run_that_wrote_its_report_is_left_alone(bench: Bench) -> None:
    bench.review()
    bench.s3.put_json(BUCKET, ids.report_key(RUN), {"rows": 340})
    assert stopped(bench)["next"] == "end"


def test_what_a_redriven_run_writes_meanwhile_stays(bench: Bench) -> None:
    state = bench.review()
    bench.bedrock = Jobs(*(job(line["job_name"], "Stopped") for line in bench.lines(state["jobs_key"])))
    part = ids.output_key(RUN, 1, "parquet")
    bench.s3.put(BUCKET, part, b"joined before the stop")
    found = stopped(bench)
    events = bench.lines(found["joins_key"])
    etag = bench.s3.head(BUCKET, part).etag
    assert [event["replaces"] for event in events] == ["", etag, ""]

    own = {"rows": 340}
    bench.s3.put_json(BUCKET, ids.report_key(RUN), own)
    results = [bench.joined(event | {"step": 99}, ()) for event in events]
    finish_run(bench.s3, found | {"result": bench.map(results)})
    assert bench.s3.get_json(BUCKET, ids.report_key(RUN)) == own


def test_a_canary_alone_is_not_salvaged(aws: None) -> None:
    bench = Bench([20, 150], canary=True)
    assert bench.review()["next"] == "answer"
    assert stopped(bench)["next"] == "end"


def test_a_tail_is_not_taken_for_a_canary_that_was_skipped(aws: None) -> None:
    bench = Bench([0, 50], canary=True)
    assert bench.review()["next"] == "answer"
    assert stopped(bench)["next"] == "join"


def test_handler_tells_a_stopped_run_by_its_event(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bedrock_batch.adapters.clients.client", lambda name: bench.bedrock)
    event = {"salvage": True, "run_id": RUN, "bucket": BUCKET, "status": "FAILED"}
    monkeypatch.setattr("bedrock_batch.adapters.clients.s3", lambda: bench.client)
    assert gather_handler(event, None)["status"] == "FAILED"

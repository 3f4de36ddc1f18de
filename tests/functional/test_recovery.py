"""The handlers that recover a run, on S3: who reads and writes what, and that doing it twice changes nothing."""

import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ParamValidationError, ReadTimeoutError
from botocore.response import StreamingBody

from bedrock_batch import ids
from bedrock_batch.adapters import salvage
from bedrock_batch.adapters.s3 import S3
from bedrock_batch.contracts import Joined, Prepared, Run
from bedrock_batch.errors import CanaryFailed, PoolIncomplete, TooLarge, TooManyFailures
from bedrock_batch.handlers.answer_on_demand import answer_on_demand
from bedrock_batch.handlers.finish_run import finish_run
from bedrock_batch.handlers.gather_leftovers import gather_leftovers
from bedrock_batch.handlers.gather_leftovers import handler as gather_handler
from bedrock_batch.handlers.pool_leftovers import pool_leftovers
from bedrock_batch.handlers.review_run import review_run
from tests.conftest import BUCKET
from tests.unit.factories import make_prepared, make_run, make_shard

RUN = "monday"
State = dict[str, Any]


class Jobs:
    """Bedrock as Gather leftovers sees it: a list of jobs."""

    def __init__(self, *jobs: dict[str, str], error: str | None = None) -> None:
        self.jobs, self.error = list(jobs), error

    def get_paginator(self, operation: str) -> "Jobs":
        assert operation == "list_model_invocation_jobs"
        return self

    def paginate(self, **filters: Any) -> Iterator[dict[str, Any]]:
        if self.error:
            raise ClientError({"Error": {"Code": self.error, "Message": "no"}}, "ListModelInvocationJobs")
        # Two pages, as the filter of names is Bedrock's work.
        found = [job for job in self.jobs if filters.get("nameContains", "") in job["jobName"]]
        yield {"invocationJobSummaries": found[:1]}
        yield {"invocationJobSummaries": found[1:]}


def job(name: str, status: str = "InProgress", model: str = "amazon.nova-lite-v1:0") -> dict[str, str]:
    arn = f"arn:aws:bedrock:us-east-1::foundation-model/{model}"
    return {"jobName": name, "status": status, "modelId": arn}


class Bench:
    """A planned and prepared run of some shards, whose Maps a test plays."""

    def __init__(self, records: Sequence[int], **changes: Any) -> None:
        self.client = boto3.client("s3")
        self.s3 = S3(self.client)
        self.bedrock = Jobs()
        self.run: Run = make_run(bucket=BUCKET, shards=len(records), **changes)
        self.s3.put_json(BUCKET, ids.run_key(RUN), self.run.to_json())
        self.shards = [make_shard(number, rows=count or 1) for number, count in enumerate(records)]
        self.s3.put_lines(BUCKET, ids.plan_key(RUN), (shard.to_json() | {"bucket": BUCKET} for shard in self.shards))
        self.prepared: list[Prepared] = []
        for number, count in enumerate(records):
            self.prepared.append(make_prepared(number, records=count, skipped=0 if count else 1))
            lines = (line(number, row) for row in range(count))
            self.s3.put(BUCKET, ids.input_key(RUN, number), b"".join(lines))
        self.maps = 0

    def map(self, results: Sequence[Any]) -> dict[str, str]:
        """Write what the children of a Map returned; return where."""
        self.maps += 1
        key = f"runs/{RUN}/results/{self.maps}"
        self.s3.put_lines(BUCKET, f"{key}/SUCCEEDED_0.jsonl", results)
        self.s3.put_json(BUCKET, key, {"ResultFiles": {"SUCCEEDED": [{"Key": f"{key}/SUCCEEDED_0.jsonl"}]}})
        return {"Bucket": BUCKET, "Key": key}

    def planned(self) -> State:
        return {
            "run_id": RUN,
            "bucket": BUCKET,
            "prefix": ids.run_prefix(RUN),
            "run_key": ids.run_key(RUN),
            "plan_key": ids.plan_key(RUN),
            "rows": sum(shard.rows for shard in self.shards),
            "shards": len(self.shards),
            "prepared": self.map([one.to_json() for one in self.prepared]),
        }

    def review(self) -> State:
        return review_run(self.s3, self.bedrock, self.planned())

    def gather(self, state: State, results: Sequence[Any]) -> State:
        return gather_leftovers(self.s3, self.bedrock, state | {"result": self.map(results)})

    def lines(self, key: str) -> list[Any]:
        return list(self.s3.lines(BUCKET, key))

    def joined(self, event: dict[str, Any], left: Sequence[int]) -> dict[str, Any]:
        """Return what a join finds, with these rows left over, and write them as it does."""
        number = event["shard"]
        count = self.prepared[number].records
        partly = 0 < len(left) < count
        if partly:
            body = b"".join(line(number, row) for row in left)
            self.s3.put(BUCKET, ids.leftovers_key(RUN, event["step"], number), body)
        outcomes = {"succeeded": count - len(left), "missing": len(left), "skipped": self.prepared[number].skipped}
        return {
            "joined": Joined(
                shard=number,
                rows=event["rows"],
                output_key=ids.output_key(RUN, number, "parquet"),
                bytes=1,
                outcomes=outcomes,
                leftovers=len(left),
                input_tokens=1,
                output_tokens=1,
                jobs=len(event["jobs"]),
                leftovers_step=event["step"] if partly else None,
                leftover_bytes=len(left) * 40 if partly else 0,
            ).to_json()
        }

    def job_result(self, one: dict[str, Any], left: Sequence[int] | None = None, status: str = "Completed") -> Any:
        """Return what the child of a job returns, with the join of its shard where it has one."""
        result = {"job_name": one["job_name"], "records": one["records"], "status": status, "message": ""}
        if left is None:
            return result
        return result | self.joined(one["join"] | {"jobs": [result]}, left)


def line(shard: int, row: int) -> bytes:
    body = {"recordId": ids.record_id(shard, row), "modelInput": {"messages": [f"é {row}"]}}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


@pytest.fixture
def bench(aws: None) -> Bench:
    return Bench([150, 150, 40])


# --- Review and gather ---


def test_first_round_has_the_large_shards(bench: Bench) -> None:
    bench.bedrock = Jobs(job("other-1"), job("other-2", "Completed"), job("other-3", model="amazon.nova-pro-v1:0"))
    state = bench.review()
    assert (state["next"], state["rounds"], state["jobs"]) == ("run_jobs", 1, 2)
    first, second = bench.lines(state["jobs_key"])
    assert [first["number"], second["number"]] == [0, 1]
    assert first["request"]["InputDataConfig"]["S3InputDataConfig"]["S3Uri"].endswith("/input/00000.jsonl")
    assert (first["join"]["step"], first["join"]["jobs"]) == (0, [])
    assert "pool" not in first
    assert state["max_concurrent_jobs"] == 20
    again = review_run(bench.s3, bench.bedrock, {key: state[key] for key in bench.planned()})
    assert again == state, "the same input gives the same answer"


@pytest.mark.parametrize(("others", "free"), [(0, 20), (85, 15), (100, 1), (130, 1)])
def test_jobs_of_others_leave_less_room(bench: Bench, others: int, free: int) -> None:
    bench.bedrock = Jobs(*(job(f"other-{number}") for number in range(others)))
    assert bench.review()["max_concurrent_jobs"] == free


def test_jobs_of_the_run_itself_take_no_room(bench: Bench) -> None:
    own = ids.job_name(name="reviews", label="", execution_arn=bench.run.execution_arn, round_=0, number=0)
    bench.bedrock = Jobs(*[job(own)] * 99)
    assert bench.review()["max_concurrent_jobs"] == 20


def test_who_may_not_list_jobs_counts_none(bench: Bench) -> None:
    bench.bedrock = Jobs(error="AccessDeniedException")
    assert bench.review()["max_concurrent_jobs"] == 20
    bench.bedrock = Jobs(error="ThrottlingException")
    with pytest.raises(ClientError):
        bench.review()


def test_leftovers_of_all_shards_are_pooled_then_joined_then_done(bench: Bench) -> None:
    state = bench.review()
    first, second = bench.lines(state["jobs_key"])
    state = bench.gather(state, [bench.job_result(first, range(0, 150, 3)), bench.job_result(second, range(30))])
    assert (state["next"], state["rounds"], state["jobs"]) == ("run_jobs", 2, 3)
    (pooled,) = bench.lines(state["jobs_key"])
    assert pooled["records"] == 50 + 30 + 40
    assert pooled["pool"]["parts"] == [
        {"shard": 0, "start": 0, "stop": 50, "step": 0},
        {"shard": 1, "start": 0, "stop": 30, "step": 0},
        {"shard": 2, "start": 0, "stop": 40, "step": None},
    ]
    assert pool_leftovers(bench.s3, pooled["pool"])["records"] == 120
    written = bench.lines(pooled["pool"]["input_key"])
    assert [one["recordId"] for one in written][:2] == ["00000000000", "00000000003"]
    assert len({one["recordId"] for one in written}) == 120

    state = bench.gather(state, [bench.job_result(pooled, status="PartiallyCompleted")])
    assert state["next"] == "join"
    events = bench.lines(state["joins_key"])
    assert [event["shard"] for event in events] == [0, 1, 2]
    assert [[end["job_name"] for end in event["jobs"]] for event in events] == [
        [first["job_name"], pooled["job_name"]],
        [second["job_name"], pooled["job_name"]],
        [pooled["job_name"]],
    ]
    # A few are left: on demand. Their leftovers lie in the file of this step.
    state = bench.gather(state, [bench.joined(event, range(10)) for event in events])
    assert (state["next"], state["passes"]) == ("answer", 1)
    chunks = bench.lines(state["answers_key"])
    assert [chunk["parts"][0]["step"] for chunk in chunks] == [2, 2, 2]
    state = bench.gather(state, [{"chunk": 0, "records": 30, "failed": 0}])
    assert state["next"] == "join"
    events = bench.lines(state["joins_key"])
    assert events[0]["jobs"][-1]["raw_prefix"] == ids.raw_prefix(RUN, "on-demand-0")
    state = bench.gather(state, [bench.joined(event, ()) for event in events])
    assert state["next"] == "finish"

    ended = finish_run(bench.s3, state)
    assert ended["jobs"] == 3
    report = bench.s3.get_json(BUCKET, ids.report_key(RUN))
    assert report["rounds"] == [
        {"jobs": {"Completed": 2}, "records": 300},
        {"jobs": {"PartiallyCompleted": 1}, "records": 120},
    ]
    assert report["on_demand"] == [{"records": 30, "failed": 0, "lost_chunks": 0}]
    assert report["outcomes"]["succeeded"] == 340
    assert [one["job_name"] for one in report["failed_jobs"]] == [pooled["job_name"]]


def test_a_lost_chunk_is_told_to_its_rows(aws: None) -> None:
    bench = Bench([30])
    state = bench.review()
    assert state["next"] == "answer"
    state = bench.gather(state, [{"chunk": 0, "error": "Sandbox.Timedout", "cause": "late"}])
    (event,) = bench.lines(state["joins_key"])
    assert (event["jobs"][0]["status"], event["jobs"][0]["message"]) == ("Failed", "Sandbox.Timedout: late")
    state = bench.gather(state, [bench.joined(event, range(30))])
    assert state["next"] == "finish", "on demand once"
    with pytest.raises(TooManyFailures):
        finish_run(bench.s3, state)
    assert bench.s3.get_json(BUCKET, ids.report_key(RUN))["on_demand"][0]["lost_chunks"] == 1


def test_shards_whose_rows_were_all_skipped_are_joined_at_the_end(aws: None) -> None:
    bench = Bench([100, 0])
    state = bench.review()
    (only,) = bench.lines(state["jobs_key"])
    state = bench.gather(state, [bench.job_result(only, ())])
    assert state["next"] == "join"
    (event,) = bench.lines(state["joins_key"])
    assert (event["shard"], event["jobs"], event["skipped_key"]) == (1, [], f"runs/{RUN}/skipped/00001.jsonl")


def test_a_join_that_failed_in_its_child_is_done_again(bench: Bench) -> None:
    state = bench.review()
    first, second = bench.lines(state["jobs_key"])
    state = bench.gather(state, [bench.job_result(first), bench.job_result(second, ())])
    assert state["next"] == "join"
    assert [event["shard"] for event in bench.lines(state["joins_key"])] == [0]


def test_a_canary_goes_first_and_stops_a_run_that_would_fail(aws: None) -> None:
    limits = make_run().limits | {"canary_records": 20, "tolerated_failure_percentage": 10}
    bench = Bench([20, 150], canary=True, limits=limits)
    state = bench.review()
    assert (state["next"], state["passes"], state["rounds"]) == ("answer", 1, 0)
    chunks = bench.lines(state["answers_key"])
    assert {part["shard"] for chunk in chunks for part in chunk["parts"]} == {0}
    state = bench.gather(state, [{"chunk": 0, "records": 20, "failed": 0}])
    (event,) = bench.lines(state["joins_key"])
    good = bench.gather(state, [bench.joined(event, ())])
    assert (good["next"], good["rounds"]) == ("run_jobs", 1)
    assert [one["join"]["shard"] for one in bench.lines(good["jobs_key"])] == [1]
    bad = bench.joined(event, ())
    bad["joined"]["outcomes"] = {"succeeded": 17, "failed": 3}
    with pytest.raises(CanaryFailed):
        bench.gather(state, [bad])


# --- A run that was stopped ---


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


def test_nothing_is_salvaged_where_nothing_was_sent(bench: Bench) -> None:
    assert stopped(bench)["next"] == "end"
    bench.client.delete_object(Bucket=BUCKET, Key=ids.run_key(RUN))
    assert stopped(bench)["next"] == "end", "a run that failed in its plan"


def test_a_run_that_wrote_its_report_is_left_alone(bench: Bench) -> None:
    bench.review()
    bench.s3.put_json(BUCKET, ids.report_key(RUN), {"rows": 340})
    assert stopped(bench)["next"] == "end"


def test_a_canary_alone_is_not_salvaged(aws: None) -> None:
    bench = Bench([20, 150], canary=True)
    assert bench.review()["next"] == "answer"
    assert stopped(bench)["next"] == "end"


def test_handler_tells_a_stopped_run_by_its_event(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bedrock_batch.adapters.clients.client", lambda name: bench.bedrock)
    event = {"salvage": True, "run_id": RUN, "bucket": BUCKET, "status": "FAILED"}
    monkeypatch.setattr("bedrock_batch.adapters.clients.s3", lambda: bench.client)
    assert gather_handler(event, None)["status"] == "FAILED"


# --- Pooling ---


def test_pooling_twice_writes_the_same_bytes(bench: Bench) -> None:
    event = {
        "bucket": BUCKET,
        "run_key": ids.run_key(RUN),
        "input_key": ids.pooled_key(RUN, 1, 0),
        "parts": [
            {"shard": 2, "start": 10, "stop": 20, "step": None},
            {"shard": 0, "start": 0, "stop": 5, "step": None},
        ],
    }
    assert pool_leftovers(bench.s3, event)["records"] == 15
    once = bench.s3.read(BUCKET, event["input_key"])
    assert once == b"".join([*(line(2, row) for row in range(10, 20)), *(line(0, row) for row in range(5))])
    pool_leftovers(bench.s3, event)
    assert bench.s3.read(BUCKET, event["input_key"]) == once


def test_a_leftovers_file_that_is_too_short_is_named(bench: Bench) -> None:
    event = {
        "bucket": BUCKET,
        "run_key": ids.run_key(RUN),
        "input_key": ids.pooled_key(RUN, 1, 0),
        "parts": [{"shard": 2, "start": 0, "stop": 41, "step": None}],
    }
    with pytest.raises(PoolIncomplete, match=r"input/00002.jsonl ends before line 41"):
        pool_leftovers(bench.s3, event)


def test_a_pooled_file_over_the_quota_is_refused(aws: None) -> None:
    bench = Bench([150], quotas=make_run().quotas | {"max_file_bytes": 1000})
    part = {"shard": 0, "start": 0, "stop": 150, "step": None}
    event = {
        "bucket": BUCKET,
        "run_key": ids.run_key(RUN),
        "input_key": "runs/monday/input/r1-0.jsonl",
        "parts": [part],
    }
    with pytest.raises(TooLarge):
        pool_leftovers(bench.s3, event)
    assert next(iter(bench.s3.list(BUCKET, event["input_key"])), None) is None


# --- On demand ---


class Model:
    """A model on demand that answers, or raises what it is told for a record."""

    def __init__(self, **trouble: Exception) -> None:
        self.trouble = trouble
        self.calls: list[dict[str, Any]] = []

    def _called(self, arguments: dict[str, Any], text: str) -> None:
        self.calls.append(arguments)
        for word, error in self.trouble.items():
            if word in text:
                raise error

    def converse(self, **arguments: Any) -> dict[str, Any]:
        self._called(arguments, json.dumps(arguments, ensure_ascii=False).replace(" ", ""))
        content = [{"text": "good"}, {"reasoningContent": {"redactedContent": b"\x00\x01"}}]
        return {"output": {"message": {"content": content}}, "stopReason": "end_turn", "ResponseMetadata": {"x": 1}}

    def invoke_model(self, *, modelId: str, body: bytes) -> dict[str, Any]:
        self._called({"modelId": modelId, "body": json.loads(body)}, body.decode())
        answer = b'{"embedding": [1.0]}'
        return {"body": StreamingBody(io.BytesIO(answer), len(answer))}


def refusal(code: str, status: int) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "on purpose"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Converse")


def chunk(stop: int = 5) -> dict[str, Any]:
    return {
        "bucket": BUCKET,
        "run_key": ids.run_key(RUN),
        "chunk": 7,
        "parts": [{"shard": 2, "start": 0, "stop": stop, "step": None}],
        "raw_key": ids.on_demand_key(RUN, 0, 7),
    }


def test_answers_are_in_the_format_of_a_batch(bench: Bench) -> None:
    model = Model()
    assert answer_on_demand(bench.s3, model, chunk()) == {"chunk": 7, "records": 5, "failed": 0}
    assert model.calls[0] == {"modelId": "amazon.nova-lite-v1:0", "messages": ["é 0"]}
    first = bench.lines(chunk()["raw_key"])[0]
    assert first["recordId"] == "00002000000"
    assert first["modelInput"] == {"messages": ["é 0"]}
    assert first["modelOutput"]["stopReason"] == "end_turn"
    assert first["modelOutput"]["output"]["message"]["content"][1]["reasoningContent"]["redactedContent"] == "AAE="
    assert "ResponseMetadata" not in first["modelOutput"]


def test_embeddings_are_invoked(aws: None) -> None:
    bench = Bench([0, 0, 40], invocation_type="InvokeModel", model_id="amazon.titan-embed-text-v2:0")
    model = Model()
    answer_on_demand(bench.s3, model, chunk(1))
    assert model.calls == [{"modelId": "amazon.titan-embed-text-v2:0", "body": {"messages": ["é 0"]}}]
    assert bench.lines(chunk()["raw_key"])[0]["modelOutput"] == {"embedding": [1.0]}


def test_what_was_answered_is_not_asked_again(bench: Bench) -> None:
    died = Model(é3=RuntimeError("the function's time was over"))
    with pytest.raises(RuntimeError):
        answer_on_demand(bench.s3, died, chunk())
    assert len(bench.lines(chunk()["raw_key"])) == 3
    again = Model()
    assert answer_on_demand(bench.s3, again, chunk())["records"] == 5
    assert [call["messages"] for call in again.calls] == [["é 3"], ["é 4"]]
    nothing = Model()
    answer_on_demand(bench.s3, nothing, chunk())
    assert nothing.calls == []
    assert [one["recordId"][-1] for one in bench.lines(chunk()["raw_key"])] == list("01234")


def test_a_refused_record_does_not_hold_up_the_others(bench: Bench) -> None:
    model = Model(
        é1=refusal("ThrottlingException", 429),
        é2=refusal("ValidationException", 400),
        é3=ReadTimeoutError(endpoint_url="https://bedrock"),
        é4=ParamValidationError(report="no such member"),
    )
    assert answer_on_demand(bench.s3, model, chunk())["failed"] == 4
    codes = [one.get("error", {}).get("errorCode") for one in bench.lines(chunk()["raw_key"])]
    assert codes == [None, 429, 400, 408, 400]

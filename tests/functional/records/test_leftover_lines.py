"""Pool leftovers and Answer on demand on S3: the records of parts, to a job's input or to the model one by one."""

import io
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError, ReadTimeoutError
from botocore.response import StreamingBody

from bedrock_batch import keys
from bedrock_batch.errors import ChunkTaken, PoolIncomplete, TooLarge
from bedrock_batch.handlers.answer_on_demand import answer_on_demand
from bedrock_batch.handlers.pool_leftovers import pool_leftovers
from tests.conftest import BUCKET
from tests.functional.played import RUN, Bench, line
from tests.unit.factories import make_run


@pytest.fixture
def bench(aws: None) -> Bench:
    return Bench([150, 150, 40])


# --- Pooling ---


def test_pooling_twice_writes_the_same_bytes(bench: Bench) -> None:
    event = {
        "bucket": BUCKET,
        "run_key": keys.run_key(RUN),
        "input_key": keys.pooled_key(RUN, 1, 0),
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
        "run_key": keys.run_key(RUN),
        "input_key": keys.pooled_key(RUN, 1, 0),
        "parts": [{"shard": 2, "start": 0, "stop": 41, "step": None}],
    }
    with pytest.raises(PoolIncomplete, match=r"input/00002.jsonl ends before line 41"):
        pool_leftovers(bench.s3, event)


def test_a_pooled_file_over_the_quota_is_refused(aws: None) -> None:
    bench = Bench([150], quotas=make_run().quotas | {"max_file_bytes": 1000})
    part = {"shard": 0, "start": 0, "stop": 150, "step": None}
    event = {
        "bucket": BUCKET,
        "run_key": keys.run_key(RUN),
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
        "run_key": keys.run_key(RUN),
        "chunk": 7,
        "parts": [{"shard": 2, "start": 0, "stop": stop, "step": None}],
        "raw_key": keys.on_demand_key(RUN, 0, 7),
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


@pytest.mark.parametrize("invocation_type", ["Converse", "InvokeModel"])
def test_half_a_surrogate_pair_goes_through(aws: None, invocation_type: str) -> None:
    """JSON may hold one, in a ready-made record or in an answer that was cut; UTF-8 may not."""
    bench = Bench([0, 0, 1], invocation_type=invocation_type)
    bench.s3.put(
        BUCKET, keys.input_key(RUN, 2), b'{"recordId":"00002000000","modelInput":{"messages":["cut \\ud83d"]}}\n'
    )
    assert answer_on_demand(bench.s3, Model(), chunk(1)) == {"chunk": 7, "records": 1, "failed": 0}
    assert bench.lines(chunk()["raw_key"])[0]["modelInput"] == {"messages": ["cut \ud83d"]}


@pytest.mark.parametrize(
    "answer",
    [b"", b"\xff", b'{"a": ' + b"9" * 5000 + b"}", b'{"a": ' + b"[" * 99_999 + b"]" * 99_999 + b"}", b"[" * 100_000],
)
def test_an_answer_that_cannot_be_read_costs_its_record_alone(aws: None, answer: bytes) -> None:
    class Hostile(Model):
        def invoke_model(self, *, modelId: str, body: bytes) -> dict[str, Any]:
            return {"body": StreamingBody(io.BytesIO(answer), len(answer))}

    bench = Bench([0, 0, 5], invocation_type="InvokeModel")
    assert answer_on_demand(bench.s3, Hostile(), chunk()) == {"chunk": 7, "records": 5, "failed": 5}
    assert {one["error"]["errorCode"] for one in bench.lines(chunk()["raw_key"])} == {"Unparseable"}


def test_of_two_calls_for_one_chunk_the_second_to_write_stops(bench: Bench) -> None:
    class Slow(Model):
        """A model that is still answering for the stopped run when its redrive answers the same record."""

        def converse(self, **arguments: Any) -> dict[str, Any]:
            if not self.calls:
                answer_on_demand(bench.s3, redriven, chunk(1))
            return super().converse(**arguments)

    redriven, late = Model(), Slow()
    with pytest.raises(ChunkTaken, match=r"raw/on-demand-0/00007.jsonl.out"):
        answer_on_demand(bench.s3, late, chunk())
    assert len(late.calls) == 1, "it stops at once"
    assert [one["recordId"][-1] for one in bench.lines(chunk()["raw_key"])] == ["0"], "what is there stays"
    again = Model()
    assert answer_on_demand(bench.s3, again, chunk())["records"] == 5
    assert len(again.calls) == 4

"""Answer on demand on S3: a chunk of records to the model one by one, and their answers."""

import io
import json
import logging
from typing import Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError, ReadTimeoutError
from botocore.response import StreamingBody

from bedrock_batch.answers.raw_outputs import RawOutputs
from bedrock_batch.contracts.lines import Chunk, JobEnd, LeftoverLines
from bedrock_batch.contracts.results import ChunkAnswered
from bedrock_batch.errors import ChunkTaken, InputChanged
from bedrock_batch.run.answer_on_demand import answer_on_demand
from tests.conftest import BUCKET
from tests.functional.played import RUN, Bench
from tests.unit.factories import keys_of


@pytest.fixture
def bench(aws: None) -> Bench:
    return Bench([150, 150, 40])


class Model:
    """A model on demand that answers, or raises the error that a test gives for a record."""

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


def chunk(stop: int = 5) -> Chunk:
    return Chunk(
        BUCKET,
        keys_of(RUN).run(),
        7,
        [LeftoverLines(2, 0, stop)],
        keys_of(RUN).on_demand(0, 7),
    )


def test_answers_are_in_the_format_of_a_batch(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    model = Model()
    with caplog.at_level(logging.INFO):
        assert answer_on_demand(bench.s3, model, chunk()) == ChunkAnswered(7, 5, 0)
    (entry,) = [record.__dict__ for record in caplog.records if record.message == "answered"]
    assert (entry["run_id"], entry["job_name"], entry["chunk"], entry["failed"]) == (RUN, "on-demand-0", 7, 0)
    assert model.calls[0] == {"modelId": "amazon.nova-lite-v1:0", "messages": ["é 0"]}
    first = bench.lines(chunk().raw_key)[0]
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
    assert bench.lines(chunk().raw_key)[0]["modelOutput"] == {"embedding": [1.0]}


def test_what_was_answered_is_not_asked_again(bench: Bench) -> None:
    died = Model(é3=RuntimeError("the function's time was over"))
    with pytest.raises(RuntimeError):
        answer_on_demand(bench.s3, died, chunk())
    assert len(bench.lines(chunk().raw_key)) == 3
    again = Model()
    assert answer_on_demand(bench.s3, again, chunk()).records == 5
    assert [call["messages"] for call in again.calls] == [["é 3"], ["é 4"]]
    nothing = Model()
    answer_on_demand(bench.s3, nothing, chunk())
    assert nothing.calls == []
    assert [one["recordId"][-1] for one in bench.lines(chunk().raw_key)] == list("01234")


def test_a_refused_record_does_not_hold_up_the_others(bench: Bench) -> None:
    model = Model(
        é1=refusal("ThrottlingException", 429),
        é2=refusal("ValidationException", 400),
        é3=ReadTimeoutError(endpoint_url="https://bedrock"),
        é4=ParamValidationError(report="no such member"),
    )
    assert answer_on_demand(bench.s3, model, chunk()).failed == 4
    codes = [one.get("error", {}).get("errorCode") for one in bench.lines(chunk().raw_key)]
    assert codes == [None, 429, 400, 408, 400]


@pytest.mark.parametrize("invocation_type", ["Converse", "InvokeModel"])
def test_half_a_surrogate_pair_goes_through(aws: None, invocation_type: str) -> None:
    """JSON may have half a surrogate pair, in a ready-made record or in a cut answer, but UTF-8 may not."""
    bench = Bench([0, 0, 1], invocation_type=invocation_type)
    bench.s3.put(
        BUCKET,
        keys_of(RUN).input(2),
        b'{"recordId":"00002000000","modelInput":{"messages":["cut \\ud83d"]}}\n',
    )
    assert answer_on_demand(bench.s3, Model(), chunk(1)) == ChunkAnswered(7, 1, 0)
    assert bench.lines(chunk().raw_key)[0]["modelInput"] == {"messages": ["cut \ud83d"]}


@pytest.mark.parametrize(
    "answer",
    [b"", b"\xff", b'{"a": ' + b"9" * 5000 + b"}", b'{"a": ' + b"[" * 99_999 + b"]" * 99_999 + b"}", b"[" * 100_000],
)
def test_an_answer_that_cannot_be_read_costs_its_record_alone(aws: None, answer: bytes) -> None:
    class Hostile(Model):
        def invoke_model(self, *, modelId: str, body: bytes) -> dict[str, Any]:
            return {"body": StreamingBody(io.BytesIO(answer), len(answer))}

    bench = Bench([0, 0, 5], invocation_type="InvokeModel")
    assert answer_on_demand(bench.s3, Hostile(), chunk()) == ChunkAnswered(7, 5, 5)
    assert {one["error"]["errorCode"] for one in bench.lines(chunk().raw_key)} == {"Unparseable"}


def test_a_file_that_another_call_writes_while_it_is_read_is_taken(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ETag changes between two requests of the read. The state machine then calls again."""
    answer_on_demand(bench.s3, Model(), chunk(1))
    head = bench.s3.head

    def headed(bucket: str, key: str) -> Any:
        found = head(bucket, key)
        if key == chunk().raw_key:
            monkeypatch.undo()
            answer_on_demand(bench.s3, Model(), chunk(2))
        return found

    monkeypatch.setattr(bench.s3, "head", headed)
    late = Model()
    with pytest.raises(ChunkTaken, match=r"raw/on-demand-0/00007.jsonl.out"):
        answer_on_demand(bench.s3, late, chunk())
    assert late.calls == [], "nothing is paid"


@pytest.mark.parametrize(("job_name", "error"), [("on-demand-0", ChunkTaken), ("job-0", InputChanged)])
def test_a_join_beside_a_call_is_tried_again(bench: Bench, job_name: str, error: type[Exception]) -> None:
    """A call may outlive its run, and stop-run joins then. Outputs of jobs have ended, so they do not change."""
    prefix = f"{keys_of(RUN).raw_folder}{job_name}/"
    line = {"recordId": "00002000000", "modelInput": {}, "modelOutput": {}}
    bench.s3.put_json(BUCKET, f"{prefix}00007.jsonl.out", line)
    outputs = RawOutputs(bench.s3, bench.run, [JobEnd(job_name, "Completed", prefix)])
    bench.s3.put_json(BUCKET, f"{prefix}00007.jsonl.out", line | {"recordId": "00002000001"})
    with pytest.raises(error, match=r"00007.jsonl.out"):
        list(outputs.of(0))


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
    assert [one["recordId"][-1] for one in bench.lines(chunk().raw_key)] == ["0"], "what is there stays"
    again = Model()
    assert answer_on_demand(bench.s3, again, chunk()).records == 5
    assert len(again.calls) == 4

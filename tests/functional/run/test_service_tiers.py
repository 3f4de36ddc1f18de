"""Answers on demand at a service tier: the requested tier, the tier in the raw line, and waits for capacity."""

import json
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError
from botocore.stub import Stubber

from bedrock_batch.contracts.results import ChunkAnswered
from bedrock_batch.handlers.answer_on_demand import handler
from bedrock_batch.run import answer_on_demand as module
from bedrock_batch.run import invoke
from bedrock_batch.run.answer_on_demand import answer_on_demand
from tests.conftest import BUCKET
from tests.functional.played import RUN, Bench
from tests.functional.run.test_answer_on_demand import Model, chunk
from tests.unit.factories import keys_of, make_run

INVALID = "service tier provided is invalid"


def refusal(status: int, message: str, code: str = "ValidationException") -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Converse")


class Tiered(Model):
    """A model whose answer has the requested tier. From the call number `refused` on, it refuses the tier."""

    def __init__(self, *, names: str | None = None, refused: Exception | None = None, start: int = 0) -> None:
        super().__init__()
        self.names, self.refused, self.start = names, refused, start
        self.tiers: list[str | None] = []

    def _told(self, asked: str | None) -> str | None:
        self.tiers.append(asked)
        if asked and self.refused and len(self.tiers) > self.start:
            raise self.refused
        return self.names or asked

    def converse(self, *, serviceTier: Any = None, **arguments: Any) -> dict[str, Any]:
        told = self._told(serviceTier and serviceTier["type"])
        answer = super().converse(**arguments)
        return answer | ({"serviceTier": {"type": told}} if told else {})

    def invoke_model(self, *, modelId: str, body: bytes, serviceTier: str | None = None) -> dict[str, Any]:
        told = self._told(serviceTier)
        answer = super().invoke_model(modelId=modelId, body=body)
        return answer | ({"serviceTier": told} if told else {})


def bench_of(tier: str, **changes: Any) -> Bench:
    return Bench([0, 0, 40], limits=make_run().limits | {"on_demand_tier": tier}, **changes)


def tiers_of(bench: Bench) -> list[str | None]:
    return [line.get("serviceTier") for line in bench.lines(chunk().raw_key)]


@pytest.mark.parametrize("invocation_type", ["Converse", "InvokeModel"])
def test_the_tier_is_asked_for_and_stands_beside_the_answer(aws: None, invocation_type: str) -> None:
    bench, model = bench_of("flex", invocation_type=invocation_type), Tiered()
    assert answer_on_demand(bench.s3, model, chunk(3)) == ChunkAnswered(7, 3, 0)
    assert model.tiers == tiers_of(bench) == ["flex"] * 3
    first = bench.lines(chunk().raw_key)[0]
    assert list(first) == ["recordId", "modelInput", "modelOutput", "serviceTier"]
    assert "serviceTier" not in first["modelOutput"]


@pytest.mark.parametrize("invocation_type", ["Converse", "InvokeModel"])
def test_without_a_tier_the_request_is_as_before(aws: None, invocation_type: str) -> None:
    bench, model = bench_of("default", invocation_type=invocation_type), Tiered()
    answer_on_demand(bench.s3, model, chunk(2))
    assert model.tiers == [None, None]
    assert "serviceTier" not in bench.lines(chunk().raw_key)[0]


@pytest.mark.parametrize(
    "error",
    [
        refusal(400, INVALID),
        refusal(400, "The flex tier is not available for this model in this Region."),
        refusal(403, "not authorized because of the condition bedrock:ServiceTier", "AccessDeniedException"),
        ParamValidationError(report='Unknown parameter in input: "serviceTier", must be one of: modelId, messages'),
        ParamValidationError(
            report='Unknown parameter in input: "serviceTier", must be one of: modelId\nInvalid type for parameter '
            "messages[0], value: the secret text of a row, type: <class 'str'>, valid types: <class 'dict'>"
        ),
    ],
    ids=["invalid", "model", "policy", "sdk", "sdk-with-text"],
)
def test_a_refused_tier_is_left_for_the_rest_of_the_chunk(
    aws: None, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    bench, model = bench_of("flex"), Tiered(refused=error, start=2)
    assert answer_on_demand(bench.s3, model, chunk()) == ChunkAnswered(7, 5, 0)
    assert model.tiers == ["flex", "flex", "flex", None, None, None], "the third call is repeated, the others follow"
    assert tiers_of(bench) == ["flex", "flex", None, None, None]
    assert len(model.calls) == 5, "none is answered twice"
    (entry,) = [record.__dict__ for record in caplog.records if record.message == "tier refused"]
    assert entry["run_id"] == "monday" and "tier" in entry["why"].lower() and "secret" not in entry["why"]


def test_another_refusal_does_not_leave_the_tier(aws: None) -> None:
    bench, model = bench_of("flex"), Tiered(refused=refusal(400, "messages: field required"))
    assert answer_on_demand(bench.s3, model, chunk(3)).failed == 3
    assert model.tiers == ["flex"] * 3


@pytest.mark.parametrize(("names", "told"), [("default", "default"), ("priority", "priority")])
def test_the_answer_says_which_tier_it_was(aws: None, names: str, told: str) -> None:
    bench = bench_of("flex")
    answer_on_demand(bench.s3, Tiered(names=names), chunk(2))
    assert tiers_of(bench) == [told, told]


class Clock:
    """A clock that advances only in sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.pauses = 0.0, list[float]()
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(module.time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.mark.parametrize("status", [429, 503])
def test_a_throttled_flex_call_waits_and_keeps_its_tier(
    aws: None, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    class Busy(Tiered):
        def _told(self, asked: str | None) -> str | None:
            told = super()._told(asked)
            if len(self.tiers) < 4:
                raise refusal(status, "the flex tier has no capacity", "ThrottlingException")
            return told

    clock, bench, model = Clock(monkeypatch), bench_of("flex"), Busy()
    assert answer_on_demand(bench.s3, model, chunk(2), seconds=900).failed == 0
    assert (model.tiers, clock.pauses) == (["flex"] * 5, [5, 10, 20])
    assert tiers_of(bench) == ["flex", "flex"]


def test_a_call_that_waited_in_vain_leaves_its_record(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, bench = Clock(monkeypatch), bench_of("flex")
    model = Tiered(refused=refusal(429, "no capacity", "ThrottlingException"))
    assert answer_on_demand(bench.s3, model, chunk(3), seconds=900).failed == 3
    assert set(model.tiers) == {"flex"}, "never the dearer tier"
    assert 540 <= clock.now <= 600, "the rest of the function's time is for the other records"
    assert [line["error"]["errorCode"] for line in bench.lines(chunk().raw_key)] == [429] * 3
    again = Tiered()
    answer_on_demand(bench.s3, again, chunk(3))
    assert again.tiers == [], "the function called again asks nothing twice"


def test_the_default_tier_does_not_wait(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, bench = Clock(monkeypatch), bench_of("default")
    model = Model(é=refusal(429, "slow down", "ThrottlingException"))
    assert answer_on_demand(bench.s3, model, chunk(2), seconds=900).failed == 2
    assert clock.pauses == []


def test_the_handler_says_how_much_time_there_is(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    class Context:
        def get_remaining_time_in_millis(self) -> int:
            return 400_000

    clock, bench = Clock(monkeypatch), bench_of("flex")
    model = Tiered(refused=refusal(429, "no capacity", "ThrottlingException"))
    monkeypatch.setattr("bedrock_batch.aws.clients.s3", lambda: bench.client)
    monkeypatch.setattr("bedrock_batch.aws.clients.client", lambda name: model)
    handler(chunk(1).to_json(), Context())
    assert sum(clock.pauses) == 75, "the next pause would go beyond 100 seconds"


@pytest.mark.parametrize(
    ("invocation_type", "body"),
    [("Converse", {"serviceTier": {"type": "priority"}}), ("InvokeModel", {"service_tier": "default"})],
)
def test_a_record_that_asks_for_a_tier_itself_keeps_it(aws: None, invocation_type: Any, body: dict[str, Any]) -> None:
    model = Tiered()
    record = {"recordId": "00000000000", "modelInput": body}
    invoke.answer(model, record, model_id="m", invocation_type=invocation_type, tier="flex")
    assert model.tiers == ["priority" if invocation_type == "Converse" else None]


def test_the_sdk_that_ships_knows_the_tier(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    client = boto3.client("bedrock-runtime", region_name="us-east-1", config=Config(proxies={}))
    body = {"messages": [{"role": "user", "content": [{"text": "x"}]}]}
    answer: Any = {
        "output": {"message": {"role": "assistant", "content": [{"text": "y"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
        "metrics": {"latencyMs": 1},
        "serviceTier": {"type": "flex"},
    }
    record = {"recordId": "00000000000", "modelInput": body}
    with Stubber(client) as stub:
        stub.add_response("converse", answer, {"modelId": "nova", "serviceTier": {"type": "flex"}, **body})
        line = invoke.answer(client, record, model_id="nova", invocation_type="Converse", tier="flex")
    assert line["serviceTier"] == "flex"
    with Stubber(client) as stub:
        stub.add_client_error("converse", "ValidationException", INVALID, http_status_code=400)
        with pytest.raises(invoke.TierRefused, match=INVALID):
            invoke.answer(client, record, model_id="nova", invocation_type="Converse", tier="flex")


def test_a_chunk_goes_on_where_it_was_with_the_tiers_it_had(aws: None) -> None:
    bench = bench_of("flex")
    answer_on_demand(bench.s3, Tiered(), chunk(2))
    answer_on_demand(bench.s3, Tiered(refused=refusal(400, INVALID)), chunk(4))
    assert tiers_of(bench) == ["flex", "flex", None, None]
    assert [
        json.loads(line)["recordId"][-1] for line in bench.s3.raw_lines(BUCKET, keys_of(RUN).on_demand(0, 7))
    ] == list("0123")

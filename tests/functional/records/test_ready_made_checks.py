"""Ready-made records are checked before the spend: Bedrock checks bodies only after it has accepted the job."""

import json
from typing import Any

import pytest

from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import PlannedShard
from bedrock_batch.errors import BedrockBatchError, InvalidRunInput, UnsupportedRequest
from bedrock_batch.models import catalogue
from bedrock_batch.plan.plan_run import plan_run
from bedrock_batch.records.body_check import BodyCheck
from bedrock_batch.records.prepare_shard import prepare_shard
from tests.conftest import BUCKET
from tests.functional.planned import ServiceQuotas
from tests.functional.tables import put
from tests.unit.factories import HAIKU, claimed, keys_of, settings

TITAN, IMAGE, NOVA = "amazon.titan-embed-text-v2:0", "amazon.titan-embed-image-v1", "amazon.nova-lite-v1:0"
NOVA_EMBEDDINGS, LLAMA = "amazon.nova-2-multimodal-embeddings-v1:0", "meta.llama3-1-8b-instruct-v1:0"
GPT_OSS, QWEN = "openai.gpt-oss-20b-1:0", "qwen.qwen3-32b-v1:0"
MODELS = [HAIKU, TITAN, IMAGE, NOVA, NOVA_EMBEDDINGS, LLAMA, GPT_OSS, QWEN]
INVOKE = {"invocation_type": "InvokeModel"}

# The sample record of AWS's documentation.
SAMPLE = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 1024,
    "messages": [{"role": "user", "content": [{"type": "text", "text": "Summarize the following call transcript: …"}]}],
}
CONVERSE = {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}
CHAT = {"messages": [{"role": "user", "content": "Hello"}]}


def without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}


def plan(s3: S3, model_id: str, bodies: list[Any], **given: Any) -> dict[str, Any]:
    """Plan records of these bodies, and return the run."""
    lines = "".join(
        json.dumps({"recordId": str(number), "modelInput": body}) + "\n" for number, body in enumerate(bodies)
    )
    state = plan_run(
        s3,
        ServiceQuotas(),
        claimed("monday", BUCKET),
        settings=settings(*MODELS),
        input={
            "s3_uri": put("in/r.jsonl", lines.encode()),
            "model_id": model_id,
            "input": {"format": "bedrock_jsonl"},
            **given,
        },
    )
    run: dict[str, Any] = s3.get_json(BUCKET, state.keys.run())
    return run


def prepare(s3: S3) -> None:
    for line in list(s3.lines(BUCKET, keys_of().plan)):
        prepare_shard(s3, PlannedShard.from_json(line))


@pytest.mark.parametrize(
    ("model_id", "body", "given", "words"),
    [
        pytest.param(HAIKU, SAMPLE, {}, 'set "invocation_type" to "InvokeModel"', id="AWS's sample through Converse"),
        pytest.param(HAIKU, without(SAMPLE, "max_tokens"), INVOKE, "/max_tokens is missing", id="no max_tokens"),
        pytest.param(HAIKU, without(SAMPLE, "anthropic_version"), INVOKE, "_version is missing", id="no version"),
        pytest.param(
            HAIKU,
            CONVERSE | {"inferenceConfig": {}},
            INVOKE,
            'Set "invocation_type" to "Converse"',
            id="Converse",
        ),
        pytest.param(HAIKU, CHAT, {}, "list of blocks", id="content that is a text"),
        pytest.param(HAIKU, {"messages": SAMPLE["messages"]}, {}, "block has no type", id="blocks of another kind"),
        pytest.param(HAIKU, SAMPLE | {"max_tokens": 64_001}, INVOKE, "more than 64000 tokens", id="too many tokens"),
        pytest.param(HAIKU, SAMPLE | {"top_p": 1, "temperature": 0}, INVOKE, "Remove one of them", id="two parameters"),
        pytest.param(HAIKU, {"inputText": "x"}, INVOKE, "/anthropic_version is missing", id="embeddings to Claude"),
        pytest.param(NOVA, {"inputText": "x"}, {}, "/inputText with", id="embeddings through Converse"),
        pytest.param(NOVA, {"inputText": "x"}, INVOKE, "/messages is missing", id="embeddings to Nova"),
        pytest.param(NOVA, CHAT, INVOKE, "list of blocks", id="chat to Nova"),
        pytest.param(NOVA, CONVERSE | {"toolConfig": {"tools": []}}, {}, "InvokeModel", id="tools through Converse"),
        pytest.param(LLAMA, CHAT, INVOKE, "Llama's own body", id="chat to Llama"),
        pytest.param(LLAMA, {"inputText": "x"}, INVOKE, "Llama's own body", id="embeddings to Llama"),
        pytest.param(LLAMA, {"prompt": "x", "tools": [{}]}, INVOKE, r"response\.tool_input", id="tools to Llama"),
        pytest.param(GPT_OSS, {"prompt": "x"}, INVOKE, "/messages is missing", id="a prompt to gpt-oss"),
        pytest.param(QWEN, CONVERSE | {"inferenceConfig": {}}, INVOKE, "body of Converse", id="Converse's to Qwen"),
        pytest.param(TITAN, CHAT, {}, "a model that answers with text", id="chat to Titan"),
        pytest.param(TITAN, {"inputTexts": ["x"]}, {}, "/inputText is missing", id="a typing mistake"),
        pytest.param(TITAN, {"inputText": "x", "embeddingTypes": ["binary"]}, {}, 'Add "float"', id="binary alone"),
        pytest.param(NOVA_EMBEDDINGS, {"inputText": "x"}, {}, "/taskType is missing", id="Titan's body to Nova"),
    ],
)
def test_bodies_of_another_kind_are_refused_when_the_run_is_planned(
    s3: S3, model_id: str, body: dict[str, Any], given: dict[str, Any], words: str
) -> None:
    with pytest.raises(UnsupportedRequest, match=rf"^The record in row 1 of the table \(.*{words}"):
        plan(s3, model_id, [body] * 3, **given)
    assert list(s3.list(BUCKET, "reviews/")) == []


@pytest.mark.parametrize(
    ("model_id", "body", "given"),
    [
        (HAIKU, SAMPLE, INVOKE),
        (HAIKU, SAMPLE | {"tools": [{"name": "f"}], "tool_choice": {"type": "any"}}, INVOKE),
        (HAIKU, CONVERSE, {}),
        (NOVA, CONVERSE | {"schemaVersion": "messages-v1"}, INVOKE),
        (QWEN, CHAT | {"max_tokens": 9}, INVOKE),
        (GPT_OSS, CHAT, INVOKE),
        (LLAMA, {"prompt": "x", "max_gen_len": 9}, INVOKE),
        (IMAGE, {"inputImage": "aGk="}, {}),
        (TITAN, {"inputText": "x", "embeddingTypes": ["float", "binary"]}, {}),
    ],
)
def test_bodies_of_the_right_kind_are_sent(s3: S3, model_id: str, body: dict[str, Any], given: dict[str, Any]) -> None:
    plan(s3, model_id, [body] * 3, **given)
    prepare(s3)
    assert len(list(s3.lines(BUCKET, keys_of().input(0)))) == 3


def test_doubts_are_warnings(s3: S3) -> None:
    (warning,) = plan(s3, HAIKU, [CONVERSE | {"guardrailConfig": {}}] * 3)["warnings"]
    assert "guardrails are not documented" in warning


def test_tools_of_ready_made_records_are_read(s3: S3) -> None:
    assert plan(s3, HAIKU, [SAMPLE] * 3, **INVOKE)["response"]["tool_input"] == "content[].input"


@pytest.mark.parametrize(
    ("model_id", "body", "dimensions"),
    [
        (TITAN, {"inputText": "x", "dimensions": 256}, 256),
        (TITAN, {"inputText": "x", "dimensions": 256.0}, 256),
        (TITAN, {"inputText": "x"}, 1024),
        (IMAGE, {"inputText": "x", "embeddingConfig": {"outputEmbeddingLength": 384}}, 384),
        (
            NOVA_EMBEDDINGS,
            {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {"embeddingDimension": 256}},
            256,
        ),
        (NOVA_EMBEDDINGS, {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {}}, 3072),
    ],
)
def test_the_table_has_vectors_as_long_as_the_records_ask_for(
    s3: S3, model_id: str, body: dict[str, Any], dimensions: int
) -> None:
    assert (
        plan(s3, model_id, [None, body, body], input={"format": "bedrock_jsonl", "nulls": "skip"})["dimensions"]
        == dimensions
    )
    prepare(s3)


@pytest.mark.parametrize(
    ("bodies", "given", "error", "words"),
    [
        (
            [{"dimensions": 256}, {}],
            {},
            UnsupportedRequest,
            "row 2 .* of 1024 dimensions, but the run's vectors have 256",
        ),
        (
            [{}, {"dimensions": 512}],
            {},
            UnsupportedRequest,
            "row 2 .* of 512 dimensions, but the run's vectors have 1024",
        ),
        (
            [{"dimensions": 100}],
            {},
            UnsupportedRequest,
            "is 100, but titan-text-embeddings-v2 offers 256, 512, 1024",
        ),
        ([{"dimensions": "256"}], {}, UnsupportedRequest, "dimensions is '256', but"),
        ([{"dimensions": [1]}], {}, UnsupportedRequest, "offers 256, 512, 1024"),
        ([{"dimensions": 256}], {"embedding": {"dimensions": 512}}, InvalidRunInput, "is 512, but the first .* 256"),
    ],
)
def test_vectors_of_other_lengths_are_refused(
    s3: S3, bodies: list[dict[str, Any]], given: dict[str, Any], error: type[BedrockBatchError], words: str
) -> None:
    with pytest.raises(error, match=words):
        plan(s3, TITAN, [{"inputText": "x"} | body for body in bodies], **given)


@pytest.mark.parametrize(
    ("model_id", "body", "odd", "given", "words"),
    [
        (HAIKU, CONVERSE, SAMPLE, {}, "/anthropic_version with"),
        (HAIKU, CONVERSE, CHAT, {}, "list of blocks"),
        (HAIKU, SAMPLE, without(SAMPLE, "max_tokens"), INVOKE, "/max_tokens is missing"),
        (TITAN, {"inputText": "x"}, {"inputText": "x", "dimensions": 256}, {}, "of 256 dimensions"),
    ],
)
def test_one_record_of_another_kind_is_named_before_any_spend(
    s3: S3, model_id: str, body: dict[str, Any], odd: dict[str, Any], given: dict[str, Any], words: str
) -> None:
    bodies = [body] * 4_000
    bodies[3_400] = odd  # Planning does not check this row.
    plan(s3, model_id, bodies, **given)
    with pytest.raises(UnsupportedRequest, match=rf"^The record in row 3401 of the table .*{words}"):
        prepare(s3)


@pytest.mark.parametrize(
    "value", ["9" * 5000, "-1e400", "1e99999999999999999999", r'"\\ud83d"', "[" * 300 + "]" * 300, '{"a": 1, "a": 2}']
)
def test_odd_values_are_no_reason_to_refuse_a_body(value: str) -> None:
    body = json.dumps(CONVERSE | {"additionalModelRequestFields": {"n": "@"}}).replace('"@"', value).encode()
    family = catalogue.resolve(HAIKU)
    assert family.body is not None
    BodyCheck(family, family.body.response, None).look(body)


def test_a_body_that_is_nested_too_deeply_is_refused() -> None:
    family = catalogue.resolve(HAIKU)
    assert family.body is not None
    deep = b'{"messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(UnsupportedRequest, match="nested too deeply"):
        BodyCheck(family, family.body.response, None).look(deep)

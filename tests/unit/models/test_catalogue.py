"""The catalogue: every model of batch inference has an entry, and every family's lines have the model's shape."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from jsonschema import Draft202012Validator

from bedrock_batch.answers.text_parser import TextParser
from bedrock_batch.answers.vector_parser import VectorParser
from bedrock_batch.errors import InvalidRunInput
from bedrock_batch.join.joiner import Joiner
from bedrock_batch.join.output_columns import output_schema
from bedrock_batch.models import catalogue
from bedrock_batch.record_ids import record_id
from bedrock_batch.records.render import Renderer
from local.bedrock import models
from tests.unit.factories import compose
from tests.unit.output_lines import line

GOLDENS = Path(__file__).parents[1] / "goldens"
BODIES = json.loads((GOLDENS / "bodies.schema.json").read_text("utf-8"))
REQUESTS = json.loads((GOLDENS / "requests.json").read_text("utf-8"))
ANSWERS = json.loads((GOLDENS / "answers.json").read_text("utf-8"))

# The names that Service Quotas has for models of batch inference, by model id.
LABELS = {
    "anthropic.claude-3-haiku-20240307-v1:0": "Claude 3 Haiku",
    "anthropic.claude-3-sonnet-20240229-v1:0": "Claude 3 Sonnet",
    "anthropic.claude-3-opus-20240229-v1:0": "Claude 3 Opus",
    "anthropic.claude-3-5-haiku-20241022-v1:0": "Claude 3.5 Haiku",
    "anthropic.claude-3-5-sonnet-20240620-v1:0": "Claude 3.5 Sonnet",
    "anthropic.claude-3-5-sonnet-20241022-v2:0": "Claude 3.5 Sonnet v2",
    "anthropic.claude-3-7-sonnet-20250219-v1:0": "Claude 3.7 Sonnet",
    "anthropic.claude-haiku-4-5-20251001-v1:0": "Claude Haiku 4.5",
    "anthropic.claude-opus-4-5-20251101-v1:0": "Claude Opus 4.5",
    "anthropic.claude-opus-4-6-v1": "Claude Opus 4.6",
    "anthropic.claude-opus-5": "Claude Opus 5",
    "anthropic.claude-sonnet-4-20250514-v1:0": "Claude Sonnet 4",
    "anthropic.claude-sonnet-4-5-20250929-v1:0": "Claude Sonnet 4.5",
    "anthropic.claude-sonnet-4-6": "Claude Sonnet 4.6",
    "amazon.nova-2-multimodal-embeddings-v1:0": "Amazon Nova 2 Multimodal Embeddings V1",
    "amazon.nova-premier-v1:0": "Amazon Nova Premier",
    "amazon.nova-2-lite-v1:0": "Nova 2 Lite",
    "amazon.nova-lite-v1:0": "Nova Lite V1",
    "amazon.nova-micro-v1:0": "Nova Micro V1",
    "amazon.nova-pro-v1:0": "Nova Pro V1",
    "amazon.titan-embed-image-v1": "Titan Multimodal Embeddings G1",
    "amazon.titan-embed-text-v2:0": "Titan Text Embeddings V2",
    "deepseek.v3-v1:0": "DeepSeek v3",
    "deepseek.v3.2": "DeepSeek V3.2",
    "mistral.devstral-2-123b": "Devstral 2 123B",
    "zai.glm-4.7": "GLM 4.7",
    "zai.glm-4.7-flash": "GLM 4.7 Flash",
    "zai.glm-5": "GLM 5",
    "google.gemma-3-4b-it": "Gemma 3 4B",
    "google.gemma-3-12b-it": "Gemma 3 12B",
    "google.gemma-3-27b-it": "Gemma 3 27B",
    "moonshot.kimi-k2-thinking": "Kimi K2 Thinking",
    "moonshotai.kimi-k2.5": "Kimi K2.5",
    "meta.llama3-1-8b-instruct-v1:0": "Llama 3.1 8B Instruct",
    "meta.llama3-1-70b-instruct-v1:0": "Llama 3.1 70B Instruct",
    "meta.llama3-1-405b-instruct-v1:0": "Llama 3.1 405B Instruct",
    "meta.llama3-2-1b-instruct-v1:0": "Llama 3.2 1B Instruct",
    "meta.llama3-2-3b-instruct-v1:0": "Llama 3.2 3B Instruct",
    "meta.llama3-2-11b-instruct-v1:0": "Llama 3.2 11B Instruct",
    "meta.llama3-2-90b-instruct-v1:0": "Llama 3.2 90B Instruct",
    "meta.llama3-3-70b-instruct-v1:0": "Llama 3.3 70B Instruct",
    "meta.llama4-maverick-17b-instruct-v1:0": "Llama 4 Maverick",
    "meta.llama4-scout-17b-instruct-v1:0": "Llama 4 Scout",
    "mistral.magistral-small-2509": "Magistral Small 2509",
    "minimax.minimax-m2": "MiniMax M2",
    "minimax.minimax-m2.1": "MiniMax M2.1",
    "minimax.minimax-m2.5": "MiniMax M2.5",
    "mistral.ministral-3-14b-instruct": "Ministral 3 14B",
    "mistral.ministral-3-8b-instruct": "Ministral 3 8B",
    "mistral.ministral-3-3b-instruct": "Ministral 3B",
    "mistral.mistral-large-2407-v1:0": "Mistral Large 2 (24.07)",
    "mistral.mistral-large-3-675b-instruct": "Mistral Large 3",
    "mistral.mistral-small-2402-v1:0": "Mistral Small",
    "nvidia.nemotron-nano-9b-v2": "NVIDIA Nemotron Nano 9B",
    "nvidia.nemotron-nano-12b-v2": "NVIDIA Nemotron Nano 12B",
    "nvidia.nemotron-nano-3-30b": "NVIDIA Nemotron Nano 3 30B",
    "nvidia.nemotron-super-3-120b": "NVIDIA Nemotron 3 Super 120B A12B",
    "openai.gpt-oss-120b-1:0": "OpenAI GPT OSS 120b",
    "openai.gpt-oss-20b-1:0": "OpenAI GPT OSS 20b",
    "openai.gpt-oss-safeguard-120b": "OpenAI GPT OSS Safeguard 120b",
    "openai.gpt-oss-safeguard-20b": "OpenAI GPT OSS Safeguard 20b",
    "qwen.qwen3-235b-a22b-2507-v1:0": "Qwen3 235B",
    "qwen.qwen3-32b-v1:0": "Qwen3 32B",
    "qwen.qwen3-coder-30b-a3b-v1:0": "Qwen3 Coder 30B",
    "qwen.qwen3-coder-480b-a35b-v1:0": "Qwen3 Coder 480B",
    "qwen.qwen3-coder-next": "Qwen3 Coder Next",
    "qwen.qwen3-next-80b-a3b": "Qwen3 Next 80B",
    "qwen.qwen3-vl-235b-a22b": "Qwen3 VL 235B",
    "mistral.voxtral-mini-3b-2507": "Voxtral Mini 3B 2507",
    "mistral.voxtral-small-24b-2507": "Voxtral Small 24B 2507",
    "writer.palmyra-vision-7b": "Writer Palmyra Vision 7B",
}


@pytest.mark.parametrize(("model_id", "label"), LABELS.items())
def test_every_batch_model_has_an_entry(model_id: str, label: str) -> None:
    family = catalogue.resolve(model_id)
    assert (family.quota_label, family.listed) == (label, True)
    assert family.body is not None
    assert (family.family == "converse") == model_id.startswith("writer.")
    profile = f"arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.{model_id}"
    assert catalogue.resolve(profile).quota_label == label


def test_every_entry_is_of_a_known_label_and_every_pattern_of_use() -> None:
    listed = {entry["label"] for entry in catalogue.entries()["models"]}
    assert listed == set(LABELS.values())
    used = {name for family in catalogue.entries()["families"] for name in family["bodies"]}
    assert used == set(catalogue.bodies())
    assert {catalogue.resolve(model_id).family for model_id in LABELS} | {"other-embeddings"} == {
        family["family"] for family in catalogue.entries()["families"]
    }


@pytest.mark.parametrize("model_id", LABELS)
def test_text_models_converse_and_embeddings_do_not(model_id: str) -> None:
    family = catalogue.resolve(model_id)
    embedding = "embed" in model_id
    assert family.kind == ("embedding" if embedding else "text")
    assert family.invocation_type == ("InvokeModel" if embedding else "Converse")
    assert bool(family.dimensions) == embedding


def test_job_sizes_that_differ() -> None:
    large = {model_id for model_id in LABELS if catalogue.resolve(model_id).quotas["max_job_bytes"] == 100_000_000_000}
    assert large == {
        "amazon.nova-2-multimodal-embeddings-v1:0",
        "amazon.nova-lite-v1:0",
        "amazon.nova-pro-v1:0",
    }
    assert catalogue.resolve("acme.unknown").quotas["max_job_bytes"] == 5_000_000_000


@pytest.mark.parametrize("golden", REQUESTS, ids=lambda golden: golden["name"])
def test_golden_request_lines(golden: dict[str, Any]) -> None:
    """A run input gives exactly this record, in the model's shape, and the stand-in of the model accepts it."""
    composed = compose(golden["model_id"], **golden["input"])
    table = pa.record_batch({"review": ['He said "no" {sic}\n\u2028'], "role": ["a critic"]})
    record = json.loads(Renderer(composed.request, table.schema, shard=4).render(table, 17).data)
    assert record == {"recordId": "00004000017", "modelInput": golden["modelInput"]}
    assert list(record["modelInput"]) == list(golden["modelInput"])
    base = catalogue.base_model_id(golden["model_id"])
    if golden["body"] == "converse":
        service = ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"), "bedrock-runtime")
        shape = service.operation_model("Converse").input_shape
        report = ParamValidator().validate({"modelId": "m", **record["modelInput"]}, shape)
        assert not report.has_errors(), report.generate_report()
        assert set(record["modelInput"]) <= set(shape.members)
        models.converse(base, record["modelInput"])
    else:
        Draft202012Validator(BODIES[golden["body"]]).validate(record["modelInput"])
        models.invoke(base, record["modelInput"])


def test_every_body_of_the_catalogue_has_a_golden_line() -> None:
    seen = [catalogue.resolve(one["model_id"], one["input"].get("invocation_type")).body for one in REQUESTS]
    assert all(body in seen for body in catalogue.bodies().values())


def filled(value: Any, vector: list[float]) -> Any:
    if isinstance(value, dict):
        return {key: filled(member, vector) for key, member in value.items()}
    if isinstance(value, list):
        return [filled(member, vector) for member in value]
    return vector if value == "VECTOR" else value


@pytest.mark.parametrize("golden", ANSWERS, ids=lambda golden: golden["name"])
def test_golden_answer_lines(golden: dict[str, Any]) -> None:
    family = catalogue.resolve(golden["model_id"], golden.get("invocation_type"))
    dimensions = golden.get("dimensions")
    vector = [0.5 - index for index in range(dimensions or 0)]
    assert family.body is not None
    response = family.body.response
    reasoning = "reasoning" in golden["columns"]
    parse = VectorParser(response, dimensions) if dimensions else TextParser(response, reasoning=reasoning)
    joiner = Joiner(shard=0, rows=1, kind=family.kind, dimensions=dimensions, reasoning=reasoning)
    joiner.add(parse(line(record_id(0, 0), filled(golden["modelOutput"], vector))))
    schema = output_schema(
        pa.schema([]), {"prefix": "", "reasoning": reasoning}, kind=family.kind, dimensions=dimensions
    )
    (row,) = pa.RecordBatch.from_arrays(joiner.columns(0, 1), schema=schema).to_pylist()
    expected = filled(golden["columns"], vector)
    assert {name: row[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("model_id", "bare"),
    [
        ("amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0"),
        ("us.amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0"),
        ("global.anthropic.claude-opus-5", "anthropic.claude-opus-5"),
        ("us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-embed-text-v2:0", "amazon.titan-embed-text-v2:0"),
        ("arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0"),
    ],
)
def test_base_model_id(model_id: str, bare: str) -> None:
    assert catalogue.base_model_id(model_id) == bare


def test_an_application_inference_profile_goes_through_converse_with_a_warning() -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123def456"
    composed = compose(arn)
    assert composed.request == {"messages": [{"role": "user", "content": [{"text": "Judge {review}"}]}]}
    assert len(composed.warnings) == 1
    assert composed.warnings[0].startswith("abc123def456 is not in the catalogue. The run uses it through Converse")
    assert compose("amazon.nova-lite-v1:0").warnings == []


def test_a_custom_model_is_of_the_family_it_was_made_from() -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.titan-embed-text-v2:0:8k/abc123def456"
    family = catalogue.resolve(arn)
    assert (family.family, family.quota_label) == ("titan-text-embeddings-v2", "Titan Text Embeddings V2")
    assert (family.custom, family.quotas["concurrent_jobs"]) == (True, 3)
    base = catalogue.resolve("amazon.titan-embed-text-v2:0")
    assert (base.custom, base.quotas["concurrent_jobs"]) == (False, 100)


TITAN = "amazon.titan-embed-text-v2:0"
WHOLE = {"inputText": "{review}", "dimensions": 512}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"request": WHOLE}, 512),
        ({"request": {"inputText": "{review}"}}, 1024),
        ({"request": WHOLE, "embedding": {"dimensions": 512}}, 512),
        ({"request": {"dimensions": 256}, "prompt": {"text": "{review}"}}, 256),
        ({"prompt": {"text": "{review}"}, "embedding": {"dimensions": 256, "normalize": True}}, 256),
        ({"request": {"inputText": "{review}"}, "embedding": {"dimensions": 256}}, "request asks for 1024 dimensions"),
        ({"request": WHOLE, "embedding": {"dimensions": 256}}, "256, but the request asks for 512 .* Set request.dim"),
        ({"request": {"dimensions": 7}, "prompt": {"text": "{review}"}}, "request.dimensions is 7, but .* offers 256"),
        ({"request": {**WHOLE, "dimensions": "{n}"}}, "request.dimensions is '{n}', but"),
        ({"request": WHOLE, "embedding": {"normalize": True}}, "Move embedding.normalize into request"),
    ],
)
def test_vectors_have_the_dimensions_that_the_request_asks_for(given: dict[str, Any], expected: int | str) -> None:
    if isinstance(expected, int):
        assert compose(TITAN, **given).dimensions == expected
        return
    with pytest.raises(InvalidRunInput, match=expected):
        compose(TITAN, **given)


def test_an_unknown_model_works_with_its_own_request_and_response() -> None:
    request = {"texts": ["{review}"], "input_type": "search_document"}
    composed = compose(
        "acme.embedder-v3",
        invocation_type="InvokeModel",
        request=request,
        response={"embedding": "embeddings[0]"},
        embedding={"dimensions": 1024},
    )
    assert (composed.request, composed.kind, composed.dimensions) == (request, "embedding", 1024)
    assert "acme.embedder-v3 is not in the catalogue" in composed.warnings[0]


def test_the_documentation_lists_every_model() -> None:
    page = (Path(__file__).parents[3] / "docs" / "models.md").read_text("utf-8")
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    documented = {cells[1].strip().strip("`"): cells[2].strip().split(", ") for cells in rows if len(cells) > 4}
    families = {family["family"]: family for family in catalogue.entries()["families"] if family["bodies"]}
    assert set(documented) == set(families)
    for name, family in families.items():
        assert documented[name] == [f"`{body}`" for body in family["bodies"]], name


def test_what_can_be_called_at_the_tier_flex() -> None:
    """A geography's profile shows nothing about another geography's profile or about the model itself."""
    arn = "arn:aws:bedrock:us-east-1"
    for known in (
        "openai.gpt-oss-20b-1:0",
        "amazon.nova-pro-v1:0",
        "amazon.nova-pro-v1:0:300k",
        "us.amazon.nova-2-lite-v1:0",
        "jp.amazon.nova-2-lite-v1:0",
        f"{arn}::foundation-model/amazon.nova-pro-v1:0",
        f"{arn}:123456789012:inference-profile/us.amazon.nova-2-lite-v1:0",
    ):
        assert catalogue.has_flex(known), known
    for unknown in (
        "amazon.nova-2-lite-v1:0",
        "global.amazon.nova-2-lite-v1:0",
        "amazon.nova-lite-v1:0",
        "qwen.qwen3-coder-30b-a3b-v1:0",
        "global.anthropic.claude-opus-5",
        f"{arn}:123456789012:application-inference-profile/abc123def456",
        f"{arn}:123456789012:custom-model/amazon.nova-pro-v1:0/abc123def456",
    ):
        assert not catalogue.has_flex(unknown), unknown
    flex = catalogue.entries()["flex"]
    assert len(set(flex["models"])) == len(flex["models"]) == 38
    assert "2026" in flex["source"]

"""Catalogue, prompt and request: what Bedrock is asked, checked against botocore's models."""

from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape
from botocore.validate import ParamValidator

from bedrock_batch import catalogue, prompts, requests
from bedrock_batch.errors import InvalidRunInput, UnknownPrompt, UnsupportedRequest
from tests.unit.factories import make_run

TITAN = catalogue.resolve("amazon.titan-embed-text-v2:0")
TEXT = catalogue.resolve("amazon.nova-lite-v1:0")


def service_model(service: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def from_pascal_case(value: Any, shape: Shape) -> Any:
    """Translate Step Functions' member names into the API's; a name that the API lacks stays, and fails."""
    if shape.type_name == "structure":
        names = {name[0].upper() + name[1:]: name for name in shape.members}
        return {
            names.get(key, key): from_pascal_case(part, shape.members[names[key]]) if key in names else part
            for key, part in value.items()
        }
    if shape.type_name == "list":
        return [from_pascal_case(part, shape.member) for part in value]
    return value


@pytest.mark.parametrize("run", [make_run(), make_run(kms_key_arn="arn:aws:kms:us-east-1:123456789012:key/k")])
def test_create_job_fits_the_service_model(run: Any) -> None:
    request = requests.create_job(run, job_name="reviews-0-r0-00000", input_key="runs/monday/input/00000.jsonl")
    operation = service_model("bedrock").operation_model("CreateModelInvocationJob")
    parameters = from_pascal_case(request, operation.input_shape)
    report = ParamValidator().validate(parameters, operation.input_shape)
    assert not report.has_errors(), report.generate_report()
    assert set(parameters) <= set(operation.input_shape.members)
    assert request["OutputDataConfig"]["S3OutputDataConfig"].get("S3EncryptionKeyId") == run.kms_key_arn


def test_invocation_type_is_left_out_where_it_is_the_default() -> None:
    arguments = {"job_name": "j", "input_key": "k"}
    assert requests.create_job(make_run(), **arguments)["ModelInvocationType"] == "Converse"
    assert "ModelInvocationType" not in requests.create_job(make_run(invocation_type="InvokeModel"), **arguments)


def test_converse_body_with_everything_fits_the_service_model() -> None:
    body = requests.body_template(
        TEXT,
        prompt="Judge {review}",
        system="You are {role}.",
        inference={"max_tokens": 10, "temperature": 0.5, "top_p": 0.9, "stop_sequences": ["}"]},
        embedding={},
    )
    operation = service_model("bedrock-runtime").operation_model("Converse")
    report = ParamValidator().validate({"modelId": "m", **body}, operation.input_shape)
    assert not report.has_errors(), report.generate_report()
    assert body["messages"][0]["content"] == [{"text": "Judge {review}"}]
    assert body["system"] == [{"text": "You are {role}."}]
    assert body["inferenceConfig"]["stopSequences"] == ["}}"]


def test_body_templates_do_not_share_state() -> None:
    first = requests.body_template(TEXT, prompt="one", system=None, inference={}, embedding={})
    second = requests.body_template(TEXT, prompt="two", system=None, inference={}, embedding={})
    assert first["messages"][0]["content"][0]["text"] == "one"
    assert "system" not in second


def test_titan_body() -> None:
    body = requests.body_template(
        TITAN, prompt="{input_text}", system=None, inference={}, embedding={"dimensions": 256, "normalize": False}
    )
    assert body == {"inputText": "{input_text}", "dimensions": 256, "normalize": False}
    assert requests.dimensions(TITAN, {}) == 1024
    assert requests.dimensions(TEXT, {}) is None


def test_what_a_family_has_no_place_for_is_refused() -> None:
    with pytest.raises(UnsupportedRequest, match="'temperature' is not supported by .*titan"):
        requests.body_template(TITAN, prompt="x", system=None, inference={"temperature": 1}, embedding={})
    with pytest.raises(UnsupportedRequest, match="'dimensions' is not supported by .*converse"):
        requests.body_template(TEXT, prompt="x", system=None, inference={}, embedding={"dimensions": 256})
    with pytest.raises(InvalidRunInput, match="embedding.dimensions is 300; .* has 256, 512, 1024"):
        requests.dimensions(TITAN, {"dimensions": 300})


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


def test_families() -> None:
    assert TITAN.kind == "embedding"
    assert catalogue.resolve("arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-embed-text-v2:0") == TITAN
    assert TEXT.invocation_type == "Converse"
    with pytest.raises(UnsupportedRequest, match="not in the catalogue"):
        catalogue.resolve("cohere.embed-english-v3")


@pytest.mark.parametrize("family", [family for family in catalogue.families() if not family.refused])
def test_every_family_has_a_place_for_the_prompt_and_an_answer(family: catalogue.Family) -> None:
    body = requests.body_template(family, prompt="{a}", system=None, inference={}, embedding={})
    assert "{a}" in str(body)
    assert ("text" if family.kind == "text" else "embedding") in family.response
    assert (family.kind == "embedding") == bool(family.dimensions)


PROMPTS = {"sentiment": "Judge {review}", "summary": "Sum up {review}"}


def test_prompts_are_found() -> None:
    assert prompts.resolve({"prompt_id": "sentiment"}, PROMPTS, TEXT)["text"] == "Judge {review}"
    inline = prompts.resolve({"prompt": {"text": "Say {a}", "system": "Be brief"}}, PROMPTS, TEXT)
    assert (inline["id"], inline["text"], inline["system"]) == (None, "Say {a}", "Be brief")
    assert prompts.resolve({"prompt_id": None}, PROMPTS, TITAN)["text"] == "{input_text}"


def test_missing_prompts_are_named() -> None:
    with pytest.raises(UnknownPrompt, match=r"'sentimnt' .*did you mean 'sentiment'\?"):
        prompts.resolve({"prompt_id": "sentimnt"}, PROMPTS, TEXT)
    with pytest.raises(UnknownPrompt, match="A text model needs a prompt: .*sentiment, summary"):
        prompts.resolve({"prompt_id": None}, PROMPTS, TEXT)
    with pytest.raises(UnknownPrompt, match="no prompts yet"):
        prompts.resolve({"prompt_id": "other"}, {}, TEXT)

"""Requests that models refuse are refused when a run is planned, with the reason. Others are accepted."""

from typing import Any

import pytest

from bedrock_batch.errors import InvalidRunInput, UnsupportedRequest
from bedrock_batch.models import catalogue, refusals
from tests.unit.factories import HAIKU, OPUS, compose


@pytest.mark.parametrize(
    ("model_id", "given", "error", "words"),
    [
        (
            "acme.embedder",
            {},
            UnsupportedRequest,
            "does not know the InvokeModel body of acme.embedder. Remove the prompt",
        ),
        ("acme.chat", {"invocation_type": "InvokeModel"}, UnsupportedRequest, "request to the whole body"),
        (
            "acme.chat",
            {"invocation_type": "InvokeModel", "request": {"prompt": "{a}"}},
            InvalidRunInput,
            "how acme.chat answers through InvokeModel. Set response",
        ),
        (
            "acme.embedder",
            {"request": {"t": "{a}"}, "response": {"embedding": "e"}},
            InvalidRunInput,
            "Set embedding.dimensions",
        ),
        (HAIKU, {"request": {"messages": []}, "inference": {"max_tokens": 3}}, InvalidRunInput, "Move max_tokens"),
        ("amazon.titan-embed-text-v2:0", {"output": {"schema": {"type": "object"}}}, InvalidRunInput, "with text"),
        (
            "mistral.mistral-small-2402-v1:0",
            {"invocation_type": "InvokeModel", "prompt": {"text": "{a}", "system": "s"}},
            UnsupportedRequest,
            "The model family 'mistral-small-2402' does not support prompt.system through InvokeModel",
        ),
        (
            "amazon.nova-lite-v1:0",
            {"invocation_type": "InvokeModel", "output": {"schema": {"type": "object"}, "enforce": True}},
            UnsupportedRequest,
            "output.enforce: the catalogue does not know how",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(
    model_id: str, given: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        compose(model_id, **given)
    assert words in str(caught.value)


CLAUDE_BODY = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "{a}"}],
}


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in CLAUDE_BODY.items() if name != key}


@pytest.mark.parametrize(
    ("model_id", "given", "words"),
    [
        (
            HAIKU,
            {"inference": {"temperature": 0, "top_p": 1}},
            "temperature and top_p with .*has both temperature and top_p",
        ),
        (
            "us.anthropic.claude-sonnet-4-6",
            {"invocation_type": "InvokeModel", "inference": {"temperature": 0, "top_p": 1}},
            "temperature and top_p with .*has both temperature and top_p",
        ),
        (OPUS, {"inference": {"temperature": 0}}, "temperature with .*Remove both"),
        ("us.anthropic.claude-opus-4-7", {"inference": {"top_p": 1}}, "top_p with .*Remove both"),
        (HAIKU, {"inference": {"max_tokens": 64_001}}, "64001 tokens with .* more than 64000 tokens"),
        ("us.meta.llama4-scout-17b-instruct-v1:0", {"inference": {"max_tokens": 8_193}}, "more than 8192 tokens"),
        (
            "amazon.nova-micro-v1:0",
            {"invocation_type": "InvokeModel", "request": {"inferenceConfig": {"maxTokens": 10_001}}},
            "10001 tokens with .* 10000",
        ),
        (HAIKU, {"request": {"toolConfig": {"tools": []}}}, "/toolConfig with .*tools are not available"),
        (
            HAIKU,
            {"request": {"system": [{"text": "s"}, {"cachePoint": {"type": "default"}}]}},
            "cachePoint .*no prompt",
        ),
        (HAIKU, {"request": {"serviceTier": {"type": "flex"}}}, "/serviceTier with .*cannot have a service tier"),
        (HAIKU, {"request": {"requestMetadata": {"a": "b"}}}, "/requestMetadata with"),
        (HAIKU, {"request": {"modelId": "m"}}, "/modelId with .*the job names the model"),
        (HAIKU, {"request": {"max_tokens": 5}}, '/max_tokens with .*set "invocation_type" to "InvokeModel"'),
        (HAIKU, {"request": {"prompt": "{a}"}}, "/prompt with .*no such member"),
        (HAIKU, {"request": {"system": [{"text": "{a}"}]}, "no_prompt": True}, "/messages is missing"),
        *(
            (
                HAIKU,
                {"invocation_type": "InvokeModel", "request": without(key), "no_prompt": True},
                f"/{key} is missing",
            )
            for key in CLAUDE_BODY
        ),
        (
            HAIKU,
            {"invocation_type": "InvokeModel", "request": CLAUDE_BODY | {"inferenceConfig": {}}, "no_prompt": True},
            "that is a Converse body",
        ),
        (
            HAIKU,
            {
                "invocation_type": "InvokeModel",
                "request": {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            },
            'image_url with .*{"type": "image"',
        ),
        (
            "us.meta.llama3-3-70b-instruct-v1:0",
            {"invocation_type": "InvokeModel", "request": {"messages": [{"content": "{a}"}]}, "no_prompt": True},
            "Llama's own body is {",
        ),
        (
            HAIKU,
            {"request": {"additionalModelRequestFields": {"thinking": {"type": "disabled"}}}},
            "refuses it in batch",
        ),
        (OPUS, {"output": {"schema": {"type": "object"}, "enforce": True}}, "Set output.enforce to false"),
    ],
)
def test_what_would_waste_a_job_is_refused(model_id: str, given: dict[str, Any], words: str) -> None:
    given = dict(given)
    if not given.pop("no_prompt", False):
        given["prompt"] = {"text": "Judge {review}"}
    with pytest.raises(UnsupportedRequest, match=words):
        compose(model_id, **given)


@pytest.mark.parametrize(
    ("model_id", "given"),
    [
        (HAIKU, {"inference": {"temperature": 0}}),
        (HAIKU, {"inference": {"max_tokens": 64_000, "top_p": 1}}),
        (OPUS, {"inference": {"max_tokens": 128_000}}),
        ("amazon.nova-lite-v1:0", {"inference": {"temperature": 0, "top_p": 1}}),
        ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", {"inference": {"temperature": 0, "top_p": 1}}),
        (HAIKU, {"invocation_type": "InvokeModel", "request": CLAUDE_BODY | {"tools": []}}),
        (HAIKU, {"request": {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 9}}},
                 "prompt": {"text": "{a}"}}),
    ],
)  # fmt: skip
def test_what_the_models_take_is_let_through(model_id: str, given: dict[str, Any]) -> None:
    assert compose(model_id, **given).warnings == []


def test_a_request_beside_a_prompt_is_merged_member_by_member_and_wins() -> None:
    composed = compose(
        HAIKU,
        prompt={"text": "Judge {review}"},
        inference={"temperature": 0, "max_tokens": 5},
        request={"inferenceConfig": {"maxTokens": 7, "stopSequences": ["{x}"]}, "system": [{"text": "{a}"}]},
    )
    assert composed.request["inferenceConfig"] == {"maxTokens": 7, "temperature": 0, "stopSequences": ["{x}"]}
    assert composed.request["system"] == [{"text": "{a}"}]
    assert composed.request["messages"][0]["content"] == [{"text": "Judge {review}"}]
    assert composed.max_tokens == 7


def test_a_warning_does_not_end_the_run() -> None:
    composed = compose(HAIKU, prompt={"text": "{a}"}, request={"guardrailConfig": {"guardrailIdentifier": "g"}})
    assert ["/guardrailConfig" in warning for warning in composed.warnings] == [True]


@pytest.mark.parametrize(
    ("model_id", "words"),
    [
        ("cohere.embed-english-v3", "cohere.embed-english-v3: AWS does not offer this model for batch"),
        ("amazon.titan-embed-text-v1", "AWS does not offer this model for batch"),
        ("us.anthropic.claude-fable-5", "Batch inference is not supported for the requested model"),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", "only through a cross-Region inference profile"),
        ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-5", "only through a cross-Region"),
        ("amazon.nova-2-lite-v1:0", "only through a cross-Region inference profile"),
        ("meta.llama4-scout-17b-instruct-v1:0", "only through a cross-Region inference profile"),
        ("anthropic.claude-sonnet-4-6", "only through a cross-Region inference profile"),
    ],
)
def test_models_that_cannot_be_used_are_refused(model_id: str, words: str) -> None:
    with pytest.raises(UnsupportedRequest, match=words):
        refusals.check_model(catalogue.resolve(model_id), model_id, "us-east-1")


@pytest.mark.parametrize(
    ("model_id", "region", "warnings"),
    [
        ("anthropic.claude-sonnet-4-6", "eu-west-2", 0),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "us-east-1", 0),
        ("anthropic.claude-3-haiku-20240307-v1:0", "us-east-1", 0),
        ("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc", "us-east-1", 0),
        ("amazon.nova-micro-v1:0", "us-east-1", 0),
        ("amazon.nova-micro-v1:0", "us-west-2", 1),
        ("us.amazon.nova-micro-v1:0", "us-west-2", 0),
        ("us.anthropic.claude-sonnet-5", "us-east-1", 1),
        ("us.amazon.nova-micro-v1:0", "eu-west-1", 1),
        ("us.amazon.nova-micro-v1:0", "ca-central-1", 0),
        ("arn:aws:bedrock:eu-west-1:123456789012:inference-profile/us.amazon.nova-micro-v1:0", "eu-west-1", 1),
        ("eu.amazon.nova-micro-v1:0", "eu-west-1", 0),
        ("global.anthropic.claude-haiku-4-5-20251001-v1:0", "sa-east-1", 0),
    ],
)
def test_models_that_may_be_used(model_id: str, region: str, warnings: int) -> None:
    assert len(refusals.check_model(catalogue.resolve(model_id), model_id, region)) == warnings


def test_a_profile_of_another_geography_is_a_warning_that_says_what_to_do() -> None:
    profile = "us.amazon.nova-lite-v1:0"
    (warning,) = refusals.check_model(catalogue.resolve(profile), profile, "eu-west-1")
    assert "for Regions of us, but the module is in eu-west-1" in warning
    assert set(catalogue.entries()["geographies"]) == {"us", "us-gov", "eu", "apac", "jp", "au", "ca"}


def test_a_rule_of_the_catalogue_has_one_condition_and_known_words() -> None:
    conditions = {"forbid", "together", "require", "allow", "ceiling", "bare_id"}
    words = {"models", "reason", "warn", "invocation_type", "value", "except_regions"}
    for rule in catalogue.entries()["rules"]:
        assert set(rule) <= conditions | words
        assert len(set(rule) & conditions) <= 1, rule
        assert rule["models"] and rule["reason"].format(most=1, regions="r")

"""The paths with which a run reads its answers: the catalogue's, the run input's, and those that few runs need."""

from typing import Any

import pytest

from bedrock_batch.errors import InvalidRunInput, UnsupportedRequest
from bedrock_batch.models import catalogue, json_pointer
from tests.unit.factories import HAIKU, compose

CLAUDE = {
    "text": "content[].text",
    "stop_reason": "stop_reason",
    "input_tokens": "usage.input_tokens",
    "output_tokens": "usage.output_tokens",
}
TOOLS = {"tools": [{"name": "f"}], "tool_choice": {"type": "any"}}
GPT_OSS, TITAN, LLAMA = "openai.gpt-oss-20b-1:0", "amazon.titan-embed-text-v2:0", "meta.llama3-1-8b-instruct-v1:0"


@pytest.mark.parametrize(
    ("given", "paths"),
    [
        ({}, CLAUDE),
        ({"response": {"text": "content[].input"}}, CLAUDE | {"text": "content[].input"}),
        ({"response": {"stop_reason": "why"}}, CLAUDE | {"stop_reason": "why"}),
        ({"response": {"reasoning_tag": "think"}}, CLAUDE | {"reasoning_tag": "think"}),
        ({"request": TOOLS, "prompt": {"text": "{a}"}}, CLAUDE | {"tool_input": "content[].input"}),
        ({"request": {"tools": []}, "prompt": {"text": "{a}"}}, CLAUDE),
        ({"response": {"tool_input": "content[].said"}}, CLAUDE | {"tool_input": "content[].said"}),
        ({"output": {"reasoning": True}}, CLAUDE | {"reasoning": "content[].thinking"}),
        ({"output": {"reasoning": False}}, CLAUDE),
    ],
)
def test_the_run_input_adds_to_the_catalogue(given: dict[str, Any], paths: dict[str, str]) -> None:
    assert compose(HAIKU, invocation_type="InvokeModel", **given).response == paths


def test_a_tag_of_the_catalogue_stays_with_a_text_path_of_ones_own() -> None:
    response = {"text": "choices[1].message.content"}
    found = compose(GPT_OSS, invocation_type="InvokeModel", response=response).response
    assert (found["text"], found["reasoning_tag"]) == ("choices[1].message.content", "reasoning")


def test_texts_and_vectors_do_not_mix() -> None:
    found = compose(TITAN, response={"embedding": "embeddingsByType.float"}).response
    assert found == {"embedding": "embeddingsByType.float", "input_tokens": "inputTextTokenCount"}
    composed = compose(TITAN, response={"text": "message"})
    assert (composed.kind, composed.response) == ("text", {"text": "message", "input_tokens": "inputTextTokenCount"})
    with pytest.raises(InvalidRunInput, match="the path of text or of embedding"):
        compose(TITAN, response={"text": "message", "embedding": "embedding"})


@pytest.mark.parametrize("body", [TOOLS, {"toolConfig": {"tools": [{}]}}])
def test_tools_that_could_not_be_read(body: dict[str, Any]) -> None:
    given: dict[str, Any] = {"prompt": {"text": "{a}"}, "request": body, "invocation_type": "InvokeModel"}
    with pytest.raises(UnsupportedRequest, match=r"meta\.llama3-1-8b.* through InvokeModel.* response\.tool_input"):
        compose(LLAMA, **given)
    assert compose(LLAMA, **given, response={"tool_input": "call"}).response["tool_input"] == "call"


def test_every_family_that_chats_says_where_a_tool_call_lies() -> None:
    without = {name for name, body in catalogue.bodies().items() if body.turns and "tool_input" not in body.response}
    assert without == {"llama3", "llama4", "mistral-instruct"}


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("/m/*/c", ["x", ["y"], 1]),
        ("/m/*/c/text()", ["x"]),
        ("/m/*/c/*", ["y"]),
        ("/m/*/c/*/z", []),
        ("/m/0", []),
        ("/n/text()", ["t"]),
        ("/o", []),
    ],
)
def test_pointers_with_steps_for_every_element(pointer: str, found: list[Any]) -> None:
    assert json_pointer.found({"m": [{"c": "x"}, {"c": ["y"]}, {}, {"c": 1}], "n": "t"}, pointer) == found

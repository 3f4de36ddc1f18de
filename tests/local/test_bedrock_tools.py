"""Tools, guardrails and reasoning of the stand-in's models: each family answers in its own words."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from local.bedrock import models
from local.bedrock.replies import Reply, author

INPUT = {"type": "object", "properties": {"label": {"enum": ["good", "bad"]}}, "required": ["label"]}
SPEC = {"tools": [{"toolSpec": {"name": "judge", "inputSchema": {"json": INPUT}}}]}
FUNCTION = {"tools": [{"type": "function", "function": {"name": "judge", "parameters": INPUT}}]}
CLAUDE = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 99,
    "messages": [{"role": "user", "content": "Judge"}],
    "tools": [{"name": "judge", "input_schema": INPUT}],
}
BLOCKS = {"messages": [{"role": "user", "content": [{"text": "Judge"}]}]}
CHAT = {"messages": [{"role": "user", "content": "Judge"}]}
NOVA, HAIKU, QWEN = "amazon.nova-lite-v1:0", "anthropic.claude-haiku-4-5-20251001-v1:0", "qwen.qwen3-32b-v1:0"


@pytest.mark.parametrize(
    ("model", "body", "forced"),
    [
        (HAIKU, CLAUDE, {"tool_choice": {"type": "tool", "name": "judge"}}),
        (HAIKU, CLAUDE, {"tool_choice": {"type": "any"}}),
        (NOVA, BLOCKS, {"toolConfig": SPEC | {"toolChoice": {"tool": {"name": "judge"}}}}),
        (NOVA, BLOCKS, {"toolConfig": SPEC | {"toolChoice": {"any": {}}}}),
        (QWEN, CHAT | FUNCTION, {"tool_choice": {"type": "function", "function": {"name": "judge"}}}),
        (QWEN, CHAT | FUNCTION, {"tool_choice": "required"}),
    ],
)
def test_a_tool_that_must_be_called_is_called(model: str, body: dict[str, Any], forced: dict[str, Any]) -> None:
    said = json.loads(models.invoke(model, body | forced).body)
    if "choices" in said:
        (call,) = said["choices"][0]["message"]["tool_calls"]
        found, reason = json.loads(call["function"]["arguments"]), said["choices"][0]["finish_reason"]
    elif "output" in said:
        found, reason = said["output"]["message"]["content"][0]["toolUse"]["input"], said["stopReason"]
    else:
        found, reason = said["content"][0]["input"], said["stop_reason"]
    Draft202012Validator(INPUT).validate(found)
    assert reason == ("tool_calls" if model == QWEN else "tool_use")


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (HAIKU, CLAUDE | {"tool_choice": {"type": "auto"}}),
        (NOVA, BLOCKS | {"toolConfig": SPEC}),
        (QWEN, CHAT | FUNCTION),
        (QWEN, CHAT | FUNCTION | {"tool_choice": "auto"}),
    ],
)
def test_a_model_that_is_free_answers_with_text(model: str, body: dict[str, Any]) -> None:
    assert "answer " in models.invoke(model, body).body


@pytest.mark.parametrize(("model", "body"), [(HAIKU, CLAUDE), (NOVA, BLOCKS), (QWEN, CHAT)])
def test_a_guardrail_stands_beside_the_models_own_body_and_in_the_stop_reason_of_converse(
    model: str, body: dict[str, Any]
) -> None:
    write = author([{"prompt_contains": "Judge", "text": "Blocked.", "stop_reason": "guardrail_intervened"}])
    own = models.invoke(model, body, write).body
    assert json.loads(own)["amazon-bedrock-guardrailAction"] == "INTERVENED"
    assert "guardrail_intervened" not in own and "Blocked." in own
    assert "guardrailAction" not in models.invoke(model, body).body
    said = json.loads(models.converse(model, BLOCKS, write).body)
    assert (said["stopReason"], "amazon-bedrock-guardrailAction" in said) == ("guardrail_intervened", False)


def test_reasoning_lies_where_each_family_has_it() -> None:
    def write(prompt: str, model: str) -> Reply:
        return Reply("good", reasoning="Hm.")

    claude = json.loads(models.invoke(HAIKU, CLAUDE, write).body)
    assert [part.get("thinking") for part in claude["content"]] == ["Hm.", None]
    said = json.loads(models.converse(NOVA, BLOCKS, write).body)["output"]["message"]["content"]
    assert said[0]["reasoningContent"]["reasoningText"]["text"] == "Hm." and said[1]["text"] == "good"
    message = json.loads(models.invoke(QWEN, CHAT, write).body)["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("Hm.", "good")
    message = json.loads(models.invoke("openai.gpt-oss-20b-1:0", CHAT, write).body)["choices"][0]["message"]
    assert message["content"] == "<reasoning>Hm.</reasoning>good"

"""The answers of the stand-in's text models: from rules, from a schema in the prompt, or from the prompt alone."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from local.bedrock.replies import author, reply

SCHEMAS: dict[str, dict[str, Any]] = {
    "flat": {
        "type": "object",
        "properties": {
            "mood": {"enum": ["good", "bad"]},
            "stars": {"type": "integer", "minimum": 1, "maximum": 5},
            "share": {"type": "number", "minimum": 0, "maximum": 1},
            "again": {"type": "boolean"},
            "why": {"type": "string", "maxLength": 5},
            "kind": {"const": "review"},
            "nothing": {"type": "null"},
        },
        "required": ["mood", "stars", "share", "again", "why", "kind", "nothing"],
        "additionalProperties": False,
    },
    "nested": {
        "type": "object",
        "properties": {
            "topics": {"type": "array", "minItems": 2, "items": {"type": "string"}},
            "who": {"type": "object", "properties": {"age": {"type": ["integer", "null"]}}, "required": ["age"]},
            "one_of": {"anyOf": [{"type": "string"}, {"type": "boolean"}]},
            "part": {"$ref": "#/$defs/part"},
        },
        "required": ["topics", "who", "one_of", "part"],
        "$defs": {"part": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}},
    },
    "of-itself": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "child": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
        "required": ["name"],
    },
}


def ask(name: str, number: int) -> str:
    return f'Judge {{this}} and {{"that": 1}}: review {number}\n\nAnswer by this schema:\n{json.dumps(SCHEMAS[name])}'


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_prompt_with_a_schema_is_answered_by_it(name: str) -> None:
    answers = [reply(ask(name, number)).text for number in range(50)]
    problems = [list(Draft202012Validator(SCHEMAS[name]).iter_errors(json.loads(answer))) for answer in answers]
    assert problems == [[]] * 50
    assert len(set(answers)) > 5  # not one answer for all
    assert reply(ask(name, 1)) == reply(ask(name, 1))


@pytest.mark.parametrize(
    "prompt",
    ["plain text", 'no schema: {"properties": 1}', '"properties" {{{', '{"a": "properties"} [{"properties": []}]'],
)
def test_a_prompt_without_a_schema_is_answered_with_its_own_words(prompt: str) -> None:
    assert reply(prompt).text.startswith("answer ")
    assert reply(prompt).text.endswith(prompt.split()[-1])


def test_a_rule_may_name_several_texts_and_comes_before_the_schema() -> None:
    write = author(
        [
            {"prompt_contains": ["broke", "burnt"], "text": "negative"},
            {"prompt_contains": ["again"], "model_id_contains": "nova", "text": "positive"},
        ]
    )
    said = {text: write(text, "amazon.nova-lite-v1:0").text for text in ("it broke", "burnt again", "buy again")}
    assert said == {"it broke": "negative", "burnt again": "negative", "buy again": "positive"}
    assert write("buy again", "anthropic.claude").text.startswith("answer ")
    assert write(f"it broke {json.dumps(SCHEMAS['flat'])}", "").text == "negative"

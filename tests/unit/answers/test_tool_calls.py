"""The input of a tool call is the answer, as JSON text, digit for digit."""

from typing import Any

import pytest

from bedrock_batch.answers.answer import Answer, Failure
from bedrock_batch.answers.parse import without_contradictions
from bedrock_batch.answers.text_parser import TextParser
from bedrock_batch.errors import InvalidRunInput
from tests.unit.output_lines import line

CLAUDE = {"text": "content[].text", "stop_reason": "stop_reason", "tool_input": "content[].input"}
OPENAI = {
    "text": "choices[0].message.content",
    "stop_reason": "choices[0].finish_reason",
    "tool_input": "choices[0].message.tool_calls[].function.arguments",
}


def read(raw: bytes, response: dict[str, str]) -> Any:
    (found,) = TextParser(response)(raw)
    return found


def claude(*inputs: str) -> bytes:
    content = ", ".join(f'{{"type": "tool_use", "name": "f", "input": {said}}}' for said in inputs)
    return f'{{"recordId": "1", "modelOutput": {{"content": [{content}], "stop_reason": "tool_use"}}}}'.encode()


@pytest.mark.parametrize(
    ("inputs", "value"),
    [
        (['{"a": 1.10, "b": 123456789012345678901234567890}'], '{"a": 1.10, "b": 123456789012345678901234567890}'),
        (['{"a":"é\\n"}'], '{"a":"é\\n"}'),
        (["{}"], "{}"),
        (["null"], None),
        (['{"a": 1}', '{"a": 2}'], '[{"a": 1}, {"a": 2}]'),
        (["null", '{"a": 2}'], '{"a": 2}'),
    ],
)
def test_an_input_is_kept_as_it_stands(inputs: list[str], value: str | None) -> None:
    assert read(claude(*inputs), CLAUDE) == Answer("1", value.encode() if value else None, "tool_use")


@pytest.mark.parametrize("arguments", ['{"a": 1}', '{"a": "é \\" "}', '{"a": "cut'])
def test_arguments_are_a_text_that_holds_json(arguments: str) -> None:
    message = {"content": None, "tool_calls": [{"function": {"name": "f", "arguments": arguments}}]}
    output = {"choices": [{"message": message, "finish_reason": "stop"}]}
    assert read(line("1", output), OPENAI) == Answer("1", arguments.encode(), "stop")


def test_without_a_call_the_text_is_the_answer() -> None:
    output: dict[str, Any] = {"choices": [{"message": {"content": "good"}, "finish_reason": "stop"}]}
    assert read(line("1", output), OPENAI).value == b"good"
    output["choices"][0]["message"]["tool_calls"] = []
    assert read(line("1", output), OPENAI).value == b"good"
    assert read(line("1", {"content": [{"type": "text", "text": "good"}]}), CLAUDE).value == b"good"


@pytest.mark.parametrize("odd", [b'{"a": "\xff"}', b'{"a": "\t"}', b'{"a": ' + b"9" * 5000 + b"}", b'"\\ud83d"'])
def test_an_odd_input_does_not_cost_other_answers(odd: bytes) -> None:
    good, found, after = TextParser(CLAUDE)(b"\n".join([claude("{}"), claude("@").replace(b"@", odd), claude("{}")]))
    assert isinstance(found, Answer) and found.value is not None
    found.value.decode()
    assert [one.value for one in (good, after) if isinstance(one, Answer)] == [b"{}", b"{}"]


def test_a_text_of_another_kind_does_not_cost_the_call() -> None:
    message = {"content": "plain", "tool_calls": [{"function": {"arguments": "{}"}}]}
    response = OPENAI | {"text": "choices[0].message.content[].text"}
    raw = line("1", {"choices": [{"message": message, "finish_reason": "stop"}]})
    assert read(raw, response) == Answer("1", b"{}", "stop")
    assert isinstance(read(raw.replace(b"tool_calls", b"none"), response), Failure)


def test_an_input_that_is_nested_too_deeply_fails_its_record_alone() -> None:
    deep = '{"a":' * 50_000 + "1" + "}" * 50_000
    found, after = TextParser(CLAUDE)(b"\n".join([claude(deep), claude("{}")]))
    assert isinstance(found, Failure) and isinstance(after, Answer)


def test_a_text_at_the_path_of_the_input_is_read_as_such() -> None:
    response = {**CLAUDE, "text": "content[].input"}
    assert read(claude('{"label": "good"}'), response) == Answer("1", b'{"label": "good"}', "tool_use")
    raw = line("1", {"content": [{"text": "no call"}], "stop_reason": "end_turn"})
    assert read(raw, response) == Answer("1", None, "end_turn")


def test_paths_of_the_catalogue_give_way_to_those_of_the_run_input() -> None:
    known = {**CLAUDE, "input_tokens": "usage.input_tokens"}
    given = {"text": "content"}
    assert without_contradictions(known | given, given, None) == {
        "text": "content",
        "stop_reason": "stop_reason",
        "input_tokens": "usage.input_tokens",
    }
    given = {"stop_reason": "usage"}
    assert without_contradictions(known | given, given, None) == {**CLAUDE, "stop_reason": "usage"}
    contradicting = {"text": "a", "stop_reason": "a.b"}
    with pytest.raises(InvalidRunInput, match="contradict"):
        without_contradictions(known | contradicting, contradicting, None)
    vectors = {"embedding": "embedding", "input_tokens": "embedding.n"}
    assert without_contradictions(vectors, {"embedding": "embedding"}, 3) == {"embedding": "embedding"}

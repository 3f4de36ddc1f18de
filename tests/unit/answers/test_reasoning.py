"""Reasoning between tags is removed from the text in every spelling, and returned if a run asks for it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_batch.answers.answer import Answer
from bedrock_batch.answers.reasoning import Tag
from bedrock_batch.answers.text_parser import TextParser
from tests.unit.output_lines import CONVERSE, converse, line

THINK = {**CONVERSE, "reasoning_tag": "think"}


@pytest.mark.parametrize(
    ("said", "text", "reasoning"),
    [
        pytest.param("<think>hm</think>good", "good", "hm", id="plain"),
        pytest.param("\n<think>\nhm\n</think>\n\ngood", "good", "hm", id="line feed before the tag"),
        pytest.param(" \t\r\n<think>hm</think> good ", "good ", "hm", id="white space before the tag"),
        pytest.param("Perhaps negative.\n</think>\n\ngood", "good", "Perhaps negative.", id="closing tag alone"),
        pytest.param("</think>good", "good", "", id="closing tag first"),
        pytest.param("<think></think>good", "good", "", id="empty reasoning"),
        pytest.param("<think>a</think>\n<think>b</think>good", "good", "a\n\nb", id="two blocks"),
        pytest.param("<think>a</think>go<think>b</think>od", "good", "a\n\nb", id="a block within the text"),
        pytest.param("Well. <think>a</think>good", "Well. good", "a", id="text before the first block"),
        pytest.param("<think>as <think> says</think>good", "good", "as <think> says", id="it names its tag"),
        pytest.param("<think>a<think>b</think>c</think>good", "good", "a<think>b\n\nc", id="blocks in each other"),
        pytest.param("a</think>b</think>good", "good", "a\n\nb", id="two closing tags"),
        pytest.param("<think>hm", "", "hm", id="without an end"),
        pytest.param("<think>a</think> <think>b", "", "a\n\nb", id="second block without an end"),
        pytest.param("<think>hm</think>", "", "hm", id="reasoning alone"),
        pytest.param("<think>hm</think>\n ", "", "hm", id="white space behind it"),
        pytest.param("<think>hm</think>good <think>", "good <think>", "hm", id="a whole answer that names the tag"),
        pytest.param("good", "good", "", id="no reasoning"),
        pytest.param(" good", " good", "", id="no reasoning, white space stays"),
        pytest.param("a < b think> c", "a < b think> c", "", id="no tag"),
        pytest.param("<thinking>hm</thinking>good", "<thinking>hm</thinking>good", "", id="another tag"),
    ],
)
def test_reasoning_is_never_in_the_text(said: str, text: str, reasoning: str) -> None:
    assert Tag("think").split(said, cut=False) == (text, reasoning)
    (found,) = TextParser(THINK, reasoning=True)(line("1", converse(said)))
    assert found == Answer("1", text.encode() or None, "end_turn", 7, 3, reasoning.encode() or None)
    (found,) = TextParser(THINK)(line("1", converse(said)))
    assert found == Answer("1", text.encode() or None, "end_turn", 7, 3, None)


@pytest.mark.parametrize("stop", ["max_tokens", "length", "model_context_window_exceeded"])
@pytest.mark.parametrize(("said", "text"), [("<think>hm", None), ("</think>go <think>hm", b"go "), ("go", b"go")])
def test_what_was_cut_within_a_block_ends_before_it(stop: str, said: str, text: bytes | None) -> None:
    (found,) = TextParser(THINK)(line("1", converse(said, stop=stop)))
    assert isinstance(found, Answer) and (found.value, found.stop_reason) == (text, stop)


@given(st.lists(st.sampled_from(["<think>", "</think>", "\n", "word ", "<", "think>"]), max_size=12), st.booleans())
def test_nothing_is_lost_and_nothing_before_a_closing_tag_is_text(parts: list[str], cut: bool) -> None:
    said = "".join(parts)
    text, reasoning = Tag("think").split(said, cut=cut)
    assert "</think>" not in text
    assert text.count("word") + reasoning.count("word") == said.count("word")


TOOLS = {"tool_input": "output.message.content[].toolUse.input"}
PATH = {"reasoning": "output.message.content[].reasoningContent.reasoningText.text"}
RESPONSES = [CONVERSE, THINK, {**CONVERSE, **TOOLS}, {**CONVERSE, **PATH}, {**THINK, **TOOLS, **PATH}]
INPUTS = st.sampled_from([{"a": 1.5}, {}, {"é": "\n"}, '{"a": 1}', "", None])
BLOCKS = st.one_of(
    st.builds(lambda text: {"text": text}, st.sampled_from(["good", "", "<think>a</think>b", "é\n</think>", None])),
    st.builds(lambda found: {"toolUse": {"name": "f", "input": found}}, INPUTS),
    st.builds(lambda text: {"reasoningContent": {"reasoningText": {"text": text}}}, st.sampled_from(["hm", "", None])),
    st.just({"reasoningContent": {"redactedContent": "AAAA"}}),
)
OUTPUTS = st.builds(
    lambda blocks, stop, action: (
        converse(stop=stop) | {"output": {"message": {"content": blocks}}, "amazon-bedrock-guardrailAction": action}
    ),
    st.lists(BLOCKS, max_size=3),
    st.sampled_from(["end_turn", "max_tokens", "tool_use", None]),
    st.sampled_from([None, "NONE", "INTERVENED"]),
)


@given(st.lists(OUTPUTS, min_size=1, max_size=5), st.sampled_from(RESPONSES), st.booleans())
def test_answers_read_together_are_those_read_one_by_one(outputs: list[Any], response: Any, reasoning: bool) -> None:
    parse = TextParser(response, reasoning=reasoning)
    lines = [line(str(number), output) for number, output in enumerate(outputs)]
    together = list(parse(b"\n".join(lines)))
    failed = line("x", error={"errorCode": 400})
    assert list(parse(b"\n".join([*lines, failed])))[:-1] == together
    assert [found for one in lines for found in parse(one)] == together
    slowly = [found for one in lines for found in parse(one[:-1] + b', "odd": "\xff", "expired": 7}')]
    assert list(map(_plain, slowly)) == list(map(_plain, together))


def _plain(answer: Any) -> Any:
    """Return an answer without the white space of JSON, which is only kept by the quick way."""
    said = (answer.value or b"").replace(b" ", b"")
    return said, answer.stop_reason, answer.input_tokens, answer.output_tokens, answer.reasoning

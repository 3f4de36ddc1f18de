"""Parsing output lines: the shapes of all families, and all faults that a line can have."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from bedrock_batch.answers.answer import Answer, Failure
from bedrock_batch.answers.lines import whole_lines
from bedrock_batch.answers.text_parser import TextParser
from bedrock_batch.answers.vector_parser import VectorParser
from bedrock_batch.errors import InvalidRunInput
from tests.unit.output_lines import CONVERSE, TITAN, block, converse, line

ID = "00042000017"
OPENAI = {
    "text": "choices[0].message.content",
    "stop_reason": "choices[0].finish_reason",
    "input_tokens": "usage.prompt_tokens",
    "output_tokens": "usage.completion_tokens",
}
CLAUDE = {
    "text": "content[].text",
    "stop_reason": "stop_reason",
    "input_tokens": "usage.input_tokens",
    "output_tokens": "usage.output_tokens",
}
LLAMA = {
    "text": "generation",
    "stop_reason": "stop_reason",
    "input_tokens": "prompt_token_count",
    "output_tokens": "generation_token_count",
}


def text(raw: bytes, response: Mapping[str, str] = CONVERSE) -> Any:
    """Parse one line, which gives one result."""
    (result,) = TextParser(response)(raw)
    return result


def vector(raw: bytes, response: Mapping[str, str] = TITAN, dimensions: int = 3) -> Any:
    (result,) = VectorParser(response, dimensions)(raw)
    return result


@pytest.mark.parametrize(
    ("response", "output", "answer"),
    [
        pytest.param(CONVERSE, converse("hi"), ("hi", "end_turn", 7, 3), id="converse"),
        pytest.param(
            CONVERSE,
            {
                "output": {"message": {"content": [{"text": "hi"}], "role": "assistant"}},
                "stopReason": "max_tokens",
                "usage": {"inputTokens": 7, "outputTokens": 3},
            },
            ("hi", "max_tokens", 7, 3),
            id="nova",
        ),
        pytest.param(
            CLAUDE,
            {
                "model": "claude",
                "type": "message",
                "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "hi"}],
                "stop_reason": "end_turn",
                "stop_sequence": None,
                "usage": {"input_tokens": 15, "output_tokens": 10},
            },
            ("hi", "end_turn", 15, 10),
            id="claude",
        ),
        pytest.param(
            LLAMA,
            {"generation": "hi", "prompt_token_count": 5, "generation_token_count": 2, "stop_reason": "length"},
            ("hi", "length", 5, 2),
            id="llama",
        ),
        pytest.param(
            OPENAI,
            {
                "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 5, "completion_tokens": 2},
            },
            ("hi", "stop", 5, 2),
            id="openai",
        ),
        pytest.param({"text": "outputs[0].text"}, {"outputs": [{"text": "hi"}]}, ("hi", None, None, None), id="bare"),
    ],
)
def test_text_of_each_family(response: dict[str, str], output: dict[str, Any], answer: tuple[Any, ...]) -> None:
    found = text(line(ID, output), response)
    assert (found.record_id, found.value.decode(), found.stop_reason, found.input_tokens, found.output_tokens) == (
        ID,
        *answer,
    )


@pytest.mark.parametrize(
    ("content", "value"),
    [
        pytest.param([block(text="part1 "), block(text="part2")], b"part1 part2", id="two texts"),
        pytest.param(
            [block(reasoningContent={"reasoningText": {"text": "hm", "signature": None}}), block(text="hi")],
            b"hi",
            id="reasoning first",
        ),
        pytest.param([block(reasoningContent={"redactedContent": "eA=="})], None, id="reasoning alone"),
        pytest.param([block(text="hi"), block(toolUse={"name": "f", "input": {}})], b"hi", id="tool last"),
        pytest.param([block(toolUse={"name": "f", "input": {}})], None, id="tool alone"),
        pytest.param([None, block(text="hi")], b"hi", id="a null block"),
        pytest.param([block(text="")], None, id="empty text"),
        pytest.param([], None, id="no blocks"),
        pytest.param(None, None, id="content null"),
    ],
)
def test_content_of_every_make(content: Any, value: bytes | None) -> None:
    output = converse() | {"output": {"message": {"content": content}}}
    found = text(line(ID, output))
    assert (found.value, found.stop_reason, found.input_tokens) == (value, "end_turn", 7)


@pytest.mark.parametrize("output", [{}, {"output": None}, {"output": {"message": None}, "usage": None}])
def test_an_answer_that_holds_nothing(output: dict[str, Any]) -> None:
    assert text(line(ID, output)) == Answer(ID, None)


@pytest.mark.parametrize("choices", [[], [None], [{"message": None}], None])
def test_a_list_without_the_element_asked_for(choices: Any) -> None:
    assert text(line(ID, {"choices": choices, "usage": {"prompt_tokens": 5}}), OPENAI) == Answer(ID, None, None, 5)


@pytest.mark.parametrize("parse", [text, vector])
@pytest.mark.parametrize(
    ("members", "code", "message"),
    [
        ({"error": {"errorCode": 400, "errorMessage": "bad request"}}, "400", "bad request"),
        ({"error": {"errorCode": "429", "errorMessage": "slow down"}}, "429", "slow down"),
        ({"error": {"errorCode": None, "errorMessage": None}}, "UnknownError", "Bedrock gave no error message"),
        ({"error": {}}, "UnknownError", "Bedrock gave no error message"),
        ({"error": {"errorCode": 400.5, "errorMessage": {"a": 1}}}, "400.5", '{"a": 1}'),
        ({"error": "boom"}, "UnknownError", "boom"),
        ({"error": {"errorCode": 400, "errorMessage": "late", "expired": True}}, "expired", "late"),
        ({"error": {"errorMessage": "late"}, "expired": True}, "expired", "late"),
        ({"expired": True}, "expired", "the job reached its deadline before the record's turn"),
        (
            {"modelOutput": {"embedding": [1, 2, 3]}, "error": {"errorCode": 500}},
            "500",
            "Bedrock gave no error message",
        ),
        ({"modelOutput": None, "error": None}, "EmptyAnswer", "the output line has neither modelOutput nor error"),
        ({}, "EmptyAnswer", "the output line has neither modelOutput nor error"),
    ],
)
def test_lines_that_say_they_failed(parse: Any, members: dict[str, Any], code: str, message: str) -> None:
    assert parse(line(ID, **members)) == Failure(ID, code, message)


def test_a_null_error_beside_an_answer_is_no_error() -> None:
    assert text(line(ID, converse("hi"), error=None, expired=False)).value == b"hi"
    assert vector(line(ID, {"embedding": [1, 2, 3]}, error=None)).value.tolist() == [1, 2, 3]


def test_keys_in_any_order() -> None:
    value = json.loads(line(ID, converse("hi")))
    assert text(json.dumps(dict(reversed(value.items()))).encode()).value == b"hi"


@pytest.mark.parametrize(
    ("output", "found"),
    [
        pytest.param({**converse(), "output": {"message": {"content": [{"text": 42}]}}}, b"42", id="a number"),
        pytest.param(
            {**converse(), "output": {"message": {"content": [{"text": {"ä": [1]}}]}}}, '{"ä": [1]}'.encode(), id="json"
        ),
        pytest.param({**converse("hi"), "stopReason": 7}, b"hi", id="stop reason"),
        pytest.param({**converse("hi"), "usage": "none"}, b"hi", id="usage"),
        pytest.param({**converse("hi"), "usage": {"inputTokens": 2**70, "outputTokens": -1}}, b"hi", id="huge"),
        pytest.param({**converse("hi"), "usage": {"inputTokens": 7.0}}, b"hi", id="float"),
    ],
)
def test_odd_values_do_not_cost_the_answer(output: dict[str, Any], found: bytes) -> None:
    raw = b"\n".join([line("a", converse("before")), line(ID, output), line("b", converse("after"))])
    before, odd, after = TextParser(CONVERSE)(raw)
    assert isinstance(odd, Answer) and (odd.record_id, odd.value) == (ID, found)
    assert [result.value for result in (before, after) if isinstance(result, Answer)] == [b"before", b"after"]


def test_odd_numbers_beside_the_answer_become_nulls_or_integers() -> None:
    odd = text(line(ID, {**converse("hi"), "stopReason": 7, "usage": {"inputTokens": 7.0, "outputTokens": 1.5}}))
    assert (odd.stop_reason, odd.input_tokens, odd.output_tokens) == ("7", 7, None)
    odd = text(line(ID, {**converse("hi"), "usage": {"inputTokens": 2**63, "outputTokens": -1}}))
    assert (odd.stop_reason, odd.input_tokens, odd.output_tokens) == ("end_turn", None, None)


def test_an_answer_that_cannot_be_read_is_a_failure_of_its_record_alone() -> None:
    output = converse() | {"output": {"message": {"content": "plain"}}}
    found = text(line(ID, output))
    assert found == Failure(ID, "Unparseable", "modelOutput is not as expected: a list was expected at [], not a text")


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        pytest.param(line(ID, converse("a\u2028b\u2029c\x85d")), "a\u2028b\u2029c\x85d", id="line separators"),
        pytest.param(line(ID, converse("}\n{")), "}\n{", id="braces"),
        pytest.param(line(ID, converse("😀é")), "😀é", id="emoji"),
        pytest.param(line(ID, converse("?")).replace(b'"?"', b'"\\ud83d\\ude00"'), "😀", id="surrogate pair"),
        pytest.param(line(ID, converse("a?b")).replace(b"a?b", b"a\\ud800b"), "a?b", id="lone surrogate"),
        pytest.param(line(ID, converse("a?b")).replace(b"a?b", b"a\xffb"), "a\ufffdb", id="invalid UTF-8"),
        pytest.param(line(ID, converse("a?b")).replace(b"a?b", b"a\tb"), "a\tb", id="raw control character"),
        pytest.param(b"\xef\xbb\xbf" + line(ID, converse("hi")), "hi", id="byte order mark"),
        pytest.param(line(ID, converse("hi")) + b"\r", "hi", id="CRLF"),
        pytest.param(line(ID, converse("hi")).replace(b"say", b"\xff\xfe"), "hi", id="echo in another encoding"),
        pytest.param(
            line(ID, converse("hi")).replace(b'"modelInput": {', b'"modelInput": {"x": NaN, '), "hi", id="NaN"
        ),
    ],
)
def test_text_comes_through_unharmed(raw: bytes, value: str) -> None:
    assert text(raw).value.decode() == value


def test_lines_are_split_at_newlines_only_and_blank_ones_passed_over() -> None:
    """A blank line, CRLF, a trailing newline and U+2028 within a text."""
    lines = [line(str(number), converse(f"a\u2028{number}")) for number in range(4)]
    raw = lines[0] + b"\n\n" + lines[1] + b"\r\n \r\n" + lines[2] + b"\n" + lines[3] + b"\n\n"
    assert list(TextParser(CONVERSE)(raw)) == [
        Answer(str(number), f"a\u2028{number}".encode(), "end_turn", 7, 3) for number in range(4)
    ]
    assert [found and found.record_id for found in VectorParser(TITAN, 1)(raw)] == ["0", "1", "2", "3"]
    assert [found and found.record_id for found in TextParser({"text": "usage.totalTokens"})(raw)] == [*"0123"]


@pytest.mark.parametrize(
    "broken",
    [b'{"recordId": "a", "modelOut', b"null", b"[]", b'"x"', b"{}}", b"[" * 99_999, b'{"modelInput":' + b"[" * 99_999],
)
def test_a_line_that_is_no_object_is_told_and_harms_no_other(broken: bytes) -> None:
    raw = b"\n".join([line("a", converse("hi")), broken, line("b", converse("ho"))])
    results = TextParser(CONVERSE)(raw)
    assert [result and result.record_id for result in results] == ["a", None, "b"]
    raw = b"\n".join([line("a", {"embedding": [1, 2, 3]}), broken, line("b", {"embedding": [1, 2, 3]})])
    assert [result and result.record_id for result in VectorParser(TITAN, 3)(raw)] == ["a", None, "b"]


@pytest.mark.parametrize("record_id", [None, 17, ["x"]])
def test_a_record_id_that_is_no_text_is_none(record_id: Any) -> None:
    assert text(line(record_id, converse("hi"))).record_id is None
    assert vector(line(record_id, {"embedding": [1, 2, 3]})).record_id is None


NOVA_VECTOR = {"embedding": "embeddings[0].embedding"}


@pytest.mark.parametrize(
    ("response", "output", "tokens"),
    [
        pytest.param(
            TITAN,
            {"embedding": [0.5, -1, 2e-3], "embeddingsByType": {"float": [9, 9, 9]}, "inputTextTokenCount": 4},
            4,
            id="titan v2",
        ),
        pytest.param(
            TITAN, {"embedding": [0.5, -1, 0.002], "inputTextTokenCount": 4, "message": None}, 4, id="titan mm"
        ),
        pytest.param(
            NOVA_VECTOR,
            {"embeddings": [{"embeddingType": "TEXT", "embedding": [0.5, -1, 0.002], "truncatedCharLength": 9}]},
            None,
            id="nova",
        ),
        pytest.param(
            {"embedding": "embeddings.float[0]"}, {"embeddings": {"float": [[0.5, -1, 0.002]]}}, None, id="cohere"
        ),
        pytest.param({"embedding": "a/b~c"}, {"a/b~c": [0.5, -1, 0.002]}, None, id="key with pointer characters"),
        pytest.param(
            {"embedding": "a~1b"}, {"a/b": [9, 9, 9], "a~1b": [0.5, -1, 0.002]}, None, id="key like an escape"
        ),
        pytest.param(TITAN, {"embedding": [0.5, -1, 0.002], "inputTextTokenCount": 4.0}, 4, id="odd token count"),
    ],
)
def test_vectors_of_each_family(response: dict[str, str], output: dict[str, Any], tokens: int | None) -> None:
    found = vector(line(ID, output), response)
    assert found.value.dtype == np.float32
    assert found.value.tolist() == np.array([0.5, -1, 0.002], np.float32).tolist()
    assert (found.record_id, found.input_tokens, found.stop_reason) == (ID, tokens, None)


@pytest.mark.parametrize(
    ("output", "code"),
    [
        ({"embedding": [1, 2]}, "WrongDimensions"),
        ({"embedding": [1, 2, 3, 4]}, "WrongDimensions"),
        ({"embedding": [[1, 2], [3]]}, "Unparseable"),
        ({"embedding": [[1], [2], [3, 4]]}, "Unparseable"),
        ({"embedding": [1, None, 3]}, "Unparseable"),
        ({"embedding": [1, "2", 3]}, "Unparseable"),
        ({"embedding": [1, True, 3]}, "Unparseable"),
        ({"embedding": [1, 1e300, 3]}, "Unparseable"),
        ({"embedding": "AAAA"}, "Unparseable"),
        ({"embedding": {"float": [1, 2, 3]}}, "Unparseable"),
        ({"message": "the image is too large", "embedding": None}, "ModelError"),
        ({"message": "the image is too large", "embedding": [1, 2, 3]}, "ModelError"),
    ],
)
def test_vectors_that_are_none(output: dict[str, Any], code: str) -> None:
    """One bad embedding fails its own record, and says how."""
    raw = b"\n".join([line("a", {"embedding": [1, 2, 3]}), line(ID, output), line("b", {"embedding": [4, 5, 6]})])
    before, bad, after = VectorParser(TITAN, 3)(raw)
    assert isinstance(bad, Failure) and (bad.record_id, bad.code) == (ID, code)
    assert [result.value.tolist() for result in (before, after)] == [[1, 2, 3], [4, 5, 6]]  # type: ignore[union-attr]  # both are answers


@pytest.mark.parametrize("said", ["expected [1, 512] but got []", "[", "a [nested [1]] é [2", 'quoted "[3]"'])
def test_brackets_in_the_message_of_a_failure_stay(said: str) -> None:
    refused = line("b", error={"errorCode": 400, "errorMessage": said})
    lines = [line("a", {"embedding": [1, 2, 3]}), refused, line("c", {"message": said})]
    answer, *failures = VectorParser(TITAN, 3)(b"\n".join(lines))
    assert isinstance(answer, Answer) and answer.record_id == "a"
    assert failures == [Failure("b", "400", said), Failure("c", "ModelError", said)]


@pytest.mark.parametrize("output", [{"embeddingsByType": {"binary": [1]}}, {"embedding": None}, {"embedding": []}])
def test_an_answer_without_a_vector(output: dict[str, Any]) -> None:
    assert vector(line(ID, output)) == Answer(ID, None)


def test_integers_beyond_64_bits_are_still_numbers() -> None:
    assert vector(line(ID, {"embedding": [2**64, 1, 2]})).value.tolist() == [2.0**64, 1, 2]


def test_paths_that_contradict_each_other_are_refused() -> None:
    for other in ("content", "content.text", "content[].text.more"):
        with pytest.raises(InvalidRunInput, match="contradict"):
            TextParser({"text": "content[].text", "input_tokens": other})
    with pytest.raises(InvalidRunInput, match="must lead to one vector"):
        VectorParser({"embedding": "embeddings[].embedding"}, 3)


def test_two_names_may_share_a_path_and_lists() -> None:
    response = {"text": "choices[].text", "stop_reason": "choices[].why"}
    found = text(line(ID, {"choices": [{"text": "a", "why": None}, {"text": "b", "why": "stop"}]}), response)
    assert (found.value, found.stop_reason) == (b"ab", "stop")
    assert text(line(ID, {"a": "x"}), {"text": "a", "stop_reason": "a"}).stop_reason == "x"


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_blocks_are_cut_at_line_ends(size: int) -> None:
    raw = b"".join(b"%d " % number * (number % 50) + b"\n" for number in range(300)) + b"the last"
    blocks = [bytes(block) for block in whole_lines(raw[at : at + size] for at in range(0, len(raw), size))]
    assert b"".join(blocks) == raw
    assert all(block.endswith(b"\n") for block in blocks[:-1])


def test_blocks_are_small_and_lines_may_be_larger() -> None:
    lines = [b"x" * length + b"\n" for length in [400_000] * 10 + [3_000_000, 5, 3_000_000]]
    blocks = [bytes(block) for block in whole_lines([b"".join(lines)])]
    assert b"".join(blocks) == b"".join(lines)
    assert max(len(block) for block in blocks) == 3_000_001
    assert len(blocks) > 5


DEEP = "[" * 1000 + "]" * 1000
ABYSS = '{"a":' * 100_000 + "1" + "}" * 100_000
HOSTILE = {
    "deep": DEEP,
    "deep objects": ABYSS,
    "5,000 digits": "9" * 5000,
    "400 digits": "-" + "9" * 400,
    "exponent": "1e99999999999999999999",
    "beyond a double": "1e400",
    "long fraction": "0." + "1" * 6000,
    "NaN": "NaN",
    "Infinity": "-Infinity",
    "half a pair": r'"\ud83d"',
    "a key twice": '{"x": 1, "x": 2}',
    "a null character": r'"\u0000"',
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize(
    "members",
    [
        '"modelOutput": {"content": [{"text": %s}]}',
        '"modelOutput": {"content": [{"text": "a"}], "usage": {"input_tokens": %s}}',
        '"modelOutput": {"content": [{"text": "a"}], "stop_reason": %s}',
        '"modelOutput": %s',
        '"modelOutput": {"embedding": [1, 2, %s]}',
        '"modelOutput": {"embedding": %s}',
        '"modelOutput": {"message": %s}',
        '"error": %s',
        '"error": {"errorCode": %s, "errorMessage": "m"}',
        '"expired": %s',
    ],
)
def test_whatever_an_answer_holds_the_row_has_an_outcome(members: str, value: str) -> None:
    raw = f'{{"recordId": "{ID}", {members % value}}}\n'.encode()
    for parse in (TextParser(CLAUDE), VectorParser(TITAN, 3)):
        one, other = parse(raw + line(ID, {"content": [{"text": "ok"}], "embedding": [1, 2, 3]}))
        assert one.record_id == ID
        assert isinstance(other, Answer), "the others are not harmed"


@pytest.mark.parametrize("echo", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_echo_does_not_cost_the_answer(echo: str) -> None:
    raw = f'{{"modelInput": {echo}, "recordId": "{ID}", "modelOutput": %s}}\n'
    assert text((raw % '{"content": [{"text": "ok"}]}').encode(), CLAUDE).value == b"ok"
    assert vector((raw % '{"embedding": [1, 2, 3]}').encode()).value.tolist() == [1, 2, 3]


def test_what_is_nested_too_deeply_is_a_failure_of_its_record() -> None:
    raw = f'{{"recordId": "{ID}", "modelOutput": {{"content": [{{"text": {ABYSS}}}]}}}}'.encode()
    assert text(raw, CLAUDE) == Failure(ID, "Unparseable", "the output line is nested too deeply")
    for broken in (
        DEEP.encode(),
        ABYSS[:-3].encode(),
        b"[" * 100_000,
        b'{"recordId": "x", "modelOutput": ' + b"[" * 9999,
    ):
        assert text(broken, CLAUDE) is None or isinstance(text(broken, CLAUDE), Failure)


def test_a_service_tier_disturbs_no_parser_wherever_it_stands() -> None:
    """A block of lines is decoded by C; one with an odd line is read again, and that line by the standard library."""
    for parse, output, value in (
        (TextParser(CONVERSE), converse("hi"), b"hi"),
        (VectorParser(TITAN, 2), {"embedding": [1, 2], "inputTextTokenCount": 3}, None),
    ):
        members = {"recordId": "a", "modelInput": {"serviceTier": "x"}, "modelOutput": output}
        for tier in ("flex", None, 7, {"type": "flex"}):
            for place in range(4):
                pairs = list(members.items())
                pairs.insert(place, ("serviceTier", tier))
                good = json.dumps(dict(pairs)).encode()
                for raw in (good, good + b"\n\xff{", good.replace(b'"a"', b'"a\xff"')):
                    found = next(iter(parse(raw)))
                    assert isinstance(found, Answer), (tier, place, raw)
                    assert value is None or found.value == value

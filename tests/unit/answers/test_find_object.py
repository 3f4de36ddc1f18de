"""Objects in a text: compared with a slow and obvious search, and measured on texts that are made to be slow."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bedrock_batch.answers import find_object
from bedrock_batch.answers.answer_schema import Reader, Unfit
from bedrock_batch.answers.find_object import MOST_DEPTH, NotJson, Surroundings, parse, spans

# --- The slow search: character by character, as the rule has it ---


def slow_text_end(text: str, start: int) -> int | None:
    """Return where the text that begins with the quote at `start` ends; None when it does not."""
    place = start + 1
    while place < len(text):
        if text[place] == "\\":
            place += 2
        elif text[place] == '"':
            return place + 1
        else:
            place += 1
    return None


def slow_key(text: str, brace: int) -> str | None:
    """Return the quoted key behind a brace, when white space and a colon follow as they should."""
    quote = brace + 1
    while quote < len(text) and text[quote] in " \t\n\r":
        quote += 1
    if text[quote : quote + 1] != '"' or (end := slow_text_end(text, quote)) is None:
        return None
    return text[quote:end] if text[end:].lstrip(" \t\n\r").startswith(":") else None


def slow_end(text: str, start: int) -> int:
    depth, place = 0, start
    while place < len(text):
        if text[place] == '"':
            end = slow_text_end(text, place)
            if end is None:
                return len(text)
            place = end
            continue
        depth += (text[place] == "{") - (text[place] == "}")
        place += 1
        if not depth:
            return place
    return len(text)


def slow_spans(text: str) -> list[tuple[int, int, str]]:
    found = []
    place = 0
    while place < len(text):
        key = slow_key(text, place) if text[place] == "{" else None
        if key is None:
            place += 1
        else:
            end = slow_end(text, place)
            found.append((place, end, key))
            place = end
    return found


def slow_value(text: str) -> Any:
    """Return the value of a JSON text. Raises ValueError."""

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    value = json.loads(text, strict=False, parse_constant=refuse)
    if "inf" in repr(value).lower():
        raise ValueError("a number is too large")
    return value


def slow_answer(text: str, names: set[str], is_valid: Callable[[Any], bool]) -> Any:
    """Return the value of the answer, or the text "unfit"."""
    try:
        whole = slow_value(text)
    except ValueError:
        pass
    else:
        return whole if is_valid(whole) else "unfit"
    for start, end, key in reversed(slow_spans(text)):
        try:
            value = slow_value(text[start:end])
        except ValueError:
            if key[1:-1] in names:
                return "unfit"
            continue
        if names & set(value) and is_valid(value):
            return value
    return "unfit"


PIECES = [
    *"{}[]:,\"'\\ax1 \n",
    '{"a":',
    '{"b" :',
    '{ "x":',
    '{"a": 1}',
    '{"b": "}"}',
    '{"x": {"a": 2}}',
    '{"a": "x", "b": [{"a": 3}]}',
    '{"a": None}',
    '{"a": 1,}',
    '{"b": 1e400}',
    '{"a": "\\""}',
    "{}",
    "{i}",
    "\\frac{i}{2}",
    "```json\n",
    "{'a': 1}",
    '"a":',
    "null",
    "So: ",
]
SOUP = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


@settings(max_examples=1_500, deadline=None)
@given(SOUP)
def test_the_search_finds_what_the_rule_says(text: str) -> None:
    found = [(span.start, span.stop, span.key.decode()) for span in spans(text.encode())]
    assert found == slow_spans(text)


READER = Reader({"type": "object", "properties": {"a": {}, "b": {"type": ["string", "array"]}}})


@settings(max_examples=1_500, deadline=None)
@given(SOUP)
@example('{"a":null}')
def test_the_answer_is_the_one_that_the_rule_says(text: str) -> None:
    def is_valid(value: Any) -> bool:
        return isinstance(value, dict) and isinstance(value.get("b", ""), str | list)

    expected = slow_answer(text, {"a", "b"}, is_valid)
    try:
        read = READER.read(text.encode())
        found: Any = {
            name: value for name, value in read.items() if value is not None
        }  # The cell is null in both cases.
    except Unfit as problem:
        found = "unfit"
        if "its beginning is missing" in str(problem):
            return  # tests/unit/answers/test_broken_answers.py has this rule
    if expected != "unfit":
        expected = {
            name: json.dumps(value, separators=(",", ":"))
            for name, value in expected.items()
            if name in ("a", "b") and value is not None
        }
    assert found == expected


def test_places_are_bytes() -> None:
    text = 'é😀 {"é": "}"} ü'.encode()
    (span,) = spans(text)
    assert text[span.start : span.stop] == '{"é": "}"}'.encode()
    assert span.key == '"é"'.encode()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": "x\ny\r\tz"}', {"a": "x\ny\r\tz"}),
        ('{\n"a":\t"x\\n"}', {"a": "x\n"}),
        ('["x\ny"]', ["x\ny"]),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ('{"a": -0.0}', {"a": -0.0}),
        ('{"a": 123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
    ],
)
def test_line_breaks_in_texts_are_forgiven(text: str, value: Any) -> None:
    assert parse(text.encode()) == value


@pytest.mark.parametrize(
    "text",
    [
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"a": -Infinity}',
        '{"a": 1e400}',
        '{"a": -1e400}',
        '{"a": 01}',
        '{"a": .5}',
        '{"a": +1}',
        '{"a": 0x10}',
        '{"a": 1,}',
        "{'a': 1}",
        "{a: 1}",
        '{"a": 1} // no',
        '{"a": /* no */ 1}',
        '{"a": True}',
        '{"a": None}',
        '{"a": undefined}',
        r'{"a": "\ud800"}',
        r'{"\udfff": 1}',
        r'{"a": "\x41"}',
        '{"a": "\x00"}',
        '{"a": "\x1b"}',
        '{"a": 1}{"a": 2}',
        '{"a": 1',
        '{"a" 1}',
        '{"a": "x" "b": 1}',
        '{"a": "say "no""}',
        "",
        '{"a": ' + "9" * 5_000 + "}",
        "[" * (MOST_DEPTH + 1) + "]" * (MOST_DEPTH + 1),
        '{"a":' * (MOST_DEPTH + 1) + "1" + "}" * (MOST_DEPTH + 1),
        "[" * 100_000,
    ],
)
def test_nothing_else_is_forgiven(text: str) -> None:
    with pytest.raises(NotJson):
        parse(text.encode())


@pytest.mark.parametrize("text", [b'{"a": "\xed\xa0\x80"}', b'{"a": "\xff"}', b"\xff"])
def test_what_is_no_utf8_is_no_json(text: bytes) -> None:
    with pytest.raises(NotJson):
        parse(text)


def test_values_may_be_as_deep_as_is_said() -> None:
    deep = "[" * MOST_DEPTH + "]" * MOST_DEPTH
    assert parse(deep.encode())
    wide = '{"a": [' + ",".join(["[{}]"] * 500) + "]}"
    assert len(parse(wide.encode())["a"]) == 500


# --- Time ---

HOSTILE = [
    '{"a":',
    "{",
    '"',
    "\\",
    '{"',
    '\\"',
    '{"\\"',
    "{ ",
    '{"a" ',
    '{"a":1}',
    '{"a":1},',
    '{"a":x}',
    '{"a":1}{"a":x}',
    '"a":[{"a":1}]}',
    '"a":[',
    '["',
    "[",
    "{x:",
    '{"a":"\n"}',
    '{"a":\n"',
    "{'a':",
    "\0,",
]


def work_of(text: bytes) -> int:
    """Return how often the code of this module, and what it passes to `re` and to decoders, is entered."""
    count = 0

    def trace(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(trace)
    try:
        with_problem(text)
    finally:
        sys.setprofile(None)
    return count


def with_problem(text: bytes) -> None:
    try:
        READER.read(text)
    except Unfit as problem:
        assert len(str(problem)) < 1_000


@pytest.mark.parametrize("prefix", ["", '"', '{"a":"', '{"a":', "x {"])
@pytest.mark.parametrize("piece", HOSTILE)
def test_work_grows_no_faster_than_the_text(prefix: str, piece: str) -> None:
    def text(size: int) -> bytes:
        return (prefix + piece * (size // len(piece))).encode()

    assert work_of(text(40_000)) <= 4.2 * work_of(text(10_000)) + 200


@pytest.mark.parametrize("prefix", ["", '"', '{"a":"'])
@pytest.mark.parametrize("piece", HOSTILE)
def test_a_megabyte_takes_seconds_at_most(prefix: str, piece: str) -> None:
    """Within one call of `re`, time does not grow faster than the text: about twentyfold for twenty times the text."""

    def seconds(size: int) -> float:
        started = time.process_time()
        with_problem((prefix + piece * (size // len(piece))).encode())
        return time.process_time() - started

    # Other programs make a turn slower, never faster.
    assert any(seconds(1_000_000) <= 20 * seconds(100_000) + 0.5 for _ in range(3))


def test_what_stands_around_is_looked_at_within_bounds() -> None:
    assert find_object._WINDOW <= 1_000
    for around in ('"', '["', '"a":[', "[" * 10, '"' + "a " * 30, "{a:[", "]}"):
        text = (around * 100_000 + '{"a": 1}' + around * 100_000).encode()
        found = list(spans(text))
        started = time.process_time()
        for number in range(min(len(found), 10)):
            Surroundings(text, found[number : number + 1]).show_a_member(0)
        assert time.process_time() - started < 5


def test_objects_are_passed_over_as_fast_as_json_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slow loop is for objects that are broken: an answer in a fence does not need it."""
    monkeypatch.setattr(find_object, "_end", None)
    text = '```json\n{"a": [{"a": 1}], "b": "x"}\n```\nor {"a": 2}'
    assert len(list(spans(text.encode()))) == 2

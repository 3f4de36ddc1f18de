"""Response paths: the grammar, and what a path finds."""

from typing import Any

import pytest

from bedrock_batch.answers.response_path import EVERY, WrongKind, compile_path, find
from bedrock_batch.errors import InvalidRunInput


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("embedding", ("embedding",)),
        ("usage.inputTokens", ("usage", "inputTokens")),
        ("output.message.content[].text", ("output", "message", "content", EVERY, "text")),
        ("choices[0].message.content", ("choices", 0, "message", "content")),
        ("a[][12]", ("a", EVERY, 12)),
        ("stop-reason.0 %", ("stop-reason", "0 %")),
    ],
)
def test_a_path_compiles_to_its_steps(text: str, steps: tuple[Any, ...]) -> None:
    assert compile_path(text) == steps


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "[0]", "a[", "a]", "a[-1]", "a[x]", "a[0]b", "a[].[0]", 'a"', "a\\b", "a\n"]
)
def test_what_is_no_path_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidRunInput, match="in response is not valid") as caught:
        compile_path(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ("a.b", {"a": {"b": 1}}, [1]),
        ("a.b", {"a": None}, []),
        ("a.b", {}, []),
        ("a.b", None, []),
        ("a[].b", {"a": [{"b": "x"}, {"b": None}, {}, None, {"b": "y"}]}, ["x", "y"]),
        ("a[]", {"a": []}, []),
        ("a[][]", {"a": [[1, 2], [3]]}, [1, 2, 3]),
        ("a[1]", {"a": [1, 2]}, [2]),
        ("a[2]", {"a": [1, 2]}, []),
        ("a", {"a": 0}, [0]),
    ],
)
def test_a_path_finds_values_and_passes_over_nulls(path: str, value: Any, found: list[Any]) -> None:
    assert list(find(compile_path(path), value)) == found


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("a.b", {"a": "secret"}, "an object was expected at b, not a text"),
        ("a[]", {"a": {"secret": 1}}, r"a list was expected at \[\], not an object"),
        ("a[0]", {"a": 3}, r"a list was expected at \[0\], not a number"),
    ],
)
def test_a_value_of_the_wrong_kind_is_told_apart_and_not_shown(path: str, value: Any, words: str) -> None:
    with pytest.raises(WrongKind, match=words) as caught:
        list(find(compile_path(path), value))
    assert "secret" not in str(caught.value)

"""The template language and its error messages."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_batch.errors import MissingColumn, UnknownPrompt
from bedrock_batch.models.template import Place, check_columns, columns_of, literal_columns, parse, resolve

SCHEMA = pa.schema(
    [
        ("review", pa.string()),
        ("a", pa.struct([("b", pa.string()), ("c", pa.struct([("d.e", pa.int64())]))])),
        ("a.b", pa.string()),
        ("Product Title", pa.string()),
    ]
)


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", []),
        ("plain", ["plain"]),
        ("{a}", ["a:0"]),
        ("x {a}{b c}.", ["x ", "a:2", "b c:5", "."]),
        ('{{"k": "{a}"}}', ['{"k": "', "a:8", '"}']),
        ("{{{a}}}", ["{", "a:2", "}"]),
        ("{{}}{{a}}", ["{}{a}"]),
    ],
)
def test_parse(text: str, segments: list[str]) -> None:
    found = [f"{part.name}:{part.position}" if isinstance(part, Place) else part for part in parse(text).segments]
    assert found == segments


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("say {", r"opening brace has no closing brace at line 1, character 5"),
        ("one\n\ntwo {x {y}", r"opening brace has no closing brace at line 3, character 5"),
        ("a } b", "closing brace has no opening brace at line 1, character 3"),
        ("{{a}", "closing brace has no opening brace at line 1, character 4"),
        ("a {} b", "place is empty at line 1, character 3"),
        ("{ }", "place is empty at line 1, character 1"),
    ],
)
def test_a_brace_that_makes_no_sense_is_named_and_explained(text: str, message: str) -> None:
    with pytest.raises(UnknownPrompt, match=message) as caught:
        parse(text)
    assert "{{ and }}" in str(caught.value)
    assert text not in str(caught.value), "a prompt may be confidential"


def test_a_brace_in_a_request_is_named_by_its_member() -> None:
    with pytest.raises(UnknownPrompt, match=r"request\.a\.1\.b: An opening brace has no closing brace at line 1"):
        columns_of({"a": ["{x}", {"b": "{x"}]})


def test_columns_in_doubled_braces_are_found() -> None:
    schema = pa.schema([("a b", pa.string()), ("c", pa.string())])
    assert literal_columns({"x": ["{{ a b }} {{c}}", "{{c}} {{d}}"]}, schema) == ["a b", "c"]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_table_of_one_column_may_have_another_delimiter(separator: str) -> None:
    with pytest.raises(MissingColumn, match=r"one column only: if '(;|\\t)' separates cells, set input.csv.delimiter"):
        check_columns("{review}", pa.schema([(f"review{separator}product", pa.string())]))


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(UnknownPrompt, match="at line 1, character 3"):
        parse("ab\ud800c")


@given(st.text())
def test_any_text_with_doubled_braces_is_itself(text: str) -> None:
    segments = parse(text.replace("{", "{{").replace("}", "}}")).segments
    assert segments == ((text,) if text else ())


@given(st.lists(st.text() | st.sampled_from(["{x}", "{y z}"]).map(lambda name: (name,))))
def test_agrees_with_str_format(parts: list[str | tuple[str]]) -> None:
    text = "".join(part[0] if isinstance(part, tuple) else part.replace("{", "{{").replace("}", "}}") for part in parts)
    values = {"x": "<X>", "y z": "<YZ>"}
    ours = "".join(values[part.name] if isinstance(part, Place) else part for part in parse(text).segments)
    assert ours == text.format(**values)


def test_columns_of_walks_values_in_order_but_not_keys() -> None:
    request = {"{key}": ["{b}", {"x": "{a} {b}"}], "n": 1, "none": None, "t": True}
    assert columns_of(request) == ["b", "a"]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("review", ("review",)),
        ("a", ("a",)),
        ("a.b", ("a.b",)),
        ("a.c", ("a", "c")),
        ("a.c.d.e", ("a", "c", "d.e")),
        ("a.x", None),
        ("review.x", None),
        ("Review", None),
    ],
)
def test_resolve(name: str, path: tuple[str, ...] | None) -> None:
    assert resolve(name, SCHEMA) == path


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("reviews", "Did you mean {review}?"),
        ("PRODUCT TITLE", "Did you mean {Product Title}?"),
        ("a.c.d.f", "Did you mean {a.c.d.e}"),
        ("review.x", 'The column "review" has no fields.'),
        ('"sentiment": "good"', "Write literal braces twice"),
    ],
)
def test_a_missing_column_comes_with_near_misses_and_all_columns(name: str, hint: str) -> None:
    with pytest.raises(MissingColumn) as caught:
        check_columns({"text": ["{review}", "{" + name + "}"]}, SCHEMA)
    assert hint in str(caught.value)
    assert "review, a, a.b, Product Title" in str(caught.value)

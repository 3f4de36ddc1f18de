"""Schemas are read right or refused at plan time, and no answer makes reading take long or raise."""

import json
import time
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedrock_batch.answers.answer_schema import Reader, Unfit
from bedrock_batch.answers.schema_columns import MOST_FIELDS
from bedrock_batch.answers.schema_places import MOST_DEPTH, MOST_PLACES
from bedrock_batch.answers.schema_validator import MOST_PATTERNS
from bedrock_batch.errors import InvalidRunInput


def of(*, defs: dict[str, Any] | None = None, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "$defs": defs or {}}


def refusal(schema: dict[str, Any]) -> str:
    with pytest.raises(InvalidRunInput) as caught:
        Reader(schema)
    message = str(caught.value)
    assert message.startswith("output.schema") and len(message) < 700
    return message


def problem(reader: Reader, text: str) -> str:
    with pytest.raises(Unfit) as caught:
        reader.read(text.encode())
    assert len(str(caught.value)) < 700
    return str(caught.value)


def quick(seconds: float = 5) -> Any:
    """Return a context that fails when the processor is at work for longer."""

    class Quick:
        def __enter__(self) -> None:
            self.started = time.process_time()

        def __exit__(self, *_: object) -> None:
            assert time.process_time() - self.started < seconds

    return Quick()


# --- Patterns ---


@pytest.mark.parametrize(
    ("pattern", "bad"),
    [
        (r"^([a-zA-Z0-9]+[._-]?)*@example\.com$", "thisisaverylonganswerwithoutanyatsign" * 1_000),
        ("^(a+)+$", "a" * 50_000 + "!"),
        ("^(a|a)*b$", "a" * 50_000),
        ("^(a?){500}a{500}$", "a" * 400),
        (r"^(\w+\s?)*$", "a " * 50_000 + "!"),
        (".*x.*y.*z", "xy" * 50_000),
    ],
)
def test_no_answer_makes_a_pattern_take_long(pattern: str, bad: str) -> None:
    reader = Reader(of(mail={"type": "string", "pattern": pattern}))
    with quick():
        for text in (json.dumps({"mail": bad}), f"Here: {json.dumps({'mail': bad})}!"):
            assert "mail" in problem(reader, text) or "too large to say where" in problem(reader, text)


@pytest.mark.parametrize(
    ("pattern", "construct"),
    [
        ("^(?=.*a)b", "a look-ahead ((?=)"),
        ("^(?!no)", "a look-ahead ((?!)"),
        ("(?<=a)b", "a look-behind ((?<=)"),
        ("(?<!a)b", "a look-behind ((?<!)"),
        (r"(a)\1", r"a back-reference (\1)"),
        (r"(?<x>a)\k<x>", r"a back-reference (\k<)"),
    ],
)
def test_a_pattern_that_needs_backtracking_is_refused_by_name(pattern: str, construct: str) -> None:
    schemas = {
        "properties.mail.pattern": of(mail={"type": "string", "pattern": pattern}),
        "$defs.m.pattern": of(mail={"$ref": "#/$defs/m"}, defs={"m": {"pattern": pattern}}),
        "properties.mail.anyOf.0.items.pattern": of(mail={"anyOf": [{"items": {"pattern": pattern}}, {}]}),
        "properties.mail.patternProperties": of(mail={"patternProperties": {pattern: {}}}),
    }
    for where, schema in schemas.items():
        message = refusal(schema)
        assert f"{where} has {construct}" in message
        assert "Write the pattern without it" in message


@pytest.mark.parametrize(
    "pattern", ["(a", "a{1,1000}{1,1000}", r"(\p{L}{1,1000}){1,1000}", "[z-a]", r"\(?=a\)(", "[(?=a)]("]
)
def test_a_pattern_that_is_none_or_too_large_is_refused(pattern: str) -> None:
    message = refusal(of(a={"type": "string", "pattern": pattern}))
    assert "properties.a.pattern is" in message and "look" not in message


def test_patterns_are_those_of_json_schema() -> None:
    reader = Reader(of(code={"type": "string", "pattern": r"^\d{2}-[(?=]\(\?=$"}, name={"pattern": r"^\p{Lu}\w+"}))
    assert reader.read(b'{"code": "42-=(?="}') == {"code": "42-=(?="}
    assert reader.read('{"name": "Éa"}'.encode()) == {"name": '"Éa"'}
    assert "code" in problem(reader, '{"code": "٤٢-=(?="}')
    assert "code" in problem(reader, '{"code": "42-=(?=\\n"}')


def test_there_are_not_too_many_patterns() -> None:
    schema = of(**{f"p{i}": {"type": "string", "pattern": f"^a{i}"} for i in range(MOST_PATTERNS + 1)})
    assert f"may have at most {MOST_PATTERNS}." in refusal(schema)


# --- References ---


@pytest.mark.parametrize(
    "reference",
    [
        "https://example.com/a.json",
        "file:///etc/passwd",
        "other.json",
        "other.json#/$defs/a",
        "#a",
        "#/$defs/missing",
        "#/$defs/a/0",
        "#/required/0",
        "#/$defs",
        "/$defs/a",
        "",
        "#/$defs/list/-1",
    ],
)
def test_a_reference_stays_in_the_document(reference: str) -> None:
    schema = of(v={"$ref": reference}, defs={"a": {"type": "string"}, "list": {"anyOf": [{}]}}) | {"required": ["v"]}
    if reference == "#/$defs":
        return  # an object like any other: JSON Schema takes it for a schema without keywords
    assert f"refers to {reference!r}" in refusal(schema)


@pytest.mark.parametrize(
    ("reference", "type_"),
    [
        ("#/$defs/a~1b", pa.string()),
        ("#/$defs/a~0b", pa.int64()),
        ("#/$defs/a%25b", pa.float64()),
        ("#/$defs/%C3%A9", pa.bool_()),
        ("#/$defs/choice/anyOf/1", pa.int64()),
        ("#/properties/w", pa.float64()),
    ],
)
def test_a_reference_means_the_same_to_columns_and_validator(reference: str, type_: pa.DataType) -> None:
    kinds = {"a/b": "string", "a~b": "integer", "a%b": "number", "é": "boolean"}
    defs: dict[str, Any] = {name: {"type": kind} for name, kind in kinds.items()}
    defs["choice"] = {"anyOf": [{"type": "string"}, {"type": "integer"}]}
    reader = Reader(of(w={"type": "number"}, v={"$ref": reference}, defs=defs))
    assert reader.fields[1].type == type_
    values = {pa.string(): '"x"', pa.int64(): "1", pa.float64(): "1.5", pa.bool_(): "true"}
    for other, value in values.items():
        if other == type_ or (other == pa.int64() and type_ == pa.float64()):
            assert reader.read(f'{{"v": {value}}}'.encode())["v"] is not None
        else:
            problem(reader, f'{{"v": {value}}}')


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (of(a={"$id": "item", "$ref": "#/$defs/x"}, defs={"x": {"type": "string"}}), "$id in properties.a"),
        (of(a={"$id": "item", "$ref": "#/$defs/x", "$defs": {"x": {}}}, defs={"x": {}}), "$id in properties.a"),
        (of(a={"$ref": "#/$defs/x"}, defs={"x": {"$id": "x", "type": "string"}}), "$id in $defs.x"),
        (
            {"$schema": "http://json-schema.org/draft-04/schema#", **of(a={"id": "x", "type": "string"})},
            "id in properties.a",
        ),
        (of(a={"$dynamicRef": "#x"}), "$dynamicRef in properties.a"),
        (of(a={"$recursiveRef": "#"}), "$recursiveRef in properties.a"),
        ({"$dynamicRef": "#x", **of(a={})}, "$dynamicRef in its first level"),
        ({"$schema": "https://example.com/mine", **of(a={})}, "is not a JSON Schema"),
        ({"$schema": "http://json-schema.org/draft-03/schema#", **of(a={})}, "is not a JSON Schema"),
    ],
)
def test_what_changes_the_meaning_of_references_is_refused(schema: dict[str, Any], words: str) -> None:
    assert words in refusal(schema)


@pytest.mark.parametrize("type_", ["string", ["string", "integer"]])
def test_a_null_that_open_api_allows_is_written_as_json_schema_has_it(type_: Any) -> None:
    with pytest.raises(InvalidRunInput, match="has nullable in properties.a. .* Write the type as a list"):
        Reader(of(a={"type": type_, "nullable": True}))
    for member in ({"type": ["string", "null"], "nullable": True}, {"type": "string", "nullable": False}, {}):
        Reader(of(a=member, nullable={"type": "string"}))


def test_words_of_schemas_may_be_names_and_values() -> None:
    schema = of(
        **{
            "$id": {"type": "string", "id": "x"},
            "$ref": {"type": "string"},
            "x": {"enum": [{"$ref": "no", "$id": "no"}]},
        }
    )
    schema |= {"$id": "https://example.com/whole", "required": ["$ref"]}
    assert Reader(schema).read(b'{"$id": "a", "$ref": "b"}') == {"$id": "a", "$ref": "b"}


@pytest.mark.parametrize("draft", ["04", "06", "07"])
def test_older_drafts(draft: str) -> None:
    schema = {
        "$schema": f"http://json-schema.org/draft-{draft}/schema#",
        "type": "object",
        "definitions": {"d": {"type": "integer"}},
        "properties": {
            "n": {"$ref": "#/definitions/d", "type": "string"},
            "l": {"type": "array", "items": [{"type": "string"}, {"type": "integer"}]},
            "f": {"type": "string", "format": "date"},
        },
    }
    reader = Reader(schema)
    assert reader.read(b'{"n": 1, "l": ["a", 1], "f": "no date"}') == {"n": 1, "l": '["a",1]', "f": "no date"}


def test_formats_are_not_checked() -> None:
    reader = Reader(of(at={"type": "string", "format": "date"}, mail={"type": "string", "format": "email"}))
    assert reader.read(b'{"at": "soon", "mail": "?"}') == {"at": "soon", "mail": "?"}


# --- Size ---


@pytest.mark.parametrize("names", ["lr", "lrm", "abcdefghij"])
def test_a_schema_that_refers_to_itself_becomes_text_at_the_second_level(names: str) -> None:
    schema = of(v={"type": "string"}, **{name: {"$ref": "#"} for name in names})
    with quick():
        reader = Reader(schema)
    value: dict[str, Any] = {"v": "5"}
    for level in range(4, -1, -1):
        value = {"v": str(level), names[0]: value}
    found = reader.read(json.dumps(value).encode())
    (cell,) = reader.arrays([found])[1].to_pylist()
    assert cell["v"] == "1" and cell[names[0]]["v"] == "2"
    assert json.loads(cell[names[0]][names[0]]) == {"v": "3", names[0]: {"v": "4", names[0]: {"v": "5"}}}
    problem(reader, json.dumps({names[0]: {names[0]: {names[0]: {names[0]: {"v": 1}}}}}))


def test_lists_of_itself() -> None:
    reader = Reader(of(name={"type": "string"}, children={"type": "array", "items": {"$ref": "#"}}))
    inner = pa.struct([("name", pa.string()), ("children", pa.list_(pa.string()))])
    assert reader.fields[1].type == pa.list_(inner)
    deep: dict[str, Any] = {"name": "leaf"}
    for _ in range(50):
        deep = {"name": "n", "children": [deep]}
    reader.arrays([reader.read(json.dumps(deep).encode())])


def test_mutual_and_empty_loops() -> None:
    defs = {
        "a": {"type": "object", "properties": {"b": {"$ref": "#/$defs/b"}, "x": {"type": "integer"}}},
        "b": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "null"}]},
        "c": {"$ref": "#/$defs/d"},
        "d": {"$ref": "#/$defs/c"},
        "e": {"allOf": [{"$ref": "#/$defs/e"}]},
    }
    with quick():
        reader = Reader(of(v={"$ref": "#/$defs/a"}, w={"$ref": "#/$defs/c"}, y={"$ref": "#/$defs/e"}, defs=defs))
    assert reader.read(b'{"v": {"b": {"x": 1}}, "w": 3, "y": [4]}')["w"] == "3"
    problem(reader, '{"v": {"b": {"b": {"b": {"x": "no"}}}}}')


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf", "properties", "prefixItems"])
def test_references_that_multiply_are_refused(keyword: str) -> None:
    def level(number: int) -> dict[str, Any]:
        two = [{"$ref": f"#/$defs/d{number + 1}"}] * 2
        return {keyword: {"l": two[0], "r": two[1]} if keyword == "properties" else two}

    defs = {f"d{number}": level(number) for number in range(40)} | {"d40": {"type": "integer"}}
    with quick():
        assert f"{MOST_PLACES:,} schemas" in refusal(of(v={"$ref": "#/$defs/d0"}, defs=defs))


def test_deep_and_large_schemas_are_refused() -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(MOST_DEPTH):
        deep = {"type": "array", "items": deep}
    with quick():
        assert "too large" in refusal(of(v=deep))
        assert "too large" in refusal(of(**{f"p{number}": {} for number in range(MOST_PLACES + 1)}))
    for _ in range(5_000):
        deep = {"items": deep}
    with quick():
        assert "too large" in refusal(of(v=deep))


def test_a_schema_may_be_as_deep_as_is_said() -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(MOST_DEPTH - 2):
        deep = {"type": "array", "items": deep}
    reader = Reader(of(v=deep))
    reader.arrays([reader.read(f'{{"v": {"[" * 60}{"]" * 60}}}'.encode())])


def test_columns_have_a_limit_on_their_fields() -> None:
    kinds = [f"k{number}" for number in range(40)]
    defs = {
        kind: {"type": "object", "properties": {other: {"$ref": f"#/$defs/{other}"} for other in kinds}}
        for kind in kinds
    }
    with quick():
        assert f"{MOST_FIELDS:,} fields" in refusal(of(v={"$ref": "#/$defs/k0"}, w={"$ref": "#/$defs/k1"}, defs=defs))


# --- Time and memory, whatever the answer is ---


def test_choices_that_refer_to_themselves_are_judged_in_bounded_time() -> None:
    """Collecting all errors of such a schema doubles with each level."""
    node = {
        "anyOf": [
            {"type": "object", "properties": {"c": {"$ref": "#/$defs/n"}}, "required": ["x"]},
            {"type": "object", "properties": {"c": {"$ref": "#/$defs/n"}}, "required": ["y"]},
        ]
    }
    reader = Reader(of(v={"$ref": "#/$defs/n"}, defs={"n": node}))
    value: dict[str, Any] = {}
    for depth in range(1, 190):
        value = {"c": value}
        if depth < 30 or depth % 40 == 0:
            with quick():
                assert "v" in problem(reader, json.dumps({"v": value})) or depth > 3


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"anyOf": [{"type": "integer", "maximum": n} for n in range(200)]}},
        {"type": "array", "uniqueItems": True, "items": {"type": "integer"}},
        {"type": "array", "contains": {"const": -1}},
        {"not": {"type": "array", "items": {"type": "string"}}},
        {"type": "array", "items": {"enum": ["x" * 20 + str(n) for n in range(500)]}},
    ],
)
def test_large_answers_are_judged_in_bounded_time(schema: dict[str, Any]) -> None:
    reader = Reader(of(v=schema))
    for item in ('"x"', "1", "[[]]", "{}"):
        text = '{"v": [' + ",".join([item] * 50_000) + "]}"
        with quick(20):
            try:
                reader.arrays([reader.read(text.encode())])
            except Unfit as err:
                assert len(str(err)) < 700


def test_the_sentence_names_the_branch_that_comes_furthest() -> None:
    item = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
    reader = Reader(
        of(v={"anyOf": [{"$ref": "#/$defs/i"}, {"type": "null"}]}, w={"oneOf": [item, item]}, defs={"i": item})
    )
    assert problem(reader, '{"v": {"x": "a"}}') == 'v.x: "a" is not of type "integer"'
    assert problem(reader, '{"v": 3}').startswith("v: 3 is not valid under any of the schemas")
    assert problem(reader, '{"w": {"x": 1}}').startswith("w: ")


# --- Many schemas, many answers ---

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcx"), inner, max_size=3),
    max_leaves=8,
)
NAMED = st.sampled_from("abc")
SCHEMAS: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.booleans(),
        st.fixed_dictionaries(
            {"type": st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])}
        ),
        st.fixed_dictionaries(
            {"type": st.lists(st.sampled_from(["string", "integer", "null"]), min_size=1, unique=True)}
        ),
        st.fixed_dictionaries({"enum": st.lists(VALUES, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"const": VALUES}),
        st.fixed_dictionaries({"$ref": st.sampled_from(["#", "#/$defs/a", "#/$defs/b", "#/properties/a"])}),
        st.fixed_dictionaries({"pattern": st.sampled_from(["^a", r"\d", "(?i)b", "[a-c]+$", ""])}),
        st.sampled_from(
            [{}, {"minimum": 3}, {"multipleOf": 0.1}, {"maxLength": 2}, {"uniqueItems": True}, {"minItems": 1}]
        ),
    ),
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(NAMED, inner, max_size=3)},
            optional={"required": st.lists(NAMED, unique=True), "additionalProperties": inner},
        ),
        st.fixed_dictionaries(
            {"type": st.just("array")}, optional={"items": inner, "prefixItems": st.lists(inner, min_size=1)}
        ),
        st.fixed_dictionaries(
            {}, optional={key: st.lists(inner, min_size=1, max_size=2) for key in ("anyOf", "oneOf", "allOf")}
        ),
        st.fixed_dictionaries({}, optional={key: inner for key in ("not", "if", "then", "else", "contains", "items")}),
        st.fixed_dictionaries({"properties": st.dictionaries(NAMED, inner, max_size=2), "$ref": st.just("#/$defs/a")}),
        st.fixed_dictionaries({"patternProperties": st.dictionaries(st.sampled_from(["^a", "b"]), inner)}),
    ),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None)
@given(
    st.dictionaries(NAMED, SCHEMAS, min_size=1),
    st.fixed_dictionaries({"a": SCHEMAS, "b": SCHEMAS}),
    st.lists(VALUES | st.dictionaries(NAMED, VALUES), min_size=1, max_size=6),
    st.sampled_from(["https://json-schema.org/draft/2020-12/schema", "http://json-schema.org/draft-07/schema#", None]),
)
def test_nothing_but_unfit_leaves_the_reader(
    properties: dict[str, Any], defs: dict[str, Any], values: list[Any], draft: str | None
) -> None:
    schema = of(defs=defs, **properties) | ({"$schema": draft} if draft else {})
    try:
        reader = Reader(schema)
    except InvalidRunInput:
        return
    for value in values:
        for text in (json.dumps(value), f"So: {json.dumps(value, ensure_ascii=False)}."):
            try:
                found = reader.read(text.encode("utf-8", "surrogatepass"))
            except Unfit as err:
                assert len(str(err)) < 700
            else:
                reader.arrays([found])
    arrays, problems = reader.columns([None, b"", *(json.dumps(value).encode() for value in values)])
    assert all(len(array) == len(values) + 2 for array in arrays) and 0 not in problems


def test_what_raises_raises_at_plan_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(*_: Any) -> Any:
        raise TypeError("of a kind that nobody thought of")

    monkeypatch.setattr("bedrock_batch.answers.schema_columns.Columns.converted", raising)
    assert "raises TypeError: of a kind that nobody thought of" in refusal(of(a={"type": "string"}))

"""Answers of a schema are found in any surrounding text, validated, and turned into typed columns."""

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedrock_batch.answers.answer_schema import Reader, Unfit
from bedrock_batch.answers.text_parser import TextParser
from bedrock_batch.errors import InvalidRunInput
from bedrock_batch.join.joiner import Joiner
from bedrock_batch.join.output_columns import output_schema
from bedrock_batch.record_ids import record_id
from tests.unit.output_lines import CONVERSE, converse, line

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "label": {"enum": ["good", "bad"]},
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "stars": {"type": "integer"},
        "topics": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["label"],
}
GOOD = {"label": "good", "score": 0.5, "stars": 3, "topics": ["a", "b"]}


def read(text: str, schema: dict[str, Any] = SCHEMA) -> dict[str, Any]:
    return Reader(schema).read(text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(GOOD),
        f"  {json.dumps(GOOD, indent=2)}\n",
        f"```json\n{json.dumps(GOOD)}\n```",
        f"Here you are:\n```\n{json.dumps(GOOD)}\n```\nAnything else?",
        f"Sure {{thing}}! {json.dumps(GOOD)}",
        f'First {{"label": "bad"}}, but then {json.dumps(GOOD)}, or {{"label": "ugly"}}.',
        '{"label": "good", "score": 0.5, "stars": 3.0, "topics": ["a", "b"], "more": {"x": 1}}',
    ],
)
def test_an_answer_is_found_in_fences_and_prose(text: str) -> None:
    assert read(text) == GOOD


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there is no JSON object"),
        ("I cannot say.", "there is no JSON object"),
        ('{"label": "good"', "is not JSON"),
        ('{"other": 1} and {}', "there is no JSON object in the answer that has a property of the schema"),
        ("{" * 5_000, "there is no JSON object"),
        ('{"a": ' * 5_000, "there is no JSON object"),
        ('{"label": "ugly"}', 'label: "ugly" is not one of "good" or "bad"'),
        ('{"label": "good", "score": 2}', "score: 2 is greater than the maximum of 1"),
        ('{"label": "good", "score": NaN}', "is not JSON"),
        ('{"label": "good", "topics": ["a", 1]}', 'topics.1: 1 is not of type "string"'),
        ('{"score": 0.5}', '"label" is a required property'),
        ('[{"label": "good"}]', 'is not of type "object"'),
        ("null", 'null is not of type "object"'),
        (f'{{"label": "good", "stars": {2**63}}}', f"stars: {2**63} does not fit into 64 bits"),
        ('{"label": "good", "stars": 1e400}', "Number out of range"),
        ('So {"label": "ugly"} or {"label": "bald"}', 'label: "bald" is not one of'),
        ('{"label": "%s"}' % ("x" * 5_000), 'label: the value is not one of "good" or "bad"'),
    ],
)
def test_an_answer_that_does_not_fit_says_why(text: str, words: str) -> None:
    with pytest.raises(Unfit) as caught:
        read(text)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("open_, close", [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("depth", [300, *range(900, 1030, 5), 5_000, 100_000])
def test_an_answer_that_is_nested_deeply_is_read_or_unfit(open_: str, close: str, depth: int) -> None:
    schema = {"type": "object", "properties": {"a": {}, "b": {"type": "array"}}}
    for name in ("a", "b", "c"):
        raw = f'{{"{name}": {open_ * depth}{"1" if close == "}" else ""}{close * depth}}}'
        for text in (raw, f"Here: {raw}"):
            ((_, _), problems) = Reader(schema).columns([text.encode()])
            assert set(problems) <= {0}


@pytest.mark.parametrize(
    "number", ["9" * 400, "9" * 5_000, "-" + "9" * 5_000, "1e400", "1e99999999999999999999", "NaN"]
)
def test_an_answer_with_any_number_is_read_or_unfit(number: str) -> None:
    kinds = {"i": "integer", "n": "number", "s": "string"}
    schema = {"type": "object", "properties": {"x": {}, **{name: {"type": kind} for name, kind in kinds.items()}}}
    for name in ("x", "i", "n", "s", "other"):
        _, problems = Reader(schema).columns([f'{{"{name}": {number}}}'.encode()])
        assert set(problems) <= {0}


def test_properties_that_are_absent_or_null_are_null() -> None:
    schema = {"type": "object", "properties": {"a": {"type": ["string", "null"]}, "b": {"type": "integer"}}}
    reader = Reader(schema)
    rows = [reader.read(b'{"a": null}'), reader.read(b'{"a": "x", "b": 1}'), None]
    assert [array.to_pylist() for array in reader.arrays(rows)] == [[None, "x", None], [None, 1, None]]


@pytest.mark.parametrize("nullable", [{"type": ["object", "null"]}, {"type": "object"}])
def test_a_null_in_place_of_the_object_has_no_properties(nullable: dict[str, Any]) -> None:
    schema = {**nullable, "properties": {"a": {"type": "string"}}}
    reader = Reader(schema if "null" in nullable["type"] else {"anyOf": [schema, {"type": "null"}]})
    assert [array.to_pylist() for array in reader.arrays([reader.read(b"null"), reader.read(b'{"a": "x"}')])] == [
        [None, "x"]
    ]


@pytest.mark.parametrize(
    ("schema", "type_", "value", "cell"),
    [
        ({"type": "string"}, pa.string(), "\U0001f600é", "\U0001f600é"),
        ({"enum": [1, 2, None]}, pa.int64(), 1, 1),
        ({"const": True}, pa.bool_(), True, True),
        ({"type": "number"}, pa.float64(), 2**60, float(2**60)),
        ({"type": "array", "items": {"type": "integer"}}, pa.list_(pa.int64()), [1, 2.0], [1, 2]),
        ({"type": "array", "items": {"type": ["number", "null"]}}, pa.list_(pa.float64()), [None, 1], [None, 1.0]),
        ({"type": "array"}, pa.string(), [1, "ä"], '[1,"ä"]'),
        ({"type": "array", "prefixItems": [{}], "items": {"type": "integer"}}, pa.string(), ["a", 1], '["a",1]'),
        ({}, pa.string(), 123456789012345678901234567890, "123456789012345678901234567890"),
        ({"type": "object"}, pa.string(), {"a": [1]}, '{"a":[1]}'),
        ({}, pa.string(), 1, "1"),
        ({"type": ["string", "integer"]}, pa.string(), "x", '"x"'),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, pa.int64(), None, None),
        ({"$ref": "#/$defs/point"}, pa.struct([("x", pa.float64())]), {"x": 1, "y": 2}, {"x": 1.0}),
        ({"allOf": [{"$ref": "#/$defs/point"}]}, pa.struct([("x", pa.float64())]), {}, {"x": None}),
        (
            {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/point"}, {"type": "null"}]}},
            pa.list_(pa.struct([("x", pa.float64())])),
            [None, {"x": 0}],
            [None, {"x": 0.0}],
        ),
    ],
)
def test_types_follow_the_schema(schema: dict[str, Any], type_: pa.DataType, value: Any, cell: Any) -> None:
    point = {"type": "object", "properties": {"x": {"type": "number"}}}
    reader = Reader({"type": "object", "properties": {"v": schema}, "$defs": {"point": point}})
    (field,) = reader.fields
    assert (field.name, field.type) == ("v", type_)
    text = json.dumps({"v": value}).encode()
    (array,) = reader.arrays([reader.read(text)])
    assert array.type == type_
    assert array.to_pylist() == [cell]


def test_a_schema_that_refers_to_itself_has_types_to_some_depth() -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "child": {"$ref": "#"}},
        "required": ["name"],
    }
    reader = Reader(schema)
    (_, child) = reader.arrays([reader.read(b'{"name": "a", "child": {"name": "b"}}')])
    assert child.to_pylist()[0]["name"] == "b"
    with pytest.raises(Unfit, match='child: "name" is a required'):
        reader.read(b'{"name": "a", "child": {}}')


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "text"}, "is not a JSON Schema"),
        ({"type": "array", "items": {}}, "must describe an object"),
        ({"type": "object"}, "has no properties"),
        (
            {
                "type": "object",
                "properties": {"a": {}},
                "required": ["a", "b"],
                "additionalProperties": False,
            },
            "requires 'b', but properties does not have it",
        ),
        ({"type": "object", "properties": {"a": {"$ref": "https://example.com/a.json"}}}, "only to its own parts"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}}, "'#/$defs/a'"),
    ],
)
def test_what_is_no_schema_of_an_object_is_refused(schema: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRunInput) as caught:
        Reader(schema)
    assert words in str(caught.value)


def test_property_names_must_make_columns_of_their_own() -> None:
    def columns(*names: str, prefix: str = "") -> list[str]:
        schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
        table = pa.schema([("id", pa.int64())])
        found: list[str] = output_schema(table, {"prefix": prefix, "schema": schema}, kind="text").names
        return found

    assert columns("label", "id", prefix="b_")[-2:] == ["b_label", "b_id"]
    with pytest.raises(InvalidRunInput, match="already has a column ID"):
        columns("ID")
    with pytest.raises(InvalidRunInput, match="second column b_Outcome"):
        columns("Outcome", prefix="b_")


def test_a_row_that_does_not_validate_is_invalid_and_one_that_was_cut_is_truncated() -> None:
    said = [
        converse(json.dumps(GOOD)),
        converse('{"label": "ugly"}'),
        converse('{"label": "go', stop="max_tokens"),
        converse(json.dumps(GOOD), stop="max_tokens"),
        converse(stop="content_filtered"),
    ]
    joiner = Joiner(shard=0, rows=6, kind="text", reader=Reader(SCHEMA))
    joiner.add(TextParser(CONVERSE)(b"\n".join(line(record_id(0, row), one) for row, one in enumerate(said))))
    schema = output_schema(pa.schema([("id", pa.int64())]), {"prefix": "", "schema": SCHEMA}, kind="text")
    table = [pa.record_batch({"id": pa.array([row])}) for row in range(6)]
    rows = pa.Table.from_batches(joiner.join(table, schema), schema).to_pylist()
    outcomes = ["succeeded", "invalid", "truncated", "truncated", "failed", "missing"]
    assert [row["outcome"] for row in rows] == outcomes
    assert [row["label"] for row in rows] == ["good", None, None, "good", None, None]
    assert rows[0].items() >= GOOD.items()
    invalid = {"response": '{"label": "ugly"}', "error_code": "InvalidAnswer", "score": None}
    assert rows[1].items() >= invalid.items()
    assert rows[1]["error"] == 'label: "ugly" is not one of "good" or "bad"'
    assert [row["error_code"] for row in rows[2:4]] == [None, None]
    joined = joiner.joined(output_key="k", size=1)
    assert joined.outcomes == {"succeeded": 1, "truncated": 2, "invalid": 1, "failed": 1, "missing": 1}
    assert joined.errors["InvalidAnswer"] == 1
    assert joiner.outcomes.leftover_rows() == [5]


def test_a_broken_answer_is_asked_again_and_a_cut_one_has_no_columns() -> None:
    evidence: dict[str, Any] = {"type": "array", "items": {"type": "object", "properties": {"label": {}}}}
    schema = {"type": "object", "properties": {"label": {"type": "string"}, "evidence": evidence}}
    whole = '{"label": "negative", "evidence": [{"label": "positive"}]}'
    said = [
        converse(whole),
        converse(whole.replace("]", ",]")),
        converse(whole[:-2], stop="max_tokens"),
        converse(f'{{"label": "draft"}} {whole[:-2]}', stop="max_tokens"),
        converse(f'{{"label": "draft"}} {whole[:-2]}'),
        converse(f'{{"label": "draft"}} {whole}', stop="max_tokens"),
    ]
    joiner = Joiner(shard=0, rows=6, kind="text", reader=Reader(schema))
    joiner.add(TextParser(CONVERSE)(b"\n".join(line(record_id(0, row), one) for row, one in enumerate(said))))
    columns = joiner.columns(0, 6)
    assert columns[0].to_pylist() == ["succeeded", "invalid", "truncated", "truncated", "invalid", "truncated"]
    assert columns[-2].to_pylist() == ["negative", None, None, None, None, "negative"]
    assert columns[-1].null_count == 4
    assert joiner.outcomes.rows_to_ask_again(["invalid"]) == [1, 4]
    assert joiner.outcomes.rows_to_ask_again(["truncated", "invalid"]) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("count", [0, 1, 127, 128, 129, 300])
def test_columns_are_whole_however_many_rows_there_are(count: int) -> None:
    texts = [
        None if row % 7 == 3 else b'{"label": "ugly"}' if row % 5 == 4 else b'{"label": "good"}' for row in range(count)
    ]
    arrays, problems = Reader(SCHEMA).columns(texts)
    assert all(isinstance(one, pa.Array) and len(one) == count for one in arrays)
    assert list(problems) == [row for row, text in enumerate(texts) if text and b"ugly" in text]
    assert arrays[0].to_pylist() == ["good" if text and b"good" in text else None for text in texts]


# --- Any value of any schema comes back as its column ---

NAMES = st.text("abcXYZ_. é0", min_size=1, max_size=5)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)


def scalar(kind: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.just(({"type": kind}, values))


SCALARS = st.one_of(
    scalar("string", TEXTS),
    scalar("integer", st.integers(-(2**63), 2**63 - 1)),
    scalar("number", st.floats(allow_nan=False, allow_infinity=False)),
    scalar("boolean", st.booleans()),
    st.just(({"enum": ["a", "{b}"]}, st.sampled_from(["a", "{b}"]))),
)


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = inner.map(lambda one: ({"type": "array", "items": one[0]}, st.lists(one[1], max_size=3)))
    nullable = inner.map(lambda one: ({"anyOf": [one[0], {"type": "null"}]}, st.none() | one[1]))
    return lists | nullable | objects(inner)


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    members = st.dictionaries(NAMES, inner, min_size=1, max_size=4)
    return members.map(
        lambda found: (
            {
                "type": "object",
                "properties": {name: schema for name, (schema, _) in found.items()},
                "required": list(found),
                "additionalProperties": False,
            },
            st.fixed_dictionaries({name: values for name, (_, values) in found.items()}),
        )
    )


@settings(max_examples=150, deadline=None)
@given(objects(st.recursive(SCALARS, nested, max_leaves=5)), st.data())
def test_any_value_of_a_schema_comes_back(
    of: tuple[dict[str, Any], st.SearchStrategy[Any]], data: st.DataObject
) -> None:
    schema, values = of
    rows = data.draw(st.lists(values, min_size=1, max_size=3))
    surround = data.draw(st.sampled_from(["{}", "```json\n{}\n```", "Well, {} it is"]))
    reader = Reader(schema)
    answers = [reader.read(surround.replace("{}", json.dumps(row), 1).encode()) for row in rows]
    arrays = reader.arrays(answers)
    for field, array in zip(reader.fields, arrays, strict=True):
        assert array.type == field.type
        assert array.to_pylist() == [row[field.name] for row in rows]


@settings(max_examples=200, deadline=None)
@given(st.text('{}[]":,abx0 \n\\', max_size=60) | TEXTS)
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        found = Reader(SCHEMA).read(text.encode())
    except Unfit as problem:
        assert str(problem)
    else:
        assert found["label"] in ("good", "bad")

"""Validation follows JSON Schema: the published tests of draft 2020-12, for the accepted keywords."""

import json
from pathlib import Path
from typing import Any

import pytest

from bedrock_batch.answers.answer_schema import Reader, Unfit
from bedrock_batch.answers.find_object import parse
from bedrock_batch.answers.schema_places import Places
from bedrock_batch.answers.schema_validator import Validator
from bedrock_batch.errors import InvalidRunInput

FILES = sorted((Path(__file__).parent / "json_schema_test_suite").glob("*.json"))
REFUSED = {
    "remote ref, containing refs itself",
    "Recursive references between schemas",
    "refs with relative uris and defs",
    "relative refs with absolute uris and defs",
    "$id must be resolved against nearest parent, not just immediate parent",
    "order of evaluation: $id and $ref",
    "order of evaluation: $id and $anchor and $ref",
    "simple URN base URI with $ref via the URN",
    "URN base URI with URN and JSON pointer ref",
    "URN base URI with URN and anchor ref",
    "URN ref with nested pointer ref",
    "ref to if",
    "ref to then",
    "ref to else",
    "ref with absolute-path-reference",
}
"""Groups of `ref` whose references are addresses or begin at an id."""


def groups() -> list[Any]:
    return [
        pytest.param(group, id=f"{path.stem}: {group['description']}")
        for path in FILES
        for group in json.loads(path.read_text("utf-8"))
    ]


@pytest.mark.parametrize("group", groups())
def test_the_published_tests(group: dict[str, Any]) -> None:
    schema = group["schema"]
    if isinstance(schema, bool):
        schema = {} if schema else {"not": {}}
    if group["description"] in REFUSED:
        with pytest.raises(InvalidRunInput):
            Validator(Places(schema))
        return
    validator = Validator(Places(schema))
    wrapped = reader_of(schema)
    for case in group["tests"]:
        text = json.dumps(case["data"], ensure_ascii=False)
        assert validator.is_valid(parse(text.encode())) == case["valid"], case["description"]
        if wrapped is not None:
            assert is_read(wrapped, f'{{"v": {text}}}') == case["valid"], case["description"]
            assert is_read(wrapped, f'So: {{"v": {text}}}.') == case["valid"], case["description"]


def reader_of(schema: dict[str, Any]) -> Reader | None:
    """Return the reader of answers whose property `v` has this schema. It must not have references."""
    if "$ref" in json.dumps(schema):
        return None
    inner = {key: value for key, value in schema.items() if key not in ("$id", "$schema")}
    return Reader({"type": "object", "properties": {"v": inner}, "required": ["v"]})


def is_read(reader: Reader, text: str) -> bool:
    try:
        found = reader.read(text.encode())
    except Unfit as problem:
        # A valid number need not fit into a column of 64 bits.
        return "does not fit into 64 bits" in str(problem) or "too large to convert" in str(problem)
    reader.arrays([found])
    return True


def test_the_files_are_there() -> None:
    assert len(FILES) == 36
    assert sum(len(json.loads(path.read_text("utf-8"))) for path in FILES) > 200

"""The published schemas of report.json and of the catalogue match the real documents and nothing else."""

import copy
import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from bedrock_batch.contracts.version import CONTRACT
from bedrock_batch.models import catalogue
from tests.report_schema import SCHEMA as REPORT

CATALOGUE: dict[str, Any] = json.loads(
    files("bedrock_batch").joinpath("models/catalogue.schema.json").read_text("utf-8")
)
FREE = {"request", "turn", "value", "media_sources"}
"""Members of a body whose content is Bedrock's and not ours."""


def errors(document: Any, schema: dict[str, Any]) -> list[str]:
    return [error.json_path for error in Draft202012Validator(schema).iter_errors(document)]


@pytest.mark.parametrize("schema", [REPORT, CATALOGUE], ids=["report", "catalogue"])
def test_a_schema_is_one_and_describes_itself(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"].endswith("2020-12/schema") and schema["description"]
    for name, one in schema["properties"].items():
        described = schema["$defs"][one["$ref"].rpartition("/")[2]] if "$ref" in one else one
        assert name == "status" or described.get("description"), name


def test_the_report_is_of_this_contract() -> None:
    assert REPORT["properties"]["contract"]["const"] == CONTRACT


def test_the_catalogue_is_as_its_schema_says() -> None:
    assert errors(catalogue.entries(), CATALOGUE) == []


def objects(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the paths of all objects whose keys are ours."""
    if isinstance(value, dict):
        yield path
        for key, member in value.items():
            if key not in FREE and path[-1:] != ("media",):
                yield from objects(member, (*path, key))
    elif isinstance(value, list):
        for number, member in enumerate(value):
            yield from objects(member, (*path, number))


def at(document: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        document = document[step]
    return document


def test_a_mistyped_key_of_the_catalogue_is_an_error() -> None:
    """The first object of every kind is tried."""
    kinds: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for path in objects(catalogue.entries()):
        kinds.setdefault(tuple("*" if isinstance(step, int) else step for step in path), path)
    assert len(kinds) > 60
    for path in kinds.values():
        changed = copy.deepcopy(catalogue.entries())
        at(changed, path)["mistyped"] = "x"
        assert errors(changed, CATALOGUE), path


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("quotas", "min_records"), "100"),
        (("quotas", "max_records"), 0),
        (("geographies", "us"), "us-"),
        (("flex", "models"), {}),
        (("bodies", "nova", "invocation_type"), "Invoke"),
        (("bodies", "nova", "turns", "at"), "messages"),
        (("bodies", "nova", "places", "top_p"), 1),
        (("families", 0, "kind"), "vectors"),
        (("families", 0, "bodies"), "nova"),
        (("families", 0, "media", "image"), "yes"),
        (("models", 0, "max_tokens"), "4096"),
        (("rules", 0, "models"), []),
        (("rules", 0, "warn"), False),
        (("rules", 0, "except_regions"), ["us-east-1"]),
        (("rules", 0, "reason"), None),
    ],
)
def test_a_wrong_value_of_the_catalogue_is_an_error(path: tuple[Any, ...], value: Any) -> None:
    changed = copy.deepcopy(catalogue.entries())
    at(changed, path[:-1])[path[-1]] = value
    assert errors(changed, CATALOGUE)

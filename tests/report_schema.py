"""Compare every report that tests write with the published schema of report.json."""

import json
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA: dict[str, Any] = json.loads(files("bedrock_batch").joinpath("contracts/report.schema.json").read_text("utf-8"))
_VALIDATOR = Draft202012Validator(SCHEMA)


def check(report: Any) -> None:
    """Fail if a report does not match its schema."""
    found = [f"{error.json_path}: {error.message[:500]}" for error in _VALIDATOR.iter_errors(report)]
    assert not found, "\n".join(found)

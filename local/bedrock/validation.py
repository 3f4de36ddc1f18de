"""Check a request against botocore's service model, as Bedrock itself does: it refuses errors with a 400."""

import functools
import re
from typing import Any

import botocore.session
from botocore.model import ServiceModel


@functools.cache
def service_model() -> ServiceModel:
    """Return botocore's model of the `bedrock` service."""
    return botocore.session.get_session().get_service_model("bedrock")


def problems(operation: str, request: dict[str, Any]) -> list[str]:
    """Return what is wrong with a request, one sentence each, in the words of AWS."""
    shape = service_model().operation_model(operation).input_shape
    if shape is None:
        return []
    return list(_structure(shape, request, ""))


def message(found: list[str]) -> str:
    """Return the message of a ValidationException for these problems."""
    return f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected: {'; '.join(found)}"


def _structure(shape: Any, value: dict[str, Any], path: str) -> list[str]:
    found = []
    dot = f"{path}." if path else ""
    for name in shape.required_members:
        if value.get(name) is None:
            found.append(f"Value null at '{dot}{name}' failed to satisfy constraint: Member must not be null")
    if getattr(shape, "is_tagged_union", False) and len(value) != 1:
        found.append(f"Value at '{path}' failed to satisfy constraint: Member must have exactly one key set")
    for name, member in shape.members.items():
        if value.get(name) is not None:
            found += _value(member, value[name], dot + name)
    return found


_TYPES: dict[str, type] = {"structure": dict, "list": list, "string": str, "integer": int, "long": int}


def _value(shape: Any, value: Any, path: str) -> list[str]:
    if shape.type_name == "timestamp":  # checked where it is read
        return []
    fits: bool = isinstance(value, _TYPES[shape.type_name]) and not isinstance(value, bool)
    if not fits:
        return [f"Value at '{path}' failed to satisfy constraint: Member must be a {shape.type_name}"]
    if shape.type_name == "structure":
        return _structure(shape, value, path)
    if shape.type_name == "list":
        found = _range(shape, len(value), "length", value, path)
        for index, item in enumerate(value, 1):
            found += _value(shape.member, item, f"{path}.{index}.member")
        return found
    if shape.type_name == "string":
        return _string(shape, value, path)
    return _range(shape, value, "value", value, path)


def _string(shape: Any, value: str, path: str) -> list[str]:
    if shape.enum and value not in shape.enum:
        return [_constraint(value, path, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]")]
    found = _range(shape, len(value), "length", value, path)
    pattern = shape.metadata.get("pattern")
    if pattern and not found and not re.fullmatch(_linear(pattern), value):
        found.append(_constraint(value, path, f"Member must satisfy regular expression pattern: {pattern}"))
    return found


def _linear(pattern: str) -> str:
    """Drop an optional run of hyphens before a class that holds the hyphen itself.

    The published `(-*[a-z\\-]){0,63}` tries every way to split a row of hyphens, which never ends for a bad name.
    """
    return re.sub(r"-\*(?=\[[^\]]*\\-)", "", pattern)


def _range(shape: Any, size: int, what: str, value: Any, path: str) -> list[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        return [_constraint(value, path, f"Member must have {what} greater than or equal to {least}")]
    if most is not None and size > most:
        return [_constraint(value, path, f"Member must have {what} less than or equal to {most}")]
    return []


def _constraint(value: Any, path: str, text: str) -> str:
    return f"Value '{value}' at '{path}' failed to satisfy constraint: {text}"

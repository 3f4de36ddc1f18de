"""The fast way to read answers that follow a schema: C code decodes and validates in one step.

This works for schemas whose keywords all have a counterpart in msgspec, and most have. An answer that it decodes is
valid. An answer that it refuses is validated again in `answer_schema`, which also says what is wrong with it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from bedrock_batch.answers.parse_types import attribute

_SAYS_NOTHING = {"title", "description", "default", "examples", "$schema", "$id", "$comment", "$defs", "definitions"}
_KEYWORDS = {
    "string": {"type", "minLength", "maxLength"},
    "integer": {"type", "minimum", "maximum"},
    "number": {"type", "minimum", "maximum"},
    "boolean": {"type"},
    "array": {"type", "items"},
    "object": {"type", "properties", "required", "additionalProperties"},
}
_INT64 = 2**63


class _Unknown(Exception):
    """The schema says something that msgspec cannot check."""


def decoder(schema: Mapping[str, Any]) -> msgspec.json.Decoder[Any] | None:
    """Return a decoder of valid answers; None when the schema has a keyword that msgspec cannot check."""
    try:
        return msgspec.json.Decoder(_type(schema))
    except (_Unknown, RecursionError, TypeError, ValueError):
        return None


def _type(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        raise _Unknown
    said = {key: value for key, value in schema.items() if key not in _SAYS_NOTHING}
    if set(said) == {"anyOf"}:
        others = [one for one in said["anyOf"] if one != {"type": "null"}]
        if len(others) == 1 and len(said["anyOf"]) == 2:
            return _type(others[0]) | None
        raise _Unknown
    if set(said) <= {"enum", "type"} and "enum" in said:
        if said.get("type", "string") != "string" or not all(isinstance(value, str) for value in said["enum"]):
            raise _Unknown
        return Literal[tuple(said["enum"])]
    kind = said.get("type")
    if isinstance(kind, list) and len(kind) == 2 and "null" in kind:
        (other,) = (one for one in kind if one != "null")
        return _type({**said, "type": other}) | None
    if not isinstance(kind, str) or not set(said) <= _KEYWORDS.get(kind, set()):
        raise _Unknown
    return _of_kind(kind, said)


def _of_kind(kind: str, said: Mapping[str, Any]) -> Any:
    if kind == "string":
        return Annotated[str, msgspec.Meta(min_length=said.get("minLength"), max_length=said.get("maxLength"))]
    if kind == "integer":
        low, high = said.get("minimum", -_INT64), said.get("maximum", _INT64 - 1)
        if not isinstance(low, int) or not isinstance(high, int):
            raise _Unknown
        return Annotated[int, msgspec.Meta(ge=max(low, -_INT64), le=min(high, _INT64 - 1))]
    if kind == "number":
        return Annotated[float, msgspec.Meta(ge=said.get("minimum"), le=said.get("maximum"))]
    if kind == "array":
        return list[_type(said.get("items"))]  # type: ignore[misc]  # a type made at run time
    return _struct(said) if kind == "object" else bool


def _struct(said: Mapping[str, Any]) -> Any:
    members, required = said.get("properties"), set(said.get("required", ()))
    # Objects without known properties are kept as they are written, and required ones may have no type.
    if not members or not required <= set(members) or said.get("additionalProperties", True) not in (True, False):
        raise _Unknown
    fields = [
        (attribute(name), _type(member))
        if name in required
        else (attribute(name), _type(member) | msgspec.UnsetType, msgspec.UNSET)
        for name, member in members.items()
    ]
    return msgspec.defstruct(
        "Object",
        fields,
        rename={attribute(name): name for name in members},
        forbid_unknown_fields=said.get("additionalProperties") is False,
        kw_only=True,
        gc=False,
    )

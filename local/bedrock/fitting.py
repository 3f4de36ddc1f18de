"""Answers to prompts that ask for JSON of a schema: a valid object, made from the prompt's digest."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_DEPTH = 8  # deeper than this a schema most likely refers to itself


def schema_in(prompt: str) -> dict[str, Any] | None:
    """Return the first JSON Schema of an object in a prompt."""
    if '"properties"' not in prompt:
        return None
    start = prompt.find("{")
    while start >= 0:
        try:
            found, end = json.JSONDecoder().raw_decode(prompt, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            if isinstance(found.get("properties"), dict):
                return dict(found)
        start = prompt.find("{", end)
    return None


def fitting(schema: Any, whole: Mapping[str, Any], digest: str, name: str = "", depth: int = 0) -> Any:
    """Return a valid value for a schema, made from the digest. It knows simple schemas, not every keyword."""
    if not isinstance(schema, dict) or depth > _DEPTH:
        return None
    if isinstance(reference := schema.get("$ref"), str):
        target: Any = whole
        for step in reference.removeprefix("#").split("/")[1:]:
            target = target.get(step, {})
        return fitting(target, whole, digest, name, depth + 1)
    number = int(hashlib.sha256(f"{digest} {name}".encode()).hexdigest()[:8], 16)
    if choices := schema.get("enum", schema.get("anyOf", schema.get("oneOf"))):
        choice = choices[number % len(choices)]
        return choice if "enum" in schema else fitting(choice, whole, digest, name, depth + 1)
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        members = schema.get("properties", {})
        return {key: fitting(value, whole, digest, key, depth + 1) for key, value in members.items()}
    if kind == "array":
        count = max(1, schema.get("minItems", 1))
        return [fitting(schema.get("items", {}), whole, digest, name, depth + 1) for _ in range(count)]
    if kind in ("integer", "number"):
        least = schema.get("minimum", 0)
        return least + number % (int(schema.get("maximum", least + 9) - least) + 1)
    if kind == "boolean":
        return number % 2 == 0
    return None if kind == "null" else f"{name} {digest}".strip()[: schema.get("maxLength")]

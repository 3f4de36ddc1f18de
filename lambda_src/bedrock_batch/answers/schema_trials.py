"""Make answers to try a schema at plan time: one that should be valid, and others with values of each kind."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from bedrock_batch.answers.schema_places import Places

_MOST_DEPTH = 6
_MOST_VALUES = 2_000
_ANY: tuple[Any, ...] = (None, True, 7, 1.5, 10**30, "é", "2026-01-31", [], [1, "a", None], {}, {"a": [{"b": 1}]})


def trials(places: Places) -> Iterator[bytes]:
    """Yield answers, each as the whole text and within prose."""
    made = _Maker(places).value(places.root, 0)
    names = list(made) if isinstance(made, dict) else []
    for value in (made, *_ANY, *(dict.fromkeys(names, value) for value in _ANY)):
        text = json.dumps(value, ensure_ascii=False)
        yield text.encode()
        yield f"Here: {text}, and no more.".encode()


class _Maker:
    """Makes values that are probably valid for a schema."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._left = _MOST_VALUES

    def value(self, schema: Any, depth: int) -> Any:
        self._left -= 1
        if not isinstance(schema, Mapping) or depth > _MOST_DEPTH or self._left < 0:
            return None
        if isinstance(schema.get("$ref"), str):
            return self.value(self._places.target(schema["$ref"]), depth + 1)
        for key in ("anyOf", "oneOf", "allOf"):
            if schema.get(key) and "type" not in schema:
                return self.value(schema[key][0], depth + 1)
        if "const" in schema or schema.get("enum"):
            return schema["const"] if "const" in schema else schema["enum"][0]
        kind = schema.get("type")
        return self._of_kind(kind[0] if isinstance(kind, list) and kind else kind, schema, depth)

    def _of_kind(self, kind: Any, schema: Mapping[str, Any], depth: int) -> Any:
        if kind == "object":
            return {name: self.value(one, depth + 1) for name, one in schema.get("properties", {}).items()}
        if kind == "array":
            return [self.value(schema.get("items", {}), depth + 1)]
        if kind == "string":
            return "a" * min(schema.get("minLength", 1), _MOST_VALUES)
        if kind in ("integer", "number"):
            return schema.get("minimum", schema.get("maximum", 1))
        return True if kind == "boolean" else None

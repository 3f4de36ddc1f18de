"""Find the places of a JSON Schema, which are the schemas within it, resolve its references and check its limits.

References must be pointers within the schema (`#`, `#/$defs/name`). So the validator and the columns resolve them to
the same place.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from bedrock_batch.errors import InvalidRunInput

MOST_PLACES = 2_000
"""Most schemas within the schema. One counts for each reference to it: the validator may try all for one value."""

MOST_DEPTH = 64
"""Most levels of schemas within schemas, without following references."""

_ONE = (
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
)
_LISTS = ("allOf", "anyOf", "items", "oneOf", "prefixItems")
_MAPS = ("$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties")
_DEFINITIONS = ("$defs", "definitions")
_OTHER_REFERENCES = ("$dynamicRef", "$recursiveRef")


class _Inner(NamedTuple):
    """A schema within another: the keyword that holds it, its key path, and the schema."""

    key: str
    name: str
    place: dict[str, Any]


class Places:
    """A schema and its places.

    Raises InvalidRunInput if the schema is too large, or if a reference has no target inside it.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        # Copy the schema so that no two places are the same object: places are identified by `id`.
        try:
            self.root: dict[str, Any] = json.loads(json.dumps(schema))
        except RecursionError:
            raise _too_large() from None
        self._inner: dict[int, list[_Inner]] = {}
        self._targets: dict[str, dict[str, Any]] = {}
        self._find(self.root)
        self.patterns = list(self._patterns())
        self._recursive = {id(target) for target in self._targets.values() if self._leads_back(target)}
        self.count, self.back_references = self._counts()

    def target(self, reference: str) -> Mapping[str, Any]:
        """Return the place that a reference names."""
        return self._targets[reference]

    def is_recursive(self, place: Mapping[str, Any]) -> bool:
        """Return whether references lead from a place back to it."""
        return id(place) in self._recursive

    def _find(self, root: dict[str, Any]) -> None:
        """Find all places, and check each of them alone."""
        id_key = "id" if "draft-04" in str(root.get("$schema")) else "$id"
        waiting: list[tuple[str, dict[str, Any], int]] = [("", root, 0)]
        while waiting:
            name, place, depth = waiting.pop()
            if id(place) in self._inner:
                continue
            _check(name, place, id_key)
            self._inner[id(place)] = inner = list(_inner(name, place))
            if depth == MOST_DEPTH or len(self._inner) > MOST_PLACES:
                raise _too_large()
            waiting += [(one.name, one.place, depth + 1) for one in inner]
            reference = place.get("$ref")
            if isinstance(reference, str) and reference not in self._targets:
                self._targets[reference] = target = self._resolved(reference)
                waiting.append((reference.lstrip("#/").replace("/", "."), target, 0))

    def _resolved(self, reference: str) -> dict[str, Any]:
        found: Any = self.root
        for step in reference[2:].split("/") if reference.startswith("#/") else ():
            step = _unquoted(step).replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and re.fullmatch("0|[1-9][0-9]{0,5}", step) and int(step) < len(found):
                found = found[int(step)]
            else:
                found = found.get(step) if isinstance(found, dict) else None
        if isinstance(found, bool):
            return {} if found else {"not": {}}
        if not isinstance(found, dict) or not (reference == "#" or reference.startswith("#/")):
            raise InvalidRunInput(
                f"output.schema refers to {reference[:200]!r}, but it may refer only to its own parts: #/$defs/name."
            )
        return found

    def _patterns(self) -> Iterator[tuple[str, str]]:
        """Yield each regular expression, with its key path."""
        for place, name in self._places():
            if isinstance(place.get("pattern"), str):
                yield f"{name}.pattern".lstrip("."), place["pattern"]
            members = place.get("patternProperties")
            for pattern in members if isinstance(members, dict) else ():
                yield f"{name}.patternProperties".lstrip("."), pattern

    def _places(self) -> Iterator[tuple[dict[str, Any], str]]:
        yield self.root, ""
        for inner in self._inner.values():
            for one in inner:
                yield one.place, one.name

    def _next(self, place: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the places that the validator visits next from a place. Definitions count where they are used."""
        for one in self._inner[id(place)]:
            if one.key not in _DEFINITIONS:
                yield one.place
        if isinstance(place.get("$ref"), str):
            yield self._targets[place["$ref"]]

    def _leads_back(self, target: dict[str, Any]) -> bool:
        seen: set[int] = set()
        waiting = [target]
        while waiting:
            for inner in self._next(waiting.pop()):
                if inner is target:
                    return True
                if id(inner) not in seen:
                    seen.add(id(inner))
                    waiting.append(inner)
        return False

    def _counts(self) -> tuple[int, int]:
        """Return the number of places, references followed, and the number of those that lead to a recursive one."""
        count = back_references = 0
        entered: set[int] = set()
        waiting = [self.root]
        while waiting:
            place = waiting.pop()
            if self.is_recursive(place):
                back_references += id(place) in entered
                if id(place) in entered:
                    continue
                entered.add(id(place))
            count += 1
            if count > MOST_PLACES:
                raise _too_large()
            waiting += self._next(place)
        return count, back_references


def _check(name: str, place: Mapping[str, Any], id_key: str) -> None:
    for key in _OTHER_REFERENCES:
        if key in place:
            raise InvalidRunInput(
                f"output.schema has {key} in {name or 'its first level'}. What it refers to may change from place to "
                "place. Use $ref with #/$defs/name."
            )
    kind = place.get("type")
    forbids_null = "null" not in kind if isinstance(kind, list) else kind not in (None, "null")
    if place.get("nullable") is True and forbids_null:
        raise InvalidRunInput(
            f"output.schema has nullable in {name or 'its first level'}. JSON Schema does not know that word, so a "
            'null there would be invalid. Write the type as a list, such as "type": ["string", "null"].'
        )
    if name and isinstance(place.get(id_key), str):
        raise InvalidRunInput(
            f"output.schema has {id_key} in {name}, so references within {name} would start there. Remove it: only "
            "the whole schema may have one."
        )


def _inner(name: str, place: Mapping[str, Any]) -> Iterator[_Inner]:
    """Yield the schemas directly within a schema."""
    for key, value in place.items():
        at = f"{name}.{key}".lstrip(".")
        if key in _ONE and isinstance(value, dict):
            yield _Inner(key, at, value)
        elif key in _LISTS and isinstance(value, list):
            yield from (_Inner(key, f"{at}.{n}", one) for n, one in enumerate(value) if isinstance(one, dict))
        elif key in _MAPS and isinstance(value, dict):
            yield from (_Inner(key, f"{at}.{member}", one) for member, one in value.items() if isinstance(one, dict))


def _unquoted(step: str) -> str:
    """Return a step of a pointer without the escapes of URIs."""
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda code: bytes([int(code[1], 16)]), step.encode()).decode(errors="replace")


def _too_large() -> InvalidRunInput:
    return InvalidRunInput(
        f"output.schema is too large: it may have at most {MOST_PLACES:,} schemas within it, references followed, in "
        f"at most {MOST_DEPTH} levels. Remove parts, or replace them by {{}}, which accepts any value."
    )

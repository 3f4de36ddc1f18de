"""The columns of a JSON Schema's properties: find their Arrow types, and convert valid values to these.

Types follow the schema: string, int64, double, bool, list, and struct for an object with known properties. A property
without such a type (several types, free-form objects) becomes JSON text. Properties may be missing and columns may be
null, even if the schema forbids it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jsonschema_rs
import pyarrow as pa

from bedrock_batch.answers.schema_places import Places
from bedrock_batch.errors import InvalidRunInput

MOST_DEPTH = 16
"""Most levels of lists and structs within a column. Deeper levels become JSON text."""

RECURSIVE_DEPTH = 2
"""The same limit for a part of the schema that contains itself."""

MOST_FIELDS = 2_000
"""Most fields of all columns. Fields within structs and lists count too."""

_MOST_STEPS = 16

_EXACT = {"minimum": -(2**53), "maximum": 2**53}
"""Integers in this range need no conversion for Arrow, whether written as 3 or as 3.0."""

Convert = Callable[[Any], Any]


class Column(NamedTuple):
    """An Arrow type, and a function that converts a valid value to it."""

    type: pa.DataType
    convert: Convert
    as_it_is: Mapping[str, Any] | None = None
    """A JSON Schema of the values that Arrow accepts without `convert`; None if there are none."""


class Unfit(ValueError):
    """An answer does not match the schema; the message says where and why."""


class Columns:
    """The columns of an object's properties. Raises InvalidRunInput unless the schema describes such an object."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._fields = 0
        plain, _ = self._plain(places.root)
        _check_root(plain)
        columns = {name: self._column(member, 0) for name, member in plain["properties"].items()}
        self.fields = [pa.field(name, column.type) for name, column in columns.items()]
        self.names = frozenset(columns)
        self._columns = columns
        as_they_are = {name: column.as_it_is for name, column in columns.items() if column.as_it_is is not None}
        # This check is much faster than a conversion, and most answers need no conversion.
        self._need_none = jsonschema_rs.validator_for({"properties": as_they_are}, offline=True).is_valid
        self._others = {name: column for name, column in columns.items() if name not in as_they_are}

    def converted(self, value: dict[str, Any] | None) -> dict[str, Any]:
        """Return the properties of a valid object, ready for Arrow. Raises Unfit if a type cannot hold a value.

        A null is valid if the schema has "or null" on its first level. It has no properties.

        The object itself may be changed and returned: a copy would take longer than the validation.
        """
        if value is None:
            return {}
        converted = value if value.keys() <= self.names else {key: value[key] for key in value if key in self.names}
        for name, column in (self._others if self._need_none(value) else self._columns).items():
            if converted.get(name) is not None:
                try:
                    converted[name] = column.convert(converted[name])
                except (Unfit, OverflowError) as err:
                    raise Unfit(f"{name}: {err}") from err
        return converted

    def arrays(self, answers: Sequence[Mapping[str, Any] | None]) -> list[pa.Array]:
        """Return the columns of some rows from the results of `converted`. None is a row without an answer."""
        return [
            pa.array([answer.get(field.name) if answer else None for answer in answers], field.type)
            for field in self.fields
        ]

    def _column(self, schema: Any, depth: int) -> Column:
        """Return the column of a schema's values."""
        self._fields += 1
        if self._fields > MOST_FIELDS:
            raise InvalidRunInput(
                f"output.schema needs columns of more than {MOST_FIELDS:,} fields. Fields within objects and lists "
                "count, and references are followed. Remove fields, or replace parts by {}, which become JSON text."
            )
        plain, is_recursive = self._plain(schema)
        kind = plain.get("type")
        if kind in _SCALARS:
            return _SCALARS[kind]
        if depth == MOST_DEPTH or (is_recursive and depth >= RECURSIVE_DEPTH):
            return _TEXT
        if kind == "array" and isinstance(plain.get("items"), Mapping) and "prefixItems" not in plain:
            return _list_of(self._column(plain["items"], depth + 1))
        members = plain.get("properties") if kind == "object" else None
        if not members:
            return _TEXT
        return _struct_of({name: self._column(member, depth + 1) for name, member in members.items()})

    def _plain(self, schema: Any) -> tuple[Mapping[str, Any], bool]:
        """Return a schema with its references resolved and without its "or null"; `{}` if it has no single type.

        Also return whether the schema contains itself.
        """
        is_recursive = False
        for _ in range(_MOST_STEPS):
            if not isinstance(schema, Mapping):
                return {}, False
            is_recursive |= self._places.is_recursive(schema)
            choices = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf") or []
            choices = [one for one in choices if one != {"type": "null"}]
            if isinstance(schema.get("$ref"), str):
                schema = self._places.target(schema["$ref"])
            elif "type" not in schema and len(choices) == 1:
                schema = choices[0]
            else:
                return _with_one_type(schema), is_recursive
        return {}, False


def _list_of(element: Column) -> Column:
    def elements_of(values: Any) -> Any:
        return [None if value is None else element.convert(value) for value in values]

    as_it_is = None if element.as_it_is is None else {"items": element.as_it_is}
    return Column(pa.list_(element.type), elements_of, as_it_is)


def _struct_of(members: Mapping[str, Column]) -> Column:
    def members_of(value: Any) -> Any:
        found = ((name, column.convert, value.get(name)) for name, column in members.items())
        return {name: None if member is None else convert(member) for name, convert, member in found}

    type_ = pa.struct([pa.field(name, column.type) for name, column in members.items()])
    as_they_are = {name: column.as_it_is for name, column in members.items()}
    return Column(type_, members_of, None if None in as_they_are.values() else {"properties": as_they_are})


def _check_root(plain: Mapping[str, Any]) -> None:
    if plain.get("type") != "object":
        raise InvalidRunInput('output.schema must describe an object: {"type": "object", "properties": {…}}.')
    if not plain.get("properties"):
        raise InvalidRunInput("output.schema has no properties. Add some: each property becomes a column.")
    unknown = set(plain.get("required", ())) - set(plain["properties"])
    if unknown and plain.get("additionalProperties") is False and not plain.get("patternProperties"):
        raise InvalidRunInput(
            f"output.schema requires {', '.join(map(repr, sorted(unknown)))}, but properties does not have it and "
            "additionalProperties forbids it, so no answer could be valid. Add it to properties."
        )


def _with_one_type(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    kinds = schema.get("type")
    if isinstance(kinds, list):
        kinds = [kind for kind in kinds if kind != "null"]
        return {**schema, "type": kinds[0]} if len(kinds) == 1 else {}
    if kinds is None:
        return {**schema, "type": _kind_of([schema["const"]] if "const" in schema else schema.get("enum", []))}
    return schema


def _kind_of(values: Sequence[Any]) -> str | None:
    """Return the one JSON type of an enumeration's values, ignoring nulls; None if there are several."""
    kinds = {_KINDS.get(type(value)) for value in values if value is not None}
    return kinds.pop() if len(kinds) == 1 else None


_KINDS = {str: "string", int: "integer", float: "number", bool: "boolean"}


def _integer(value: Any) -> int:
    number = int(value)  # To JSON Schema, 1.0 is an integer.
    if not -(2**63) <= number < 2**63:
        raise Unfit(f"{_shown(value)} does not fit into 64 bits")
    return number


def _shown(number: Any) -> str:
    """Return a number's digits, or how many there are if they are too many to show."""
    text = str(number)
    return text if len(text) <= 40 else f"a number of {len(text)} digits"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


_TEXT = Column(pa.string(), _json)
_SCALARS: dict[Any, Column] = {
    "string": Column(pa.string(), str, {}),
    "integer": Column(pa.int64(), _integer, _EXACT),
    "number": Column(pa.float64(), float, _EXACT),
    "boolean": Column(pa.bool_(), bool, {}),
    "null": _TEXT,
}

"""Answers that follow a JSON Schema: find the object in the text, validate it, turn it into typed columns.

Models put JSON into fences and prose however they are asked, so the last object that is valid counts, unless the
whole text is JSON. Types follow the schema: string, int64, double, bool, list, and struct for an object with known
properties; what has no such type (several types, free-form objects) becomes JSON text. Properties may be missing
and columns are nullable, whatever the schema says.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import orjson
import pyarrow as pa
from jsonschema.exceptions import SchemaError, best_match
from jsonschema.validators import Draft202012Validator, validator_for
from referencing import Registry

from bedrock_batch.answers.answer_schema_fast import decoder
from bedrock_batch.errors import InvalidRunInput

_MOST_OPENINGS = 64
"""So many braces are tried as the start of an object: text that is all braces must not take for ever."""

_DEPTH = 16
"""Deeper than this a schema's types are JSON text: it may refer to itself."""

_MOST_MESSAGE = 300
_TOO_DEEP = "the answer is nested too deeply"

Convert = Callable[[Any], Any]


class Unfit(ValueError):
    """An answer does not match the schema; the message says where and why."""


class Reader:
    """A schema made ready for many answers: `fields` are the columns of its properties.

    Raises InvalidRunInput for anything but a JSON Schema of an object.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        _check(schema)
        # No look-up of other documents: a schema could make the functions fetch any address.
        kind = validator_for(schema, default=Draft202012Validator)
        self._validator = kind(schema, registry=Registry())
        self._decoder = decoder(schema)
        members = _plain(schema, schema).get("properties", {})
        self._columns = {name: _column(member, schema, _DEPTH) for name, member in members.items()}
        if not self._columns:
            raise InvalidRunInput("output.schema has no properties, which are what becomes columns.")
        self.fields = [pa.field(name, type_) for name, (type_, _) in self._columns.items()]

    def read(self, text: bytes) -> dict[str, Any]:
        """Return an answer's properties, ready for Arrow. Raises Unfit."""
        if self._decoder is not None and (found := self._decoded(self._decoder, text)) is not None:
            return found
        problem = None
        for value in _objects(text):
            error = self._error(value)
            if error is None:
                try:
                    return self._converted(value)
                except Unfit as err:
                    error = str(err)
                except RecursionError:
                    error = _TOO_DEEP
            problem = problem or error
        raise Unfit(problem or "there is no JSON object in the answer")

    def columns(self, texts: Sequence[bytes | None]) -> tuple[list[pa.Array], dict[int, str]]:
        """Return the columns of some rows, and what is wrong with their answers, by place; None has no answer."""
        answers: list[dict[str, Any] | None] = [None] * len(texts)
        problems = {}
        for place, text in enumerate(texts):
            if text is not None:
                try:
                    answers[place] = self.read(text)
                except Unfit as problem:
                    problems[place] = str(problem)
        return self.arrays(answers), problems

    def arrays(self, answers: Sequence[Mapping[str, Any] | None]) -> list[pa.Array]:
        """Return the columns of what `read` gave for some rows; None is a row without an answer."""
        return [
            pa.array([answer.get(name) if answer else None for answer in answers], type_)
            for name, (type_, _) in self._columns.items()
        ]

    @staticmethod
    def _decoded(decoder: msgspec.json.Decoder[Any], text: bytes) -> dict[str, Any] | None:
        """Return a valid answer: the whole text, or the only braces in it. None where the validator must judge."""
        start, end = text.find(b"{"), text.rfind(b"}") + 1
        # What begins as a list or a text may be JSON as a whole, and then is not an object.
        if text[:1].isspace() or text[:1] in (b"[", b'"'):
            start, end = 0, len(text)
        try:
            found: dict[str, Any] = msgspec.to_builtins(decoder.decode(text[start:end]))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        return found

    def _error(self, value: Any) -> str | None:
        try:
            if self._validator.is_valid(value):
                return None
            found = best_match(self._validator.iter_errors(value))
        except RecursionError:
            return _TOO_DEEP
        where = ".".join(str(step) for step in found.absolute_path)
        message = found.message if len(found.message) <= _MOST_MESSAGE else found.message[:_MOST_MESSAGE] + "…"
        return f"{where}: {message}" if where else message

    def _converted(self, value: Mapping[str, Any]) -> dict[str, Any]:
        converted = {}
        for name, (_, convert) in self._columns.items():
            if value.get(name) is not None:
                try:
                    converted[name] = convert(value[name])
                except (Unfit, OverflowError) as err:
                    raise Unfit(f"{name}: {err}") from err
        return converted


def _check(schema: Mapping[str, Any]) -> None:
    try:
        validator_for(schema, default=Draft202012Validator).check_schema(dict(schema))
    except SchemaError as err:
        raise InvalidRunInput(f"output.schema is not a JSON Schema: {err.json_path}: {err.message}") from err
    for reference in _references(schema):
        if _target(schema, reference) is None:
            raise InvalidRunInput(
                f"output.schema refers to {reference!r}: it may refer only to parts of itself, as #/$defs/name."
            )
    if _plain(schema, schema).get("type") != "object":
        raise InvalidRunInput('output.schema must be that of an object: {"type": "object", "properties": {…}}.')
    plain = _plain(schema, schema)
    unknown = set(plain.get("required", ())) - set(plain.get("properties", ()))
    if unknown and plain.get("additionalProperties") is False:
        raise InvalidRunInput(
            f"output.schema requires {', '.join(map(repr, sorted(unknown)))}, which properties does not have and "
            "additionalProperties forbids: no answer could be valid."
        )


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        for key, value in schema.items():
            if key in ("$ref", "$dynamicRef", "$recursiveRef") and isinstance(value, str):
                yield value
            yield from _references(value)
    elif isinstance(schema, list):
        for member in schema:
            yield from _references(member)


def _target(root: Mapping[str, Any], reference: str) -> Mapping[str, Any] | None:
    if not reference.startswith("#"):
        return None
    found: Any = root
    for step in reference[1:].split("/")[1:] if reference != "#" else ():
        step = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or step not in found:
            return None
        found = found[step]
    return found if isinstance(found, Mapping) and (reference == "#" or reference.startswith("#/")) else None


def _plain(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema with its references, and with what only says "or null", resolved; `{}` when it has no type."""
    for _ in range(_DEPTH):
        if not isinstance(schema, Mapping):
            return {}
        choices = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf") or []
        choices = [one for one in choices if one != {"type": "null"}]
        if "$ref" in schema:
            schema = _target(root, schema["$ref"])
        elif "type" not in schema and len(choices) == 1:
            schema = choices[0]
        else:
            break
    kinds = schema.get("type")
    if isinstance(kinds, list):
        kinds = [kind for kind in kinds if kind != "null"]
        return {**schema, "type": kinds[0]} if len(kinds) == 1 else {}
    if kinds is None:
        return {**schema, "type": _kind_of([schema["const"]] if "const" in schema else schema.get("enum", []))}
    return dict(schema)


def _kind_of(values: Sequence[Any]) -> str | None:
    """Return the one JSON type of an enumeration's values, nulls aside."""
    kinds = {_KINDS.get(type(value)) for value in values if value is not None}
    return kinds.pop() if len(kinds) == 1 else None


_KINDS = {str: "string", int: "integer", float: "number", bool: "boolean"}


def _column(schema: Any, root: Mapping[str, Any], depth: int) -> tuple[pa.DataType, Convert]:
    """Return the Arrow type of a schema's values, and what makes a valid value one of it."""
    plain = _plain(schema, root) if depth else {}
    kind = plain.get("type")
    if kind in _SCALARS:
        return _SCALARS[kind]
    if kind == "array" and isinstance(plain.get("items"), Mapping):
        element, convert = _column(plain["items"], root, depth - 1)
        return pa.list_(element), lambda values: [None if value is None else convert(value) for value in values]
    members = plain.get("properties") if kind == "object" and depth else None
    if not members:
        return pa.string(), _json
    columns = {name: _column(member, root, depth - 1) for name, member in members.items()}
    type_ = pa.struct([pa.field(name, type_) for name, (type_, _) in columns.items()])
    converts = [(name, convert) for name, (_, convert) in columns.items()]

    def members_of(value: Any) -> Any:
        found = ((name, convert, value.get(name)) for name, convert in converts)
        return {name: None if member is None else convert(member) for name, convert, member in found}

    return type_, members_of


def _integer(value: Any) -> int:
    number = int(value)  # JSON Schema has 1.0 for an integer
    if not -(2**63) <= number < 2**63:
        raise Unfit(f"{value} does not fit into 64 bits")
    return number


def _string(value: Any) -> str:
    return str(value).encode("utf-8", "replace").decode()  # a lone surrogate has no UTF-8


def _json(value: Any) -> str:
    return _string(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


_SCALARS: dict[Any, tuple[pa.DataType, Convert]] = {
    "string": (pa.string(), _string),
    "integer": (pa.int64(), _integer),
    "number": (pa.float64(), float),
    "boolean": (pa.bool_(), bool),
    "null": (pa.string(), _json),
}


def _objects(text: bytes) -> Iterator[Any]:
    """Yield what may be the answer, the likeliest first: the text if it is JSON, else its objects from the last on."""
    try:
        yield orjson.loads(text)
        return
    except ValueError:
        pass
    # Raw line breaks within strings are forgiven, NaN and the like are not: they are no JSON and no SQL value.
    decoder = json.JSONDecoder(strict=False, parse_constant=_refuse)
    whole = text.decode(errors="replace").strip()
    found = []
    start = whole.find("{")
    for _ in range(_MOST_OPENINGS):
        if start < 0:
            break
        try:
            value, start = decoder.raw_decode(whole, start)
            found.append(value)
        except (ValueError, RecursionError):
            start += 1
        start = whole.find("{", start)
    yield from reversed(found)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")

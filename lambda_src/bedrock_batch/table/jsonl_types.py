"""Find a type for every column of JSON lines: a type that holds each value exactly, or text with the values' JSON.

A column's kinds are a set of words. The sets of several pieces of a table are merged, in any order, to the same type.
So all pieces have one schema, and no value is rounded.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
import pyarrow as pa

from bedrock_batch.errors import MalformedInput

MOST_COLUMNS = 5_000
"""If rows have more keys than this, the keys are data and not names of columns."""

Kinds = dict[str, set[str]]
"""The kinds of values in every column, in order of first appearance; nulls add none.

The words are string, bool, int (a double holds it too), int64, double, nested, and number (no type holds it exactly).
"""

_WORDS: dict[type, str] = {str: "string", bool: "bool", dict: "nested", list: "nested"}
_DOUBLE_HOLDS = 1 << 53
_INT64_HOLDS = 1 << 63
_SHORT = 16
"""A literal of this many characters has at most 15 digits. A double holds these exactly."""


class Float(str):
    """The text of a number with a fraction or an exponent, as in the file."""

    __slots__ = ()


def _float(literal: str) -> Float:
    if len(literal) > _SHORT and ("e" in literal or "E" in literal):
        try:
            Decimal(literal)
        except InvalidOperation:
            raise ValueError("the exponent of a number is too long") from None
    return Float(literal)


decode = msgspec.json.Decoder(dict[str, Any], float_hook=_float).decode
"""Decode one line; no number is rounded."""


def add(kinds: Kinds, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add the kinds of `rows`, which come from `decode`. Raises MalformedInput for keys that cannot be columns."""
    if set().union(*rows) - kinds.keys():
        for row in rows:
            for name in row:
                if name not in kinds:
                    _check_name(name, len(kinds))
                    kinds[name] = set()
    for name, seen in kinds.items():
        seen |= _kinds([row.get(name) for row in rows])


def merge(found: Iterable[Kinds]) -> Kinds:
    """Return the kinds of all pieces together; columns are in the order of first appearance."""
    whole: Kinds = {}
    for kinds in found:
        for name, seen in kinds.items():
            whole.setdefault(name, set()).update(seen)
            _check_name(name, len(whole) - 1)
    return whole


def arrow_type(seen: set[str]) -> pa.DataType | None:
    """Return the type that holds all kinds of `seen` exactly; None if only JSON text does."""
    if seen <= {"string"}:
        return pa.string()
    if seen == {"bool"}:
        return pa.bool_()
    if seen <= {"int", "int64"}:
        return pa.int64()
    return pa.float64() if seen <= {"int", "double"} else None


def _kinds(values: list[Any]) -> set[str]:
    types = set(map(type, values))
    seen = {_WORDS[kind] for kind in types if kind in _WORDS}
    if int in types:
        numbers = values if types == {int} else [value for value in values if type(value) is int]
        low, high = min(numbers), max(numbers)
        if low >= -_DOUBLE_HOLDS and high <= _DOUBLE_HOLDS:
            seen.add("int")
        else:
            seen.add("int64" if low >= -_INT64_HOLDS and high < _INT64_HOLDS else "number")
    if Float in types:
        exact = all(_is_exact(value) for value in values if type(value) is Float)
        seen.add("double" if exact else "number")
    return seen


def _is_exact(literal: Float) -> bool:
    """Return whether a double holds a number exactly: its shortest decimal form is the same number."""
    if len(literal) <= _SHORT and "e" not in literal and "E" not in literal:
        return True
    text = repr(float(literal))
    return text == literal or Decimal(text) == Decimal(literal)


def _check_name(name: str, known: int) -> None:
    if known >= MOST_COLUMNS:
        raise MalformedInput(
            f"The rows have more than {MOST_COLUMNS} different keys, so the keys are data and not names of columns. "
            "Put them into one object, under a single key."
        )
    if any(character < " " or character in '"\\' for character in name):
        raise MalformedInput(f"The key {name[:80]!r} has a quote, a backslash or a control character. Rename it.")

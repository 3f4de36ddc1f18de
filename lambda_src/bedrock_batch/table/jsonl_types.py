"""Find the type of every column of JSON lines: one that holds each value exactly, or else its JSON text.

What was seen of a column is a set of words. The sets found in pieces of a table add up to the same type in any order:
no piece can have another schema than the rest, and no value is rounded.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
import pyarrow as pa

from bedrock_batch.errors import MalformedInput

MOST_COLUMNS = 5_000
"""More keys than this are data written as keys, not columns."""

Kinds = dict[str, set[str]]
"""What was seen of every column, in order of first appearance; nulls leave no trace.

The words: string, bool, int (a double holds it too), int64, double, nested, number (only its text holds it).
"""

_WORDS: dict[type, str] = {str: "string", bool: "bool", dict: "nested", list: "nested"}
_DOUBLE_HOLDS = 1 << 53
_INT64_HOLDS = 1 << 63
_SHORT = 16
"""A literal of this many characters has at most 15 digits, which a double always holds."""


class Float(str):
    """A number with a fraction or an exponent, as it stands in the file."""

    __slots__ = ()


def _float(literal: str) -> Float:
    if len(literal) > _SHORT and ("e" in literal or "E" in literal):
        try:
            Decimal(literal)
        except InvalidOperation:
            raise ValueError("a number has an exponent that is too long") from None
    return Float(literal)


decode = msgspec.json.Decoder(dict[str, Any], float_hook=_float).decode
"""Decode one line without rounding anything."""


def add(kinds: Kinds, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add what `rows`, from `decode`, show. Raises MalformedInput for keys that cannot be columns."""
    if set().union(*rows) - kinds.keys():
        for row in rows:
            for name in row:
                if name not in kinds:
                    _check_name(name, len(kinds))
                    kinds[name] = set()
    for name, seen in kinds.items():
        seen |= _kinds([row.get(name) for row in rows])


def merge(found: Iterable[Kinds]) -> Kinds:
    """Return the kinds of all pieces together; columns stand in the order in which they first appear."""
    whole: Kinds = {}
    for kinds in found:
        for name, seen in kinds.items():
            whole.setdefault(name, set()).update(seen)
            _check_name(name, len(whole) - 1)
    return whole


def arrow_type(seen: set[str]) -> pa.DataType | None:
    """Return the type that holds all that was seen exactly; None when only the values' JSON text does."""
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
    """Tell whether a double gives the same decimal number back."""
    if len(literal) <= _SHORT and "e" not in literal and "E" not in literal:
        return True
    text = repr(float(literal))
    return text == literal or Decimal(text) == Decimal(literal)


def _check_name(name: str, known: int) -> None:
    if known >= MOST_COLUMNS:
        raise MalformedInput(f"The rows have more than {MOST_COLUMNS} different keys: these are data, not columns.")
    if any(character < " " or character in '"\\' for character in name):
        raise MalformedInput(f"The key {name[:80]!r} holds a quote, a backslash or a control character: rename it.")

"""Validate values against a JSON Schema in bounded time, and describe what is wrong in a sentence.

The engine for regular expressions does not backtrack, so no answer makes one slow. Nothing is ever fetched. `format` is
not checked, which is the default of JSON Schema since 2019-09.
"""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
from jsonschema_rs import ReferencingError, ValidationError

from bedrock_batch.answers.schema_places import Places
from bedrock_batch.errors import InvalidRunInput

MOST_PATTERNS = 200
_PATTERN_BYTES = 1 << 20
"""Most bytes of a compiled regular expression. Counted repetitions (`{1,1000}`) make it large."""

_MOST_MESSAGE = 300
_MOST_WORK = 500_000
"""Most work to find the sentence: parts of the schema times bytes of the answer. The library follows every branch of
every `anyOf`, and repeats this at each level of a recursive schema."""

_NEEDS_BACKTRACKING = {
    r"\(\?[=!]": "a look-ahead",
    r"\(\?<[=!]": "a look-behind",
    r"\\[1-9]|\\k<": "a back-reference",
}


class Validator:
    """A compiled schema. Raises InvalidRunInput if it is not a JSON Schema, or if a pattern needs backtracking."""

    def __init__(self, places: Places) -> None:
        self._places = places
        _check_patterns(places)
        self._validator = self._compiled()
        self.is_valid = self._validator.is_valid

    def problem(self, value: Any, *, size: int) -> str:
        """Return a sentence: what is wrong with an invalid value, and where. `size` is its JSON's size in bytes."""
        work = size * self._places.count
        if work <= _MOST_WORK and self._places.back_references > 1:
            work *= self._places.back_references ** _levels(value)
        if work > _MOST_WORK:
            return "the answer does not match the schema (answer and schema are too large to say where)"
        try:
            error = _first(self._validator, value)
            if len(error.message) > _MOST_MESSAGE:
                error = _first(self._compiled(mask="the value"), value)
        except (ValueError, ReferencingError):
            return "the answer does not match the schema"
        where = ".".join(map(str, error.instance_path))
        message = error.message if len(error.message) <= _MOST_MESSAGE else error.message[:_MOST_MESSAGE] + "…"
        return f"{where[:_MOST_MESSAGE]}: {message}" if where else message

    def _compiled(self, mask: str | None = None) -> jsonschema_rs.Validator:
        try:
            return jsonschema_rs.validator_for(
                self._places.root, pattern_options=_OPTIONS, offline=True, validate_formats=False, mask=mask
            )
        except ValidationError as err:
            where = ".".join(map(str, err.instance_path))
            message = f"{where}: {err.message[:_MOST_MESSAGE]}" if where else err.message[:_MOST_MESSAGE]
            raise InvalidRunInput(f"output.schema is not a JSON Schema: {message}") from err
        except (ValueError, ReferencingError) as err:
            raise InvalidRunInput(f"output.schema is not a JSON Schema: {str(err)[:_MOST_MESSAGE]}") from err


_OPTIONS = jsonschema_rs.RegexOptions(size_limit=_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES)


def _first(validator: jsonschema_rs.Validator, value: Any) -> ValidationError:
    """Return the first error. For `anyOf` and `oneOf`, return the error of the branch that got furthest."""
    try:
        validator.validate(value)
    except ValidationError as err:
        error = err
        while inner := list(_branches(error)):
            inner.sort(key=lambda one: -len(one.instance_path))
            deepest = [one for one in inner if len(one.instance_path) == len(inner[0].instance_path)]
            if len(inner[0].instance_path) <= len(error.instance_path) or len(deepest) > 1:
                break
            error = inner[0]
        return error
    raise ValueError("the value is valid")


def _branches(error: ValidationError) -> Iterator[ValidationError]:
    """Yield the first error of each branch of `anyOf` or `oneOf`, except the branch "or null"."""
    for branch in getattr(error.kind, "context", ()):
        if branch and not (branch[0].kind.name == "type" and branch[0].instance_path == error.instance_path):
            yield branch[0]


def _levels(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_levels, inner), default=0)


def _check_patterns(places: Places) -> None:
    if len(places.patterns) > MOST_PATTERNS:
        raise InvalidRunInput(
            f"output.schema has {len(places.patterns)} patterns, but may have at most {MOST_PATTERNS}. Remove some."
        )
    for where, pattern in places.patterns:
        try:
            jsonschema_rs.validator_for({"pattern": pattern}, pattern_options=_OPTIONS, offline=True)
        except ValueError as err:
            raise InvalidRunInput(f"output.schema: {where} {_why_not(pattern)}") from err


def _why_not(pattern: str) -> str:
    # Remove escaped characters and sets, because in `\(?=` and `[(?=]` the characters have no special meaning.
    plain = re.sub(r"\\[^1-9k]", "", pattern)
    plain = re.sub(r"\[\^?\]?[^\]]*\]", "", plain)
    for construct, name in _NEEDS_BACKTRACKING.items():
        if found := re.search(construct, plain):
            return (
                f"has {name} ({found[0]}). The search for it may never end for some answers. Write the pattern without "
                "it, or remove the pattern and check the column after the run."
            )
    return f"is {pattern[:80]!r}. It is not a regular expression of JSON Schema, or becomes too large. Make it simpler."

"""Validate values against a JSON Schema, in bounded time, and say in a sentence what is wrong.

Regular expressions are run by an engine without backtracking, so that no answer makes one take long. Nothing is ever
fetched. `format` says what is meant and is not checked, as JSON Schema has it since 2019-09.
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
"""Of a compiled regular expression. Counted repetitions (`{1,1000}`) make them large."""

_MOST_MESSAGE = 300
_MOST_WORK = 500_000
"""The most work for finding the sentence: schema parts times bytes of the answer. The library follows every branch of
every `anyOf`, and does so again at each level that refers to itself."""

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
        """Say what is wrong with a value that is not valid, and where; `size` is that of its JSON, in bytes."""
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
    """Return the first error; of a choice, that of the branch that comes furthest."""
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
    """Yield the first error of each branch of a choice, without "or null"."""
    for branch in getattr(error.kind, "context", ()):
        if branch and not (branch[0].kind.name == "type" and branch[0].instance_path == error.instance_path):
            yield branch[0]


def _levels(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_levels, inner), default=0)


def _check_patterns(places: Places) -> None:
    if len(places.patterns) > MOST_PATTERNS:
        raise InvalidRunInput(f"output.schema has {len(places.patterns)} patterns; {MOST_PATTERNS} are the most.")
    for where, pattern in places.patterns:
        try:
            jsonschema_rs.validator_for({"pattern": pattern}, pattern_options=_OPTIONS, offline=True)
        except ValueError as err:
            raise InvalidRunInput(f"output.schema: {where} {_why_not(pattern)}") from err


def _why_not(pattern: str) -> str:
    # Pairs of a backslash and what it escapes are taken out, as are sets: `\(?=` and `[(?=]` are plain characters.
    plain = re.sub(r"\\[^1-9k]", "", pattern)
    plain = re.sub(r"\[\^?\]?[^\]]*\]", "", plain)
    for construct, name in _NEEDS_BACKTRACKING.items():
        if found := re.search(construct, plain):
            return (
                f"has {name} ({found[0]}), which needs a search that may take for ever on some answer. Write the "
                "pattern without it, or leave it out and check the column after the run."
            )
    return f"is {pattern[:80]!r}: no regular expression of JSON Schema, or one that becomes too large. Make it simpler."

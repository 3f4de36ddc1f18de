"""Read output lines one by one with the standard library. This is slow, but works for lines with any fault.

It is for the few lines that a parser's decoder refuses. The parsers make their failures here too, so that a failure has
the same message in both ways.
"""

import contextlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bedrock_batch.answers.answer import Answer, Failure
from bedrock_batch.answers.response_path import Path, WrongKind, find
from bedrock_batch.row_errors import RowError

MAX_INT64 = 2**63 - 1
"""The largest count. A larger number is not a count, because no column could hold it."""

_MOST_DIGITS = 4000
"""Most digits of an integer. Python refuses to make one of more than 4300."""

_TOO_DEEP = object()
"""Stands for a value that is nested more deeply than Python reads."""

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}:,]', re.DOTALL)


def exactly(line: bytes, read: Callable[[str | None, Any], Answer | Failure]) -> Answer | Failure | None:
    """Read one line with the standard library; accept faults that do not change the meaning.

    These are invalid UTF-8, raw control characters and lone surrogates. They become U+FFFD or `?` if they cannot be
    kept, because the rest of the answer was paid for.
    """
    text = line.decode("utf-8-sig", "replace")
    try:
        try:
            value = _loaded(text)
        except RecursionError:
            value = _members(text)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    record_id = value.get("recordId")
    if not isinstance(record_id, str):
        record_id = None
    try:
        return _outcome(record_id, value, read)
    except RecursionError:
        return Failure(record_id, RowError.UNPARSEABLE, "the output line is nested too deeply")


def _outcome(
    record_id: str | None, value: Mapping[str, Any], read: Callable[[str | None, Any], Answer | Failure]
) -> Answer | Failure:
    if _TOO_DEEP in (value.get("error"), value.get("modelOutput")):
        raise RecursionError
    error, output, expired = value.get("error"), value.get("modelOutput"), value.get("expired") is True
    if isinstance(error, dict):
        expired = expired or error.get("expired") is True
        return failure(record_id, error.get("errorCode"), error.get("errorMessage"), expired)
    if error is not None:
        return failure(record_id, None, error, expired)
    if output is None:
        return no_output(record_id, expired)
    try:
        return read(record_id, output)
    except WrongKind as problem:
        return Failure(record_id, RowError.UNPARSEABLE, f"modelOutput is not as expected: {problem}")


def _loaded(text: str) -> Any:
    """Decode JSON. An integer that is too long for Python becomes the text of its digits."""
    return json.loads(
        text, strict=False, parse_int=lambda digits: int(digits) if len(digits) < _MOST_DIGITS else digits
    )


def _members(text: str) -> dict[str, Any]:
    """Decode an object member by member, if as a whole it is nested too deeply. Usually the echo is the cause.

    Raises ValueError unless the text is an object.
    """
    if not text.lstrip().startswith("{"):
        raise ValueError("no object")
    found: dict[str, Any] = {}
    key, depth, start = "", 0, 0
    for token in _TOKEN.finditer(text):
        mark = token[0]
        depth += (mark in "[{") - (mark in "]}")
        if (depth == 1 and mark in "{:,") or not depth:
            said = text[start : token.start()]
            start = token.end()
            if mark == ":":
                key = str(json.loads(said, strict=False))
            elif mark != "{":
                found[key] = _member(said)
        if not depth:
            break
    return found


def _member(text: str) -> Any:
    try:
        return _loaded(text)
    except RecursionError:
        return _TOO_DEEP


def failure(record_id: str | None, code: Any, message: Any, expired: bool | None) -> Failure:
    """Return the failure of a line with an `error`."""
    text = as_text(message) if message is not None else "Bedrock gave no error message"
    if expired:
        return Failure(record_id, RowError.EXPIRED, text)
    return Failure(record_id, as_text(code) if code is not None else RowError.UNKNOWN_ERROR, text)


def failure_of(line: Any) -> Failure:
    """Return the failure of a line that `parse_types.line_decoder` decoded, and that has an error or no output."""
    error = line.error
    if error is None:
        return no_output(line.recordId, line.expired)
    return failure(line.recordId, error.errorCode, error.errorMessage, error.expired or line.expired)


def no_output(record_id: str | None, expired: bool | None) -> Failure:
    """Return the failure of a line with neither output nor error."""
    if expired:
        return Failure(record_id, RowError.EXPIRED, "the job reached its deadline before the record's turn")
    return Failure(record_id, RowError.EMPTY_ANSWER, "the output line has neither modelOutput nor error")


def as_text(value: Any) -> str:
    """Return a text unchanged and anything else as JSON: a number in place of a text is still an answer."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()  # UTF-8 cannot hold a lone surrogate.


def any_text(paths: Sequence[Path], output: Any) -> str | None:
    """Return the text at the first path that has a value."""
    value = _any_value(paths, output)
    return None if value is None else as_text(value)


def all_texts(paths: Sequence[Path], output: Any) -> list[str]:
    """Return the texts at the first path that has a value."""
    for path in paths:
        with contextlib.suppress(WrongKind):
            if values := list(find(path, output)):
                return [as_text(value) for value in values]
    return []


def any_count(paths: Sequence[Path], output: Any) -> int | None:
    """Return the count at the first path that has a value; None if that value is not a count."""
    value = _any_value(paths, output)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= MAX_INT64 else None


def _any_value(paths: Sequence[Path], output: Any) -> Any:
    """Return the first value at one of the paths. A value of the wrong kind is skipped, so that the answer is kept."""
    for path in paths:
        with contextlib.suppress(WrongKind):
            if (value := next(find(path, output), None)) is not None:
                return value
    return None

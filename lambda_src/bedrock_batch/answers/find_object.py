"""Find the JSON objects in the text of an answer, and read JSON strictly.

Models put JSON into fences and prose, even if the prompt forbids it. An object begins with `{`, a quoted key and a
colon; other braces are prose, code or formulas. Everything inside an object is part of it, even if the object is not
JSON in the end. So a part of an answer is never used as the answer.

The time is proportional to the length of the text: each object is read once, and its parts are not read again.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

MOST_DEPTH = 200
"""Most levels of nesting in an answer. At some thousand levels, the validator's stack overflow ends the process."""

_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+'
_BEGIN = re.compile(rb"\{\s*+(" + _TEXT + rb'")\s*+:', re.DOTALL)
_BRACE = re.compile(_TEXT + rb'"?|[{}]', re.DOTALL)  # A string without a closing quote reaches to the end.
_BRACKET = re.compile(_TEXT + rb'"?|[{}\[\]]', re.DOTALL)
_STRING = re.compile(_TEXT + rb'"', re.DOTALL)
_MAY_BE_JSON = re.compile(rb'\s*+[{\["]')
_BREAK = re.compile(rb"[\n\r\t]")
_ESCAPED = {b"\n": rb"\n", b"\r": rb"\r", b"\t": rb"\t"}

_decode = msgspec.json.Decoder().decode
_skip = json.JSONDecoder(strict=False).raw_decode
"""Finds the end of a value. It accepts more than JSON, so `parse` reads the value again."""


class NotJson(ValueError):
    """The text is not JSON, or is nested too deeply; the message says why."""


@dataclass(frozen=True, slots=True)
class Span:
    """The place of an object in a text. The object need not be JSON."""

    start: int
    stop: int
    key: bytes
    """The object's first key, in quotes."""


def parse(text: bytes) -> Any:
    """Return the value of a JSON text. Raises NotJson.

    Line breaks and tabs within strings are accepted. Nothing else that is not JSON is: no NaN, no number that is too
    large for a float, no half of a surrogate pair.
    """
    if _is_too_deep(text):
        raise NotJson("the answer is nested too deeply")
    try:
        return _decode(text)
    except (ValueError, RecursionError) as err:
        problem = err
    if _MAY_BE_JSON.match(text) and _BREAK.search(text):
        try:
            return _decode(_STRING.sub(_without_breaks, text))
        except (ValueError, RecursionError) as err:
            problem = err
    raise NotJson(str(problem)) from problem


def spans(text: bytes) -> Iterator[Span]:
    """Yield the objects in a text in order, without objects inside another."""
    if (alone := _alone(text)) is not None:
        yield alone
        return
    characters = text.decode("latin-1")  # One character for each byte, so that offsets are the same.
    start, is_json = 0, True
    while begun := _BEGIN.search(text, start):
        start = begun.start()
        try:
            # `_skip` is much faster than `_end`. After one failure it is not used again: each failure is slow, because
            # the library counts all lines before it.
            stop = _skip(characters, start)[1] if is_json else _end(text, start)
        except (ValueError, RecursionError):
            is_json = False
            stop = _end(text, start)
        yield Span(start, stop, begun[1])
        start = stop


def _alone(text: bytes) -> Span | None:
    """Return the object from the first to the last brace, which is the usual case; None if that is not an object."""
    begun, stop = _BEGIN.search(text), text.rfind(b"}") + 1
    if begun is None or _BEGIN.search(text, stop):
        return None
    try:
        _decode(text[begun.start() : stop])
    except (ValueError, RecursionError):
        return None
    return Span(begun.start(), stop, begun[1])


def _end(text: bytes, start: int) -> int:
    """Return the end of the object whose brace is at `start`, or the end of the text if the brace is not closed."""
    depth = 0
    for token in _BRACE.finditer(text, start):
        if token[0] == b"{":
            depth += 1
        elif token[0] == b"}":
            depth -= 1
            if not depth:
                return token.end()
    return len(text)


def _is_too_deep(text: bytes) -> bool:
    if text.count(b"{") + text.count(b"[") <= MOST_DEPTH:
        return False
    depth = 0
    for token in _BRACKET.finditer(text):
        if token[0] in (b"{", b"["):
            depth += 1
            if depth > MOST_DEPTH:
                return True
        elif token[0] in (b"}", b"]"):
            depth -= 1
    return False


def _without_breaks(string: re.Match[bytes]) -> bytes:
    return _BREAK.sub(lambda one: _ESCAPED[one[0]], string[0])


# --- Parts of an object that is broken ---

_WINDOW = 1_000
_MEMBER_LEFT = re.compile(
    rb"""(?: [^\s"'{}\[\],:]["']\s*:?  # a key, with its colon or without
           | "\w[\w\ -]{0,60}\s*:       # a key without its second quote
           | [{,]\s*\w+\s*:\s*(?=\[)    # a key without quotes
           | [\0"}\]]\s*,(?=\s*$)       # one element more, after a brace that closed the whole too early
         )\s*(?:\[[^\[\]{}]*)*$""",
    re.VERBOSE,
)
_MEMBER_RIGHT = re.compile(rb"""(?:[^\[\]{}]*\])*\s*(?:\}|,?\s*["'][^"'\n]{1,100}["']\s*:)""")


class Surroundings:
    """The text around the objects of a text."""

    def __init__(self, text: bytes, found: Sequence[Span]) -> None:
        gaps, at, size = [], 0, 0
        self._places = []
        for span in found:
            gaps.append(text[at : span.start])
            size += span.start - at
            self._places.append(size)
            size += 1
            at = span.stop
        self._text = b"\0".join([*gaps, text[at:]])

    def show_a_member(self, number: int) -> bool:
        """Return whether an object is the value of a key although no other object contains it.

        This happens if the outer object lacks a brace, a quote or a colon, so that it did not begin or ended too early.
        """
        place = self._places[number]
        if not _MEMBER_RIGHT.match(self._text[place + 1 : place + 1 + _WINDOW]):
            return False
        return bool(_MEMBER_LEFT.search(self._text[max(0, place - _WINDOW) : place]))

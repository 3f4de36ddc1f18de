"""Find the JSON objects in the text of an answer, and read JSON strictly.

Models put JSON into fences and prose, however they are asked. An object begins only where `{`, a quoted key and a colon
stand; other braces are prose, code or formulas. What lies inside an object that began is a part of it, also when the
object turns out to be no JSON: a part of an answer is never taken for the answer.

All of it takes time in proportion to the text: each object is looked at once, and its parts are not looked at again.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

MOST_DEPTH = 200
"""Levels of nesting in an answer. The validator's own stack bounds them: it ends the process at some thousand."""

_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+'
_BEGIN = re.compile(rb"\{\s*+(" + _TEXT + rb'")\s*+:', re.DOTALL)
_BRACE = re.compile(_TEXT + rb'"?|[{}]', re.DOTALL)  # a text without an end goes on to the end
_BRACKET = re.compile(_TEXT + rb'"?|[{}\[\]]', re.DOTALL)
_STRING = re.compile(_TEXT + rb'"', re.DOTALL)
_MAY_BE_JSON = re.compile(rb'\s*+[{\["]')
_BREAK = re.compile(rb"[\n\r\t]")
_ESCAPED = {b"\n": rb"\n", b"\r": rb"\r", b"\t": rb"\t"}

_decode = msgspec.json.Decoder().decode
_skip = json.JSONDecoder(strict=False).raw_decode
"""Takes more than JSON; what it skips is parsed anew."""


class NotJson(ValueError):
    """The text is not JSON, or is nested too deeply; the message says why."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where an object that began stands in a text. It need not be JSON."""

    start: int
    stop: int
    key: bytes
    """Its first key, in quotes."""


def parse(text: bytes) -> Any:
    """Return the value of a JSON text. Raises NotJson.

    Line breaks and tabs within strings are taken as if they were escaped. Nothing else is forgiven: not NaN, not a
    number that is too large for a float, not half of a surrogate pair.
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
    """Yield the objects that begin in a text, in order, but none inside another."""
    if (alone := _alone(text)) is not None:
        yield alone
        return
    characters = text.decode("latin-1")  # one for each byte, so that places are the same
    start, is_json = 0, True
    while begun := _BEGIN.search(text, start):
        start = begun.start()
        try:
            # Much faster than `_end`. It is given up where it fails once: each failure counts the lines before it.
            stop = _skip(characters, start)[1] if is_json else _end(text, start)
        except (ValueError, RecursionError):
            is_json = False
            stop = _end(text, start)
        yield Span(start, stop, begun[1])
        start = stop


def _alone(text: bytes) -> Span | None:
    """Return the object that goes from the first to the last brace, as most do. None when there is no such object."""
    begun, stop = _BEGIN.search(text), text.rfind(b"}") + 1
    if begun is None or _BEGIN.search(text, stop):
        return None
    try:
        _decode(text[begun.start() : stop])
    except (ValueError, RecursionError):
        return None
    return Span(begun.start(), stop, begun[1])


def _end(text: bytes, start: int) -> int:
    """Return where the brace at `start` is closed, texts aside; where it is not, the end of the text."""
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
    """What stands around the objects of a text."""

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
        """Tell whether an object is a value of a key although it stands in no object.

        So it is where a brace, a quote or a colon of the object around it is missing: that one did not begin, or ended
        too early.
        """
        place = self._places[number]
        if not _MEMBER_RIGHT.match(self._text[place + 1 : place + 1 + _WINDOW]):
            return False
        return bool(_MEMBER_LEFT.search(self._text[max(0, place - _WINDOW) : place]))

"""Take arrays of numbers out of JSON lines, so that only the needed ones are parsed.

A vector is 10 KB of text, and models send it in several forms. Finding brackets is many times faster than parsing
numbers, and the rest of the lines is short.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
import simdjson

from bedrock_batch.answers.answer import Vector

_FIRST = -(10**15)
"""The first placeholder. It cannot be confused: record ids have no minus, and no model sends such a number."""

Place = Annotated[int, msgspec.Meta(le=_FIRST)]
"""The type of a placeholder."""


class Arrays:
    """The arrays that were taken out of lines, by their placeholders."""

    def __init__(self, lines: bytes, spans: list[tuple[int, int]]) -> None:
        self._lines, self._spans = lines, spans

    def __getitem__(self, place: int) -> bytes:
        """Return the array's text with its brackets."""
        start, stop = self._spans[_FIRST - place]
        return self._lines[start:stop]


def take_out(lines: bytes) -> tuple[bytes, Arrays]:
    """Replace each array of numbers by a placeholder integer; return the shortened lines and the arrays.

    Two brackets without a bracket or a quote between them are an array of numbers. If they are part of a string, a part
    of that string is replaced. It stays one string, because its quotes are escaped.
    """
    pieces: list[bytes] = []
    spans: list[tuple[int, int]] = []
    done = 0
    start, end = lines.find(b"["), -1
    while start >= 0:
        if end < start and (end := lines.find(b"]", start)) < 0:
            break
        inner = lines.find(b"[", start + 1, end)
        if inner < 0 and lines.find(b'"', start, end) < 0:
            pieces += (lines[done:start], b"%d" % (_FIRST - len(spans)))
            done = end + 1
            spans.append((start, done))
        start = inner if inner >= 0 else lines.find(b"[", end)
    pieces.append(lines[done:])
    return b"".join(pieces), Arrays(lines, spans)


class ArrayParser:
    """Parses arrays of numbers with one parser, without a Python object for each number."""

    def __init__(self) -> None:
        self._parser = simdjson.Parser()

    def parse(self, texts: Sequence[bytes], dimensions: int) -> Vector:
        """Return a matrix with one vector for each text.

        Raises ValueError, TypeError or RuntimeError unless each text has `dimensions` numbers.
        """
        vectors = np.empty((len(texts), dimensions), np.float32)
        for row, text in enumerate(texts):
            array: Any = self._parser.parse(text)
            numbers = np.frombuffer(array.as_buffer(of_type="d"), np.float64)
            del array  # Otherwise the parser could not be used again.
            if len(numbers) != dimensions:
                raise ValueError("a vector has other dimensions")
            vectors[row] = numbers
        return vectors

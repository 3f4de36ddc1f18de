"""Arrays of numbers in JSON lines, taken out so that only the wanted ones are ever parsed.

A vector is 10 KB of text, and models send it in several forms. Looking for brackets is many times faster than
parsing numbers, and what is left of the lines is short.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
import simdjson

from bedrock_batch.answers.answer import Vector

_FIRST = -(10**15)
"""The first placeholder: no record id holds a minus, and no model sends such a number in place of a vector."""

Place = Annotated[int, msgspec.Meta(le=_FIRST)]
"""The type of a placeholder."""


class Arrays:
    """The arrays that were taken out of some lines, by their placeholders."""

    def __init__(self, lines: bytes, spans: list[tuple[int, int]]) -> None:
        self._lines, self._spans = lines, spans

    def __getitem__(self, place: int) -> bytes:
        """Return the array's text, brackets included."""
        start, stop = self._spans[_FIRST - place]
        return self._lines[start:stop]


def take_out(lines: bytes) -> tuple[bytes, Arrays]:
    """Put a placeholder, an integer, in the place of each array of numbers; return the shorter lines and the arrays.

    Whatever stands between two brackets, without another bracket or a quote, is taken for an array of numbers. If the
    brackets stand within a text, a piece of this text is replaced. It is still one text, as its quotes are escaped.
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
    """Parses arrays of numbers with one reused parser: no Python object per number."""

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
            del array  # or the parser could not be used again
            if len(numbers) != dimensions:
                raise ValueError("a vector of other dimensions")
            vectors[row] = numbers
        return vectors

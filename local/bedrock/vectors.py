"""Make embedding vectors fast. They depend only on the text.

A vector is a row of ready-made segments of 64 numbers. A digest of the text chooses one of 256 segments for each place.
All segments have the same length, so the vector has length 1 (or `length`). Different texts get different vectors, and
a job of 25,000 embeddings only joins strings.
"""

import functools
import hashlib
import json
import math
import random

_SEGMENT = 64
_CHOICES = 256


@functools.cache
def _segments(places: int, length: float) -> tuple[list[str], list[str]]:
    """Return the segments for a vector of that many places: as floats, and as the bits of their signs."""
    generator = random.Random(places)
    floats, bits = [], []
    for _ in range(_CHOICES):
        numbers = [generator.gauss(0, 1) for _ in range(_SEGMENT)]
        scale = length / math.sqrt(places) / math.sqrt(sum(number * number for number in numbers))
        floats.append(",".join(f"{number * scale:.6g}" for number in numbers))
        bits.append(",".join("1" if number > 0 else "0" for number in numbers))
    return floats, bits


def vector(text: str, dimensions: int, *, length: float = 1.0, binary: bool = False) -> str:
    """Return the vector of a text as a JSON array of `dimensions` numbers, a multiple of 64 up to 4096."""
    places = dimensions // _SEGMENT
    chosen = _segments(places, length)[1 if binary else 0]
    digest = hashlib.sha512(text.encode()).digest()
    return "[" + ",".join(chosen[digest[place % 64]] for place in range(places)) + "]"


def floats(text: str, dimensions: int) -> list[float]:
    """Return the same vector as numbers, for tests to compare with."""
    numbers: list[float] = json.loads(vector(text, dimensions))
    return numbers

"""The deadline by which planning must have read its text files.

A function that times out would be called again and time out again. So planning stops earlier and keeps what it has
read (`scan_checkpoint`). The next call of the function continues from there.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass


class OutOfTime(Exception):
    """The deadline has passed. The argument is the URI of the file that was being read."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A time `at`, in seconds of time.monotonic()."""

    at: float

    @classmethod
    def within(cls, seconds: float) -> "Deadline":
        return cls(time.monotonic() + seconds)

    def in_time(self, chunks: Iterable[bytes], late: Callable[[], None]) -> Iterator[bytes]:
        """Yield chunks until the deadline has passed; then call `late` and end."""
        for chunk in chunks:
            if time.monotonic() > self.at:
                late()
                return
            yield chunk


NO_DEADLINE = Deadline(math.inf)

"""The time by which planning must have read its text files.

A function that runs into its timeout would be started again and would run into it again. So planning stops before:
what it has read by then is kept (`scan_checkpoint`), and planning that is called again goes on behind it.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass


class OutOfTime(Exception):
    """The deadline is over; the argument is the URI of the file that was being read."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment `at`, as time.monotonic() counts."""

    at: float

    @classmethod
    def within(cls, seconds: float) -> "Deadline":
        return cls(time.monotonic() + seconds)

    def in_time(self, chunks: Iterable[bytes], late: Callable[[], None]) -> Iterator[bytes]:
        """Yield chunks until the deadline is over; then call `late`, and end."""
        for chunk in chunks:
            if time.monotonic() > self.at:
                late()
                return
            yield chunk


NO_DEADLINE = Deadline(math.inf)

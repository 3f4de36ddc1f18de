"""Where the parts of the output go."""

import io
from typing import Any, Protocol


class Sink(Protocol):
    """Where bytes go: an open file, or the S3 writer."""

    def write(self, data: bytes, /) -> int: ...


class File(io.RawIOBase):
    """A sink with the rest of the methods that Arrow expects of a file; closing it leaves the sink open."""

    def __init__(self, out: Sink) -> None:
        self._out = out

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        return self._out.write(bytes(data))  # a copy of what is not bytes: Arrow uses its CSV buffer again

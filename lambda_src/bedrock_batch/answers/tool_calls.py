"""Read the inputs of tool calls as JSON text."""

from collections.abc import Sequence
from typing import Any

import msgspec


def raw_texts(found: Any) -> list[str]:
    """Return the inputs that a reader found: none, one `Raw`, or lists of these.

    Raises ValueError for one that is not UTF-8.
    """
    if isinstance(found, list):
        return [text for one in found for text in raw_texts(one)]
    data = b"" if found is None else bytes(found)
    if data[:1] == b'"':  # Some models write the input as a string that contains JSON.
        data = msgspec.json.decode(data, type=str).encode()
    return [] if data in (b"", b"null") else [data.decode()]


def together(inputs: Sequence[str]) -> str | None:
    """Return the tool calls of one answer as its text: the only input, or a list of several inputs."""
    if len(inputs) > 1:
        return f"[{', '.join(inputs)}]"
    return inputs[0] if inputs else None

"""JSON pointers (RFC 6901) into bodies. Without escapes: no member that the catalogue points at needs them."""

import itertools
from collections.abc import Mapping
from typing import Any


def found(body: Any, pointer: str) -> list[Any]:
    """Return the value at a pointer, alone in a list; none where the body has no such member."""
    for step in pointer.split("/")[1:]:
        if not isinstance(body, Mapping) or step not in body:
            return []
        body = body[step]
    return [body]


def put(body: Any, pointer: str, value: Any) -> None:
    """Set the value at a pointer, making objects and list items on the way."""
    steps = pointer.split("/")[1:]
    for step, following in itertools.pairwise(steps):
        empty: Any = [] if following.isdigit() else {}
        if isinstance(body, list):
            if int(step) == len(body):
                body.append(empty)
            body = body[int(step)]
        else:
            body = body.setdefault(step, empty)
    if isinstance(body, list):
        body.append(value)
    else:
        body[steps[-1]] = value

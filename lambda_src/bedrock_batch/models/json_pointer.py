"""JSON pointers (RFC 6901) into bodies. Escapes are not supported: no pointer in the catalogue needs them."""

import itertools
from collections.abc import Mapping
from typing import Any


def found(body: Any, pointer: str) -> list[Any]:
    """Return a list with the values at a pointer. It is empty if the body has no such member.

    `*` matches every element of a list, so there may be several values. `text()` at the end keeps only texts.
    """
    values = [body]
    for step in pointer.split("/")[1:]:
        if step == "*":
            values = [element for value in values if isinstance(value, list) for element in value]
        elif step == "text()":
            values = [value for value in values if isinstance(value, str)]
        else:
            values = [value[step] for value in values if isinstance(value, Mapping) and step in value]
    return values


def put(body: Any, pointer: str, value: Any) -> None:
    """Set the value at a pointer. Missing objects and list items on the way are created."""
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

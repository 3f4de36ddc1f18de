"""Make types at run time that have only the fields that a run needs, so that decoding skips all others."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Annotated, Any

import msgspec

from bedrock_batch.answers.parse_slowly import MAX_INT64
from bedrock_batch.answers.response_path import EVERY, Path, Step
from bedrock_batch.errors import InvalidRunInput

Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_INT64)]


def line_decoder(paths: list[tuple[Path, Any]]) -> msgspec.json.Decoder[Any]:
    """Return the decoder of an output line that keeps only the paths of `modelOutput`. Raises like `type_of`."""
    error = msgspec.defstruct(
        "Error",
        [
            ("errorCode", int | str | None, None),
            ("errorMessage", str | None, None),
            ("expired", bool | None, None),
        ],
        gc=False,
    )
    line = msgspec.defstruct(
        "Line",
        [
            ("recordId", str | None, None),
            ("modelOutput", type_of(paths), None),
            ("error", error | None, None),
            ("expired", bool | None, None),
        ],
        gc=False,
    )
    return msgspec.json.Decoder(line)


def outputs_of(lines: list[Any]) -> list[Any]:
    """Return the outputs of decoded lines. Raises TypeError unless all lines have an output and no error."""
    outputs = [line.modelOutput for line in lines if line.error is None and line.modelOutput is not None]
    if len(outputs) < len(lines):
        raise TypeError("not only answers")
    return outputs


def type_of(paths: list[tuple[Path, Any]]) -> Any:
    """Return the type that keeps only the values at the paths. A value has the type of its path, or is null.

    Raises:
        InvalidRunInput: two paths contradict each other.
    """
    branches: dict[Step, list[tuple[Path, Any]]] = {}
    leaves = {leaf for path, leaf in paths if not path}
    for path, leaf in paths:
        if path:
            branches.setdefault(path[0] if isinstance(path[0], str) else EVERY, []).append((path[1:], leaf))
    if len(leaves) + bool(branches) > 1 or (EVERY in branches and len(branches) > 1):
        raise InvalidRunInput("The paths of response contradict each other: one value cannot be of two kinds.")
    if leaves:
        leaf = leaves.pop()
        return leaf if leaf is msgspec.Raw else leaf | None
    if EVERY in branches:
        return list[type_of(branches[EVERY])] | None  # type: ignore[misc]  # a type made at run time
    keys = [key for key in branches if isinstance(key, str)]
    return (
        msgspec.defstruct(
            "Object",
            [(attribute(key), type_of(branches[key]), None) for key in keys],
            rename={attribute(key): key for key in keys},
            gc=False,
        )
        | None
    )


def attribute(key: str) -> str:
    """Return a Python identifier for any key."""
    return f"k{key.encode().hex()}"


def reader(path: Path | None, combine: Callable[[list[Any]], Any], *, strict: bool = False) -> Callable[[Any], Any]:
    """Return a function that reads a path from an object of `type_of`, or None if the path has no value.

    `combine` joins the values of several list elements, or of none, to one. A `strict` reader is faster, and raises
    AttributeError or TypeError if a null is on the way.
    """
    if path is None:
        return lambda _: None
    keys = 0
    while keys < len(path) and isinstance(path[keys], str):
        keys += 1
    get = _attributes(path[:keys]) if keys else None

    def forgiving(value: Any) -> Any:
        try:
            return get(value) if get else value
        except AttributeError:  # A null is on the way.
            return None

    descend = get if strict and get else forgiving
    if keys == len(path):
        return descend
    step = path[keys]
    index = step if isinstance(step, int) else 0
    inner = reader(path[keys + 1 :], combine, strict=strict)

    def every(value: Any) -> Any:
        elements = descend(value)
        if elements is None:
            return None
        if len(elements) == 1 and (only := inner(elements[0])) is not None:
            return only
        found = [leaf for element in elements if (leaf := inner(element)) is not None]
        return found[0] if len(found) == 1 else combine(found)

    def one(value: Any) -> Any:
        elements = descend(value)
        return inner(elements[index]) if elements is not None and index < len(elements) else None

    return every if step is EVERY else one


def choice(
    paths: Sequence[Path] | None, combine: Callable[[list[Any]], Any], *, strict: bool = False
) -> Callable[[Any], Any]:
    """Return a function that reads the first of several paths that has a value.

    If there is a single path, a `strict` function is faster, and raises AttributeError or TypeError if a null is on the
    way.
    """
    if not paths or len(paths) == 1:
        return reader(paths[0] if paths else None, combine, strict=strict)
    readers = [reader(path, combine) for path in paths]
    return lambda value: next((found for read in readers if (found := read(value)) not in (None, "")), None)


def column(paths: Sequence[Path] | None, combine: Callable[[list[Any]], Any]) -> Callable[[list[Any]], list[Any]]:
    """Return a function that does what a strict `choice` does, for many values: each step is taken for all of them.

    So no Python function is called for each value, unless there are several paths or lists of not exactly one element.
    """
    if not paths:
        return lambda values: [None] * len(values)
    read = choice(paths, combine, strict=True)
    if len(paths) > 1:
        return lambda values: list(map(read, values))

    steps: list[Any] = []
    for named, group in itertools.groupby(paths[0], key=lambda step: isinstance(step, str)):
        some = list(group)
        steps += [_attributes(some)] if named else some

    def together(values: list[Any]) -> list[Any]:
        found = values
        try:
            for step in steps:
                if step is EVERY:
                    found = [only for (only,) in found]
                elif isinstance(step, int):
                    found = [elements[step] for elements in found]
                else:
                    found = list(map(step, found))
        except (ValueError, IndexError):
            return list(map(read, values))
        return found

    return together


def _attributes(keys: Iterable[Step]) -> Callable[[Any], Any]:
    """Return a function that gets the value at these nested keys."""
    return attrgetter(".".join(attribute(str(key)) for key in keys))


def first(values: list[Any]) -> Any:
    return values[0] if values else None

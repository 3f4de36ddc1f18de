"""Response paths, which lead to a value in a model's answer.

    stopReason                       a key
    usage.inputTokens                a key of a key
    output.message.content[].text    every element of a list
    choices[0].message.content       one element of a list
    finish_reason | stop_reason      the first of several paths that has a value

A model may leave out any member or send null, so it is no error if a path has no value. But if a path meets the wrong
kind of value (a text in place of a list), it raises WrongKind, because there is an answer that we cannot read.
"""

import enum
import re
from collections.abc import Iterator
from typing import Any, Final, Literal

from bedrock_batch.errors import InvalidRunInput


class _Every(enum.Enum):
    EVERY = "[]"


EVERY: Final = _Every.EVERY
"""The step of a path that stands for every element of a list."""

Step = str | int | Literal[_Every.EVERY]
Path = tuple[Step, ...]

_SEGMENT = re.compile(r'([^.\[\]"\\\x00-\x1f]+)((?:\[[0-9]{0,4}\])*)')
"""A key, and the elements after it. The decoder cannot find keys with quotes, backslashes or control characters."""

_INDEX = re.compile(r"\[([0-9]*)\]")


class WrongKind(ValueError):
    """The value at a step of a path has the wrong kind."""


def compile_path(text: str) -> Path:
    """Return the steps of a path: a str for a key, an int for one element, EVERY for all of them.

    Raises:
        InvalidRunInput: the text is not a path.
    """
    steps: list[Step] = []
    for segment in text.split("."):
        match = _SEGMENT.fullmatch(segment)
        if match is None:
            raise InvalidRunInput(
                f"The path {text!r} in response is not valid. Write keys with dots between them, [] for every element"
                " of a list and [0] for one element (up to [9999]), such as output.message.content[].text."
            )
        key, brackets = match.groups()
        steps.append(key)
        steps.extend(int(index) if index else EVERY for index in _INDEX.findall(brackets))
    return tuple(steps)


def compile_choices(text: str) -> tuple[Path, ...]:
    """Return the paths of `a | b`; the first one that has a value is used. Raises like `compile_path`."""
    return tuple(compile_path(choice.strip()) for choice in text.split("|"))


def find(path: Path, value: Any) -> Iterator[Any]:
    """Yield every value that the path leads to in decoded JSON, except nulls.

    Raises:
        WrongKind: a step meets a value of the wrong kind. The message contains no part of the value.
    """
    if value is None:
        return
    if not path:
        yield value
        return
    step, rest = path[0], path[1:]
    if isinstance(step, str):
        yield from find(rest, _expect(value, dict, step).get(step))
    elif step is EVERY:
        for element in _expect(value, list, "[]"):
            yield from find(rest, element)
    elif step < len(_expect(value, list, f"[{step}]")):
        yield from find(rest, value[step])


_KINDS = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a number",
    float: "a number",
}


def _expect(value: Any, kind: type, step: str) -> Any:
    if not isinstance(value, kind):
        raise WrongKind(f"{_KINDS[kind]} was expected at {step}, not {_KINDS[type(value)]}")
    return value

"""The results of a parser: an answer or a failure for each output line, or a block of answers column by column."""

from collections.abc import Iterator
from itertools import repeat

import msgspec
import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float32]


class Answer(msgspec.Struct, gc=False):
    """An answer of a model: `value` is text in UTF-8 or a vector, None if the answer was empty.

    `reasoning` is text in UTF-8, None if the run does not keep it.
    """

    record_id: str | None
    value: bytes | Vector | None
    stop_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning: bytes | None = None


class Failure(msgspec.Struct, gc=False):
    """A record that came back without a usable answer."""

    record_id: str | None
    code: str
    message: str


class Answers(msgspec.Struct, gc=False):
    """The answers of a block of lines, column by column. This is the usual case: every line has an answer.

    `values` are texts in UTF-8 (None for an empty answer) or a matrix of vectors. An iterator yields `Answer` objects.
    """

    record_ids: list[str | None]
    values: list[bytes | None] | Vector
    stop_reasons: list[str | None]
    input_tokens: list[int | None]
    output_tokens: list[int | None]
    reasonings: list[bytes | None] | None = None
    """None if the run does not keep reasoning."""

    def __iter__(self) -> Iterator[Answer]:
        reasonings = repeat(None) if self.reasonings is None else self.reasonings
        return map(
            Answer,
            self.record_ids,
            self.values,
            self.stop_reasons,
            self.input_tokens,
            self.output_tokens,
            reasonings,
        )


Parsed = Answers | list[Answer | Failure | None]
"""The content of a block of whole lines. None stands for a line that is not a JSON object, such as a cut line."""

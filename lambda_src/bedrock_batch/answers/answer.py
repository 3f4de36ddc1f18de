"""What a parser returns for output lines: an answer or a failure for each, or a block of answers column by column."""

from collections.abc import Iterator
from itertools import repeat

import msgspec
import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float32]


class Answer(msgspec.Struct, gc=False):
    """An answer of a model: `value` is text in UTF-8 or a vector, None where there was none.

    `reasoning` is text too, and there only if the run keeps it.
    """

    record_id: str | None
    value: bytes | Vector | None
    stop_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning: bytes | None = None


class Failure(msgspec.Struct, gc=False):
    """A record that came back without an answer we can use."""

    record_id: str | None
    code: str
    message: str


class Answers(msgspec.Struct, gc=False):
    """The answers of a block of lines that all hold one, column by column: the usual case.

    `values` are texts in UTF-8 (None where there was none) or a matrix of vectors. Iterating gives each as an `Answer`.
    """

    record_ids: list[str | None]
    values: list[bytes | None] | Vector
    stop_reasons: list[str | None]
    input_tokens: list[int | None]
    output_tokens: list[int | None]
    reasonings: list[bytes | None] | None = None
    """None where the run does not keep reasoning."""

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
"""The content of a block of whole lines; None stands for a line that is not a JSON object, such as a cut-off one."""

"""Read output lines whose answers are vectors."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bedrock_batch.answers import parse_types
from bedrock_batch.answers.answer import Answer, Answers, Failure, Parsed, Vector
from bedrock_batch.answers.lines import lines_of
from bedrock_batch.answers.number_arrays import ArrayParser, Arrays, Place, take_out
from bedrock_batch.answers.parse_slowly import any_count, as_text, exactly, failure_of
from bedrock_batch.answers.response_path import EVERY, Path, WrongKind, compile_path, find
from bedrock_batch.errors import InvalidRunInput
from bedrock_batch.row_errors import RowError

_MESSAGE: Path = ("message",)
"""Titan Multimodal reports an error in this member of an ordinary answer."""

_ODD = (ValueError, RecursionError, LookupError, TypeError, RuntimeError, FloatingPointError)
"""Errors of lines that the fast way cannot read: no JSON, no value or one of another kind, a number beyond 32 bits."""


class VectorParser:
    """Parses blocks of whole lines into vectors of `dimensions` floats. `response` has the paths, as in `run.json`.

    Raises:
        InvalidRunInput: a path is malformed, or the vector's path may lead to several vectors.
    """

    def __init__(self, response: Mapping[str, str], dimensions: int) -> None:
        self._dimensions = dimensions
        self._name = response["embedding"]
        self._path = path = compile_path(self._name)
        if EVERY in path:
            raise InvalidRunInput(f"response.embedding {self._name!r} must lead to one vector. Write [0], not [].")
        self._tokens_path = tokens = compile_path(response["input_tokens"]) if "input_tokens" in response else None
        paths: list[tuple[Path, Any]] = [(path, Place), (_MESSAGE, str)]
        if tokens:
            paths.append((tokens, parse_types.Count))
        self._decoder = parse_types.line_decoder(paths)
        self._place, self._message, self._tokens = (
            parse_types.reader(one, parse_types.first) for one in (path, _MESSAGE, tokens)
        )
        self._all_places, self._all_messages, self._all_tokens = (
            parse_types.column([one] if one else None, parse_types.first) for one in (path, _MESSAGE, tokens)
        )
        self._numbers = ArrayParser()

    def __call__(self, block: bytes | memoryview) -> Parsed:
        """Return the answers of a block of whole lines."""
        whole = bytes(block)
        with np.errstate(over="raise"):
            try:
                return self._read(whole)
            except _ODD:
                return [self._alone(line) for line in lines_of(whole)]

    def _read(self, block: bytes) -> Parsed:
        shortened, arrays = take_out(block)
        lines = self._decoder.decode_lines(shortened)
        try:
            return self._together(lines, arrays)
        except (AttributeError, TypeError):
            return [self._one(line, arrays, raw) for line, raw in zip(lines, lines_of(block), strict=True)]

    def _together(self, lines: list[Any], arrays: Arrays) -> Answers:
        """Parse all lines column by column. Raises AttributeError or TypeError unless all are answers."""
        outputs = parse_types.outputs_of(lines)
        if any(said is not None for said in self._all_messages(outputs)):
            raise TypeError("not only answers")
        vectors = self._numbers.parse([arrays[place] for place in self._all_places(outputs)], self._dimensions)
        nothing: list[Any] = [None] * len(lines)
        return Answers([line.recordId for line in lines], vectors, nothing, self._all_tokens(outputs), nothing)

    def _one(self, line: Any, arrays: Arrays, raw: bytes) -> Answer | Failure | None:
        output = line.modelOutput
        failed = output is None or line.error is not None
        said = None if failed else self._message(output)
        if (failed or said is not None) and b"[" in raw:
            return exactly(raw, self._slowly)  # A part of its message may have been taken for an array.
        if failed:
            return failure_of(line)
        if said is not None:
            return Failure(line.recordId, RowError.MODEL_ERROR, said)
        (vector,) = self._numbers.parse([arrays[self._place(output)]], self._dimensions)
        return Answer(line.recordId, vector, None, self._tokens(output))

    def _alone(self, line: bytes) -> Answer | Failure | None:
        """Parse a line of a block in which the fast way could not read some line."""
        try:
            (found,) = self._read(line)
            return found
        except _ODD:
            return exactly(line, self._slowly)

    def _slowly(self, record_id: str | None, output: Any) -> Answer | Failure:
        if isinstance(output, dict) and output.get("message") is not None:
            return Failure(record_id, RowError.MODEL_ERROR, as_text(output["message"]))
        found = next(find(self._path, output), None)
        tokens = any_count([self._tokens_path] if self._tokens_path else [], output)
        if found is None or found == []:
            return Answer(record_id, None, None, tokens)
        if not isinstance(found, list) or not all(type(number) in (int, float) for number in found):
            raise WrongKind(f"a list of numbers was expected at {self._name}")
        if len(found) != self._dimensions:
            detail = f"the vector has {len(found)} dimensions instead of {self._dimensions}"
            return Failure(record_id, RowError.WRONG_DIMENSIONS, detail)
        return Answer(record_id, _vector(found), None, tokens)


def _vector(numbers: list[int | float]) -> Vector:
    """Return numbers as 32-bit floats. Raises WrongKind if one is too large."""
    try:
        with np.errstate(over="raise"):
            vector = np.array(numbers, np.float64).astype(np.float32)
    except ArithmeticError:  # An integer beyond 64-bit floats raises it too.
        vector = np.array([np.nan], np.float32)
    if not np.isfinite(vector).all():
        raise WrongKind("a number does not fit into a 32-bit float")
    return vector

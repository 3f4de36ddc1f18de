"""Read answers that follow a JSON Schema: find the object in the text, validate it, turn it into typed columns.

If the whole text is JSON, it is the answer. If not, the last valid object in the text is. `find_object` finds objects,
`schema_validator` validates them, and `schema_columns` has the types of the columns.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from bedrock_batch.answers.find_object import NotJson, Span, Surroundings, parse, spans
from bedrock_batch.answers.schema_columns import Columns
from bedrock_batch.answers.schema_columns import Unfit as Unfit
from bedrock_batch.answers.schema_places import Places
from bedrock_batch.answers.schema_trials import trials
from bedrock_batch.answers.schema_validator import Validator
from bedrock_batch.errors import InvalidRunInput

_CHUNK = 128
"""Answers that become columns together. Small numbers reuse the same memory, which is much faster."""


class Reader:
    """Reads many answers with one schema. `fields` are the columns of the schema's properties.

    Raises InvalidRunInput unless the schema is a JSON Schema of an object and within the limits.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        places = Places(schema)
        self._validator = Validator(places)
        self._columns = Columns(places)
        self.fields = self._columns.fields
        self._try_out(places)

    def read(self, text: bytes) -> dict[str, Any]:
        """Return an answer's properties, ready for Arrow. For any text, the only error is Unfit."""
        try:
            value = parse(text)
        except NotJson:
            return self._found(text)
        if not self._validator.is_valid(value):
            raise self._unfit(value, len(text))
        return self._columns.converted(value)

    def columns(self, texts: Sequence[bytes | None]) -> tuple[list[pa.Array], dict[int, str]]:
        """Return the columns of some rows, and by index what is wrong with their answers. None is a row without one."""
        problems: dict[int, str] = {}
        chunks = [self._chunk(texts, start, problems) for start in range(0, len(texts), _CHUNK)]
        if len(chunks) == 1:
            return chunks[0], problems
        return [pa.concat_arrays(column) for column in zip(*chunks, strict=True)] or self.arrays([]), problems

    def _chunk(self, texts: Sequence[bytes | None], start: int, problems: dict[int, str]) -> list[pa.Array]:
        """Return the columns of rows from `start` on; put what is wrong with their answers into `problems`."""
        answers: list[dict[str, Any] | None] = []
        for place, text in enumerate(texts[start : start + _CHUNK], start):
            answer = None
            if text is not None:
                try:
                    answer = self.read(text)
                except Unfit as problem:
                    problems[place] = str(problem)
            answers.append(answer)
        return self.arrays(answers)

    def arrays(self, answers: Sequence[Mapping[str, Any] | None]) -> list[pa.Array]:
        """Return the columns of some rows from the results of `read`. None is a row without an answer."""
        return self._columns.arrays(answers)

    def _found(self, text: bytes) -> dict[str, Any]:
        """Return the last valid object in a text. Raises Unfit.

        A later object may be broken. If its first key is a property of the schema, it is the model's last word, so no
        earlier object counts.
        """
        found = list(spans(text))
        problem = None
        for number in range(len(found) - 1, -1, -1):
            span = found[number]
            try:
                value = parse(text[span.start : span.stop])
            except NotJson as err:
                if self._is_ours(span):
                    raise Unfit(f"an object in the answer is not JSON: {err}") from err
                continue
            if self._columns.names.isdisjoint(value):
                continue
            if self._validator.is_valid(value):
                if Surroundings(text, found).show_a_member(number):
                    raise Unfit("an object in the answer is not JSON: its beginning is missing")
                try:
                    return self._columns.converted(value)
                except Unfit as err:
                    problem = problem or err
            else:
                problem = problem or self._unfit(value, span.stop - span.start)
        if problem is None:
            wanted = " that has a property of the schema" if found else ""
            problem = Unfit(f"there is no JSON object in the answer{wanted}")
        raise problem

    def _is_ours(self, span: Span) -> bool:
        try:
            return parse(span.key) in self._columns.names
        except NotJson:
            return False

    def _unfit(self, value: Any, size: int) -> Unfit:
        return Unfit(self._validator.problem(value, size=size))

    def _try_out(self, places: Places) -> None:
        """Read a few made-up answers, so that a schema that cannot be used is refused before any spend."""
        for text in trials(places):
            try:
                self.arrays([self.read(text)])
            except Unfit:
                continue
            except Exception as err:  # Whatever the error is, real answers would raise it too, after the spend.
                raise InvalidRunInput(
                    f"output.schema cannot be used: reading the answer {text.decode()[:200]} raises "
                    f"{type(err).__name__}: {str(err)[:200]}"
                ) from err

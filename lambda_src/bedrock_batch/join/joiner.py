"""Match a shard's answers with its rows.

A record id has its row's number, so each answer is stored at its row, whatever order Bedrock wrote the answers in. Then
the frame is read in order, and each batch of rows gets its answers. No row is lost or doubled, because rows come only
from the frame.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from bedrock_batch.answers.answer import Answer, Answers, Failure, Parsed
from bedrock_batch.answers.answer_schema import Reader
from bedrock_batch.contracts.lines import JobEnd
from bedrock_batch.contracts.results import Joined
from bedrock_batch.join.held_answers import MOST_HELD_BYTES, Texts, Vectors
from bedrock_batch.join.output_columns import Kind, Known, our_columns
from bedrock_batch.join.row_outcomes import RowOutcomes
from bedrock_batch.record_ids import row_of, rows_of, shard_prefix


class Joiner:
    """Collects the answers of one shard, then adds them to its rows.

    Memory holds up to `held_bytes` of answers (texts as UTF-8, vectors at 4 bytes for each dimension) and about 100
    bytes for each row. With `first_row`, the table's row (from 0) of the shard's first row, the output has row numbers.
    With a `reader`, answers are validated and become typed columns.
    """

    def __init__(
        self,
        *,
        shard: int,
        rows: int,
        kind: Kind,
        dimensions: int | None = None,
        reader: Reader | None = None,
        reasoning: bool = False,
        first_row: int | None = None,
        held_bytes: int = MOST_HELD_BYTES,
    ) -> None:
        self.foreign = 0
        """Lines whose record id does not belong to a submitted row of the shard."""
        self.duplicates = 0
        """Lines for rows that already had an answer. The first answer stays."""
        self.broken = 0
        """Lines that are not JSON objects. Their rows are missing unless another line answers them."""
        self.outcomes = RowOutcomes(rows)
        self._shard, self._rows = shard, rows
        self._prefix = shard_prefix(shard)
        self._values: Texts | Vectors
        if kind == "text":
            self._values = Texts(rows, held_bytes, reasoning=reasoning)
        else:
            self._values = Vectors(rows, dimensions or 0, held_bytes)
        self._columns = our_columns(
            kind=kind,
            dimensions=dimensions,
            reader=reader,
            reasoning=reasoning,
            row_number=first_row is not None,
        )
        self._first_row = first_row or 0
        self._reader = reader

    def skip(self, lines: Iterable[Mapping[str, Any]], *, first_row: int) -> None:
        """Note the rows that were refused before submission, from the lines of the skipped file.

        The lines have the table's rows from 1. `first_row` is the table's row (from 0) of the shard's first row.
        """
        for line in lines:
            self.outcomes.skip(int(line["row"]) - 1 - first_row, str(line["code"]), str(line["reason"]))

    def end(self, jobs: Sequence[JobEnd]) -> None:
        """Note how the shard's jobs ended, in the order of time. The last one explains rows without a line."""
        if jobs:
            self.outcomes.blame(jobs[-1])

    def add(self, answers: Parsed) -> None:
        """Store answers at their rows.

        The first success stays; later lines for its row change nothing. Until then, a later failure replaces an
        earlier one, because it says what happened in the latest round.
        """
        if not (isinstance(answers, Answers) and self._add_together(answers)):
            for answer in answers:
                self._add(answer)

    def _add(self, answer: Answer | Failure | None) -> None:
        if answer is None:
            self.broken += 1
            return
        row = row_of(answer.record_id, self._prefix, self._rows)
        if row is None or self.outcomes.is_skipped(row):
            self.foreign += 1
        elif self.outcomes.is_answered(row):
            self.duplicates += 1
        elif isinstance(answer, Failure):
            self.outcomes.fail(row, answer.code, answer.message)
            self._values.put(row, None)
        else:
            self.outcomes.answer(row, answer)
            self._values.put(row, answer.value, answer.reasoning)

    def _add_together(self, answers: Answers) -> bool:
        """Add answers column by column, which is faster, if all are successes of rows without an answer.

        Returns false, and does nothing, if they are not.
        """
        rows = rows_of(answers.record_ids, self._prefix)
        if rows is None or not len(rows) or rows.max() >= self._rows:
            return False
        if not self.outcomes.are_open(rows) or (isinstance(answers.values, list) and not all(answers.values)):
            return False
        self.outcomes.answer_all(rows, answers)
        self._values.put_all(rows, answers.values, answers.reasonings)
        return True

    def join(
        self,
        batches: Iterable[pa.RecordBatch],
        schema: pa.Schema,
        again: Callable[[], Iterable[Parsed]] = tuple,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the shard's rows with their answers, batch by batch, in the columns of `output_schema`.

        `again` returns all added answers again. It is called for each further window, if not all answers fit into one.
        """
        start = 0
        for batch in batches:
            stop = start + batch.num_rows
            while start < stop:
                if start == self._values.stop:
                    self._hold(start, again())
                rows = batch.slice(start - stop + batch.num_rows, self._values.stop - start)
                ours = self.columns(start, start + rows.num_rows)
                yield pa.RecordBatch.from_arrays([*rows.columns, *ours], schema=schema)
                start += rows.num_rows

    def _hold(self, start: int, again: Iterable[Parsed]) -> None:
        """Hold the answers of the rows from `start` on: the first success of each row."""
        self._values.move(start, self._rows)
        for answers in again:
            for answer in answers:
                row = None if answer is None else row_of(answer.record_id, self._prefix, self._rows)
                if row is None or self.outcomes.is_skipped(row):
                    continue
                if isinstance(answer, Answer):
                    self._values.put(row, answer.value, answer.reasoning)
                else:
                    self._values.put(row, None)

    def columns(self, start: int, stop: int) -> list[pa.Array]:
        """Return our columns for rows [start, stop) of the shard. With a reader, validate the answers."""
        properties = self._properties(start, stop)
        rows = Known(self.outcomes, self._values, properties, start, stop, self._first_row)
        return [column.values(rows) for column in self._columns]

    def _properties(self, start: int, stop: int) -> dict[str, pa.Array]:
        """Return the properties of the answers by name. An answer that does not match the schema becomes `invalid`."""
        if self._reader is None or not isinstance(self._values, Texts):
            return {}
        arrays, problems = self._reader.columns([self._values.get(row) for row in range(start, stop)])
        for place, problem in problems.items():
            self.outcomes.invalidate(start + place, problem)
        return {field.name: array for field, array in zip(self._reader.fields, arrays, strict=True)}

    def joined(self, *, output_key: str, size: int) -> Joined:
        """Return the shard's counts; `size` is the part's size in bytes."""
        return self.outcomes.joined(shard=self._shard, output_key=output_key, size=size)

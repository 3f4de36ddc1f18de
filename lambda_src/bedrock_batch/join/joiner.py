"""Put a shard's answers beside its rows.

A record id holds its row's number, so joining is a scatter: an answer goes straight to its place, in
whatever order Bedrock wrote it. Then the source rows are read again and pass by, in order, each batch taking
the answers of its rows along. A row is never lost and never doubled, because the rows come from the source
and only from there.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from bedrock_batch.answers.answer import Answer, Answers, Failure, Parsed
from bedrock_batch.answers.answer_schema import Reader
from bedrock_batch.answers.outcome import (
    ANSWERED,
    EMPTY_ANSWER,
    INVALID_ANSWER,
    MET_MAX_TOKENS,
    OUTCOMES,
    REFUSED_TWICE,
    is_leftover,
    judge,
    most_frequent,
)
from bedrock_batch.aws.causes import without_data
from bedrock_batch.contracts.lines import NOT_CREATED, JobEnd, Joined
from bedrock_batch.errors import InputChanged
from bedrock_batch.join.held_answers import Texts, Vectors
from bedrock_batch.join.output_columns import Kind
from bedrock_batch.join.token_counts import Counts
from bedrock_batch.record_ids import row_of, rows_of

_INDEX = {outcome: index for index, outcome in enumerate(OUTCOMES)}
_INVALID, _FAILED, _SKIPPED, _MISSING = (_INDEX[name] for name in ("invalid", "failed", "skipped", "missing"))
_ANSWERED = tuple(_INDEX[name] for name in ANSWERED)
_MOST_MESSAGE = 300
_OPEN = np.isin(np.arange(256), (_MISSING, _FAILED))
"""Tells of an outcome whether an answer may still take its place."""


class Joiner:
    """Collects the answers of one shard, then lays them beside its rows.

    Holds the answers of as many rows as fit `held_answers.HELD_BYTES` (texts as UTF-8, vectors at 4 bytes a dimension)
    and some 100 bytes for each row. With a `reader` answers are held against its schema, and become typed columns,
    as their rows pass by.
    """

    def __init__(
        self, *, shard: int, rows: int, kind: Kind, dimensions: int | None = None, reader: Reader | None = None
    ) -> None:
        self.foreign = 0
        """Lines whose record id is none of the shard's submitted rows."""
        self.duplicates = 0
        """Lines for rows that had their answer already; the first stays."""
        self.broken = 0
        """Lines that are not JSON objects; their rows count as missing unless another line answers them."""
        self._shard, self._rows = shard, rows
        self._prefix = f"{shard:05d}"
        self._outcomes = bytearray([_MISSING]) * rows
        self._values: Texts | Vectors = Texts(rows) if kind == "text" else Vectors(rows, dimensions or 0)
        # Stop reasons are few: a row has the number of its own, and what each makes of an answer is judged once.
        self._stop_reasons: dict[str | None, int] = {None: 0}
        self._ends = [_end(None)]
        self._stopped: array[int] | None = array("i", [0]) * rows if kind == "text" else None
        self._input_tokens = Counts(rows)
        self._output_tokens = Counts(rows) if kind == "text" else None
        self._failures: dict[int, tuple[str, str]] = {}
        self._known_failures: dict[tuple[str, str], tuple[str, str]] = {}
        self._reader = reader
        self._missing = (NOT_CREATED, "no job was created for this row")

    def skip(self, lines: Iterable[Mapping[str, Any]], *, first_row: int) -> None:
        """Note the rows that were refused before submission, from the lines of the skipped file.

        These name the table's rows, from 1; `first_row` is the number of the shard's first row, from 0.
        """
        for line in lines:
            row = int(line["row"]) - 1 - first_row
            self._outcomes[row] = _SKIPPED
            self._failures[row] = (str(line["code"]), str(line["reason"]))

    def end(self, jobs: Sequence[JobEnd]) -> None:
        """Note how the shard's jobs ended, in the order of time; rows without a line blame the last."""
        if jobs:
            self._missing = (jobs[-1].status, _told(jobs[-1]))

    def add(self, answers: Parsed) -> None:
        """Scatter answers to their rows.

        The first success stays: later lines for the row change nothing. Until then a later failure replaces
        an earlier one, as it tells what the latest round made of the record.
        """
        if not (isinstance(answers, Answers) and self._add_together(answers)):
            for answer in answers:
                self._add(answer)

    def _add(self, answer: Answer | Failure | None) -> None:
        if answer is None:
            self.broken += 1
            return
        row = self._row(answer.record_id)
        if row is None or self._outcomes[row] == _SKIPPED:
            self.foreign += 1
        elif self._outcomes[row] in _ANSWERED:
            self.duplicates += 1
        elif isinstance(answer, Failure):
            self._fail(row, answer.code, answer.message)
        else:
            self._answer(row, answer)

    def _add_together(self, answers: Answers) -> bool:
        """Add answers column by column, if all are successes of rows that have none: the usual case, faster."""
        rows = rows_of(answers.record_ids, self._prefix)
        if rows is None or not len(rows) or rows.max() >= self._rows:
            return False
        outcomes = np.frombuffer(self._outcomes, np.uint8)
        if not _OPEN[outcomes[rows]].all() or (isinstance(answers.values, list) and not all(answers.values)):
            return False
        for reason in set(answers.stop_reasons):
            self._reason(reason)
        reasons = [self._stop_reasons[reason] for reason in answers.stop_reasons]
        outcomes[rows] = np.array(self._ends, np.uint8)[reasons]
        if self._failures:
            for row in rows.tolist():
                self._failures.pop(row, None)
        self._values.put_all(rows, answers.values)
        self._input_tokens.put_all(rows, answers.input_tokens)
        if self._stopped is not None and self._output_tokens is not None:
            self._output_tokens.put_all(rows, answers.output_tokens)
            np.frombuffer(self._stopped, np.int32)[rows] = reasons
        return True

    def _reason(self, stop_reason: str | None) -> int:
        """Return the number of a stop reason."""
        number = self._stop_reasons.get(stop_reason)
        if number is None:
            number = self._stop_reasons[stop_reason] = len(self._ends)
            self._ends.append(_end(stop_reason))
        return number

    def _row(self, record_id: str | None) -> int | None:
        return row_of(record_id, self._prefix, self._rows)

    def _answer(self, row: int, answer: Answer) -> None:
        reason = answer.stop_reason
        if answer.value is None:
            _, code, message = judge(reason, has_answer=False)
            self._fail(row, code or EMPTY_ANSWER, message or "")
        else:
            self._failures.pop(row, None)
            self._outcomes[row] = self._ends[self._reason(reason)]
            self._values.put(row, answer.value)
        self._input_tokens.put(row, answer.input_tokens)
        if self._stopped is not None and self._output_tokens is not None:
            self._output_tokens.put(row, answer.output_tokens)
            self._stopped[row] = self._reason(reason)

    def _fail(self, row: int, code: str, message: str) -> None:
        self._outcomes[row] = _FAILED
        failure = (code, message)  # kept once: a wrong parameter fails every row with the same words
        self._failures[row] = self._known_failures.setdefault(failure, failure)

    def join(
        self,
        batches: Iterable[pa.RecordBatch],
        schema: pa.Schema,
        again: Callable[[], Iterable[Parsed]] = tuple,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the shard's rows, batch by batch, with their answers, in `output_schema`'s columns.

        `again` gives the answers that were added once more; it is asked when not all can be held at once.

        Raises:
            InputChanged: the source has more or fewer rows than were planned.
        """
        start = 0
        for batch in batches:
            stop = start + batch.num_rows
            if stop > self._rows:
                break
            while start < stop:
                if start == self._values.stop:
                    self._hold(start, again())
                rows = batch.slice(start - stop + batch.num_rows, self._values.stop - start)
                ours = self.columns(start, start + rows.num_rows)
                yield pa.RecordBatch.from_arrays([*rows.columns, *ours], schema=schema)
                start += rows.num_rows
        else:
            stop = start
        if stop != self._rows:
            found = f"more than {self._rows}" if stop > self._rows else f"only {stop} of {self._rows}"
            raise InputChanged(
                f"Shard {self._shard} now has {found} rows: an input object changed after the run was planned.",
                advice="Start a new run.",
            )

    def _hold(self, start: int, again: Iterable[Parsed]) -> None:
        """Hold the answers of the rows from `start` on: the first success of a row, as before."""
        self._values.move(start, self._rows)
        for answers in again:
            for answer in answers:
                if isinstance(answer, Answer) and answer.value is not None:
                    row = self._row(answer.record_id)
                    if row is not None and self._outcomes[row] in _ANSWERED:
                        self._values.put(row, answer.value)

    def columns(self, start: int, stop: int) -> list[pa.Array]:
        """Return our columns for rows [start, stop) of the shard, and judge their answers by the schema if any."""
        properties = self._properties(start, stop)
        outcomes = np.frombuffer(self._outcomes, np.uint8)[start:stop]
        failures = [pa.nulls(stop - start, pa.string())] * 2
        if (failed := np.flatnonzero(outcomes >= _INVALID)).size:
            told: list[tuple[str | None, str | None]] = [(None, None)] * (stop - start)
            for place in failed.tolist():
                told[place] = self._failures.get(start + place, self._missing)
            failures = [pa.array(column, pa.string()) for column in zip(*told, strict=True)]
        columns = [pa.array(OUTCOMES).take(pa.array(outcomes)), self._values.column(start, stop)]
        if self._stopped is not None:
            stopped = np.frombuffer(self._stopped, np.int32)[start:stop]
            columns.append(pa.array(list(self._stop_reasons), pa.string()).take(pa.array(stopped)))
        columns.append(self._input_tokens.column(start, stop))
        if self._output_tokens is not None:
            columns.append(self._output_tokens.column(start, stop))
        return [*columns, *failures, *properties]

    def _properties(self, start: int, stop: int) -> list[pa.Array]:
        """Return the columns of the answers' properties.

        An answer that was cut stays `truncated` when it does not fit the schema: that is why it does not.
        """
        if self._reader is None or not isinstance(self._values, Texts):
            return []
        arrays, problems = self._reader.columns([self._values.get(row) for row in range(start, stop)])
        for place, problem in problems.items():
            if self._outcomes[start + place] != _INDEX["truncated"]:
                self._outcomes[start + place] = _INVALID
                self._failures[start + place] = (INVALID_ANSWER, problem)
        return arrays

    def refuse(self, rows: Iterable[int], job: JobEnd) -> None:
        """Fail the rows among these that have no answer: this job was the last that refused their records."""
        left = set(rows).intersection(self.leftover_rows())
        for row in left:
            self._fail(row, REFUSED_TWICE, _told(job))

    def leftover_rows(self) -> list[int]:
        """Return the rows that may still get an answer, in order."""
        outcomes = np.frombuffer(self._outcomes, np.uint8)
        return [
            row
            for row in np.flatnonzero(_OPEN[outcomes]).tolist()
            if outcomes[row] == _MISSING or is_leftover("failed", self._failures[row][0])
        ]

    def rows_to_ask_again(self, wanted: Collection[str]) -> list[int]:
        """Return the rows whose answer met its limit (`truncated`) or is not of the schema (`invalid`), in order.

        An answer that met its limit before the first word counts as truncated here, though its row is `failed`.
        """
        met = MET_MAX_TOKENS if "truncated" in wanted else ()
        numbers = {number for reason, number in self._stop_reasons.items() if reason in met}
        stopped = self._stopped or array("i", [0]) * self._rows
        return [
            row
            for row, outcome in enumerate(self._outcomes)
            if (outcome == _INVALID and "invalid" in wanted)
            or (outcome == _INDEX["truncated"] and stopped[row] in numbers)
            or (outcome == _FAILED and self._failures[row][0] in met)
        ]

    def outcomes_of(self, rows: Iterable[int]) -> dict[str, int]:
        """Return the number of these rows by outcome."""
        counts = Counter(self._outcomes[row] for row in rows)
        return {outcome: counts[index] for outcome, index in _INDEX.items() if counts[index]}

    def joined(self, *, output_key: str, size: int) -> Joined:
        """Return the shard's counts; `size` is the part's in bytes."""
        counts = np.bincount(np.frombuffer(self._outcomes, np.uint8), minlength=len(OUTCOMES)).tolist()
        codes = Counter(code for code, _ in self._failures.values())
        said = {code: message for row, (code, message) in self._failures.items() if self._outcomes[row] == _FAILED}
        if counts[_MISSING]:
            codes[self._missing[0]] += counts[_MISSING]
            said.setdefault(*self._missing)
        errors = most_frequent(codes)
        return Joined(
            shard=self._shard,
            rows=self._rows,
            output_key=output_key,
            bytes=size,
            outcomes={outcome: counts[index] for outcome, index in _INDEX.items() if counts[index]},
            leftovers=len(self.leftover_rows()),
            input_tokens=self._input_tokens.total(),
            output_tokens=self._output_tokens.total() if self._output_tokens else 0,
            errors=errors,
            messages={code: without_data(said[code], _MOST_MESSAGE) for code in errors if code in said},
            met_max_tokens=self._met_max_tokens(),
        )

    def _met_max_tokens(self) -> int:
        """Return how many answers were cut because they met their limit."""
        if self._stopped is None:
            return 0
        met = [number for reason, number in self._stop_reasons.items() if reason in MET_MAX_TOKENS]
        cut = np.frombuffer(self._outcomes, np.uint8) == _INDEX["truncated"]
        return int((cut & np.isin(np.frombuffer(self._stopped, np.int32), met)).sum())


def _told(job: JobEnd) -> str:
    """Return for the rows of a job how it ended."""
    message = f": {job.message}" if job.message else ""
    return f"job {job.job_name} ended {job.status}{message}"


def _end(stop_reason: str | None) -> int:
    """Return the outcome of an answer that ended so."""
    return _INDEX[judge(stop_reason, has_answer=True)[0]]

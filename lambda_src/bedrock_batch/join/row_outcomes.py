"""The outcome of each row of a shard, its error, and its stop reason."""

from array import array
from collections import Counter
from collections.abc import Collection, Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bedrock_batch.answers.answer import Answer, Answers
from bedrock_batch.answers.outcome import (
    ANSWERED,
    OPEN,
    OUTCOMES,
    Outcome,
    is_leftover,
    judge,
    met_max_tokens,
    most_frequent,
)
from bedrock_batch.aws.causes import without_data
from bedrock_batch.contracts.lines import NOT_CREATED, JobEnd
from bedrock_batch.contracts.results import Joined
from bedrock_batch.join.token_counts import Counts
from bedrock_batch.record_ids import Rows
from bedrock_batch.row_errors import RowError

_TRUNCATED, _INVALID, _FAILED, _SKIPPED, _MISSING = (
    outcome.code for outcome in (Outcome.TRUNCATED, Outcome.INVALID, Outcome.FAILED, Outcome.SKIPPED, Outcome.MISSING)
)
_MOST_MESSAGE = 300


def _mask(outcomes: Collection[Outcome]) -> npt.NDArray[np.bool_]:
    """Return an array that is true at the codes of these outcomes."""
    return np.isin(np.arange(256), [outcome.code for outcome in outcomes])


_ANSWERED, _OPEN = _mask(ANSWERED), _mask(OPEN)
_ANSWERED_CODES = frozenset(outcome.code for outcome in ANSWERED)


class RowOutcomes:
    """The outcomes of a shard's rows; at first all are missing. Needs about 30 bytes for each row, more for errors."""

    def __init__(self, rows: int) -> None:
        self.input_tokens, self.output_tokens = Counts(rows), Counts(rows)
        self._rows = rows
        # Python's arrays are faster for single rows, numpy's for many rows. Both share the same memory.
        self._codes = bytearray([_MISSING]) * rows
        self._all_codes = np.frombuffer(self._codes, np.uint8)
        self._stopped = array("i", [0]) * rows
        self._all_stopped = np.frombuffer(self._stopped, np.int32)
        # There are few different stop reasons. Each row stores the number of its stop reason. `_ends` has the outcome
        # for each number, so that it is looked up once.
        self._stop_reasons: dict[str | None, int] = {None: 0}
        self._ends = [judge(None, has_answer=True)[0].code]
        self._failures: dict[int, tuple[str, str]] = {}
        self._known_failures: dict[tuple[str, str], tuple[str, str]] = {}
        self._missing = (NOT_CREATED, "no job was created for this row")

    def is_skipped(self, row: int) -> bool:
        return self._codes[row] == _SKIPPED

    def is_answered(self, row: int) -> bool:
        return self._codes[row] in _ANSWERED_CODES

    def are_open(self, rows: Rows) -> bool:
        """Return whether all of these rows may still get an answer."""
        return bool(_OPEN[self._all_codes[rows]].all())

    def skip(self, row: int, code: str, reason: str) -> None:
        """Note that a row was refused before submission."""
        self._codes[row] = _SKIPPED
        self._failures[row] = (code, reason)

    def blame(self, job: JobEnd) -> None:
        """Set this job's end as the error of all rows that stay missing."""
        self._missing = (job.status, _how_ended(job))

    def answer(self, row: int, answer: Answer) -> None:
        """Note the stop reason and the tokens of an answer. An answer without a value is a failure."""
        reason = answer.stop_reason
        if answer.value is None:
            _, code, message = judge(reason, has_answer=False)
            self.fail(row, code or RowError.EMPTY_ANSWER, message or "")
        else:
            self._failures.pop(row, None)
            self._codes[row] = self._ends[self._number(reason)]
        self.input_tokens.put(row, answer.input_tokens)
        self.output_tokens.put(row, answer.output_tokens)
        self._stopped[row] = self._number(reason)

    def answer_all(self, rows: Rows, answers: Answers) -> None:
        """Note answers of open rows, column by column. All answers have a value."""
        for reason in set(answers.stop_reasons):
            self._number(reason)
        reasons = [self._stop_reasons[reason] for reason in answers.stop_reasons]
        self._all_codes[rows] = np.array(self._ends, np.uint8)[reasons]
        self._all_stopped[rows] = reasons
        if self._failures:
            for row in rows.tolist():
                self._failures.pop(row, None)
        self.input_tokens.put_all(rows, answers.input_tokens)
        self.output_tokens.put_all(rows, answers.output_tokens)

    def _number(self, stop_reason: str | None) -> int:
        """Return the number of a stop reason."""
        number = self._stop_reasons.get(stop_reason)
        if number is None:
            number = self._stop_reasons[stop_reason] = len(self._ends)
            self._ends.append(judge(stop_reason, has_answer=True)[0].code)
        return number

    def fail(self, row: int, code: str, message: str) -> None:
        self._codes[row] = _FAILED
        failure = (code, message)  # Keep equal failures once: a wrong parameter fails every row with the same message.
        self._failures[row] = self._known_failures.setdefault(failure, failure)

    def refuse(self, rows: Iterable[int], job: JobEnd) -> None:
        """Fail the rows among these that have no answer: this job was the last that refused their records."""
        for row in set(rows).intersection(self.leftover_rows()):
            self.fail(row, RowError.REFUSED_TWICE, _how_ended(job))

    def invalidate(self, row: int, problem: str) -> None:
        """Note that an answer does not match the schema. A truncated answer stays truncated, for that is the cause."""
        if self._codes[row] != _TRUNCATED:
            self._codes[row] = _INVALID
            self._failures[row] = (RowError.INVALID_ANSWER, problem)

    def leftover_rows(self) -> list[int]:
        """Return the rows that may still get an answer, in order."""
        return [
            row
            for row in np.flatnonzero(_OPEN[self._all_codes]).tolist()
            if self._codes[row] == _MISSING or is_leftover(Outcome.FAILED, self._failures[row][0])
        ]

    def rows_to_ask_again(self, wanted: Collection[str]) -> list[int]:
        """Return the rows, in order, whose answer is `truncated` or `invalid`, as far as `wanted` has that word.

        An answer that met its limit before its first word counts as truncated here, although its row is `failed`.
        """
        asks_cut = Outcome.TRUNCATED in wanted
        numbers = self._met() if asks_cut else set[int]()
        return [
            row
            for row, code in enumerate(self._codes)
            if (code == _INVALID and Outcome.INVALID in wanted)
            or (code == _TRUNCATED and self._stopped[row] in numbers)
            or (code == _FAILED and asks_cut and met_max_tokens(self._failures[row][0]))
        ]

    def _met(self) -> set[int]:
        """Return the numbers of the stop reasons of answers that met `max_tokens`."""
        return {number for reason, number in self._stop_reasons.items() if met_max_tokens(reason)}

    def names(self, start: int, stop: int) -> pa.Array:
        """Return the names of the outcomes of rows [start, stop)."""
        return pa.array(OUTCOMES).take(pa.array(self._all_codes[start:stop]))

    def stop_reasons(self, start: int, stop: int) -> pa.Array:
        return pa.array(list(self._stop_reasons), pa.string()).take(pa.array(self._all_stopped[start:stop]))

    def error_codes(self, start: int, stop: int) -> pa.Array:
        return self._errors(start, stop, 0)

    def errors(self, start: int, stop: int) -> pa.Array:
        return self._errors(start, stop, 1)

    def _errors(self, start: int, stop: int, member: int) -> pa.Array:
        """Return the codes (member 0) or messages (member 1) of the rows' errors, null for rows without an error."""
        places = np.flatnonzero(~_ANSWERED[self._all_codes[start:stop]]).tolist()
        if not places:
            return pa.nulls(stop - start, pa.string())
        told: list[str | None] = [None] * (stop - start)
        for place in places:
            told[place] = self._failures.get(start + place, self._missing)[member]
        return pa.array(told, pa.string())

    def counts_of(self, rows: Iterable[int]) -> dict[str, int]:
        """Return how many of these rows have each outcome."""
        return _by_outcome(self._all_codes[np.fromiter(rows, np.int64)])

    def joined(self, *, shard: int, output_key: str, size: int) -> Joined:
        """Return the shard's counts; `size` is the part's in bytes."""
        outcomes = _by_outcome(self._all_codes)
        codes = Counter(code for code, _ in self._failures.values())
        said = {code: message for row, (code, message) in self._failures.items() if self._codes[row] == _FAILED}
        if missing := outcomes.get(Outcome.MISSING):
            codes[self._missing[0]] += missing
            said.setdefault(*self._missing)
        errors = most_frequent(codes)
        cut = self._all_codes == _TRUNCATED
        met = np.isin(self._all_stopped, list(self._met()))
        return Joined(
            shard=shard,
            rows=self._rows,
            output_key=output_key,
            bytes=size,
            outcomes=outcomes,
            leftovers=len(self.leftover_rows()),
            input_tokens=self.input_tokens.total(),
            output_tokens=self.output_tokens.total(),
            errors=errors,
            messages={code: without_data(said[code], _MOST_MESSAGE) for code in errors if code in said},
            met_max_tokens=int((cut & met).sum()),
        )


def _by_outcome(codes: npt.NDArray[np.uint8]) -> dict[str, int]:
    """Return how many of these codes belong to each outcome."""
    counts = np.bincount(codes, minlength=len(OUTCOMES)).tolist()
    return {name: count for name, count in zip(OUTCOMES, counts, strict=True) if count}


def _how_ended(job: JobEnd) -> str:
    """Return a sentence for the rows of a job: how the job ended."""
    message = f": {job.message}" if job.message else ""
    if job.status == "Completed":
        message = ", but its output has no line for this row"
    return f"job {job.job_name} ended {job.status}{message}"

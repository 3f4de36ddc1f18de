"""Put a shard's answers beside its rows.

A record id holds its row's number, so joining is a scatter: an answer goes straight to its place, in
whatever order Bedrock wrote it. Then the source rows are read again and pass by, in order, each batch taking
the answers of its rows along. A row is never lost and never doubled, because the rows come from the source
and only from there.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bedrock_batch.contracts import NOT_CREATED, OUTCOMES, JobEnd, Joined
from bedrock_batch.errors import InputChanged, InvalidRunInput
from bedrock_batch.outcomes import is_leftover, judge
from bedrock_batch.parse import Answer, Failure, Vector

Kind = Literal["text", "embedding"]

TOP_ERRORS = 10
"""So many error codes are reported by name; a report is for reading."""

_INDEX = {outcome: index for index, outcome in enumerate(OUTCOMES)}
_FAILED, _SKIPPED, _MISSING = _INDEX["failed"], _INDEX["skipped"], _INDEX["missing"]
_ANSWERED = (_INDEX["succeeded"], _INDEX["truncated"])
_NO_COUNT = -1
_RECORD_ID_LENGTH = 11


def answer_column(kind: Kind, prefix: str) -> str:
    """Return the name of the column that holds the text or the vector."""
    return f"{prefix}{'response' if kind == 'text' else 'embedding'}"


def output_schema(table: pa.Schema, *, kind: Kind, prefix: str, dimensions: int | None = None) -> pa.Schema:
    """Return the schema of every output part: the table's columns unchanged, then ours.

    Raises:
        InvalidRunInput: one of our columns has the name of a column of the table. Upper and lower case count
            as the same, as they do for Athena, Glue and Spark.
    """
    ours = [pa.field(f"{prefix}outcome", pa.string(), nullable=False)]
    if kind == "text":
        ours += [pa.field(name, pa.string()) for name in (answer_column(kind, prefix), f"{prefix}stop_reason")]
        ours += [pa.field(f"{prefix}{side}_tokens", pa.int64()) for side in ("input", "output")]
    else:
        if dimensions is None:
            raise InvalidRunInput("embedding.dimensions is needed: the vectors' column has a fixed size")
        vector = pa.list_(pa.field("element", pa.float32()), dimensions)
        ours += [pa.field(answer_column(kind, prefix), vector), pa.field(f"{prefix}input_tokens", pa.int64())]
    ours += [pa.field(f"{prefix}error_code", pa.string()), pa.field(f"{prefix}error", pa.string())]

    taken = {name.casefold() for name in table.names}
    collisions = [field.name for field in ours if field.name.casefold() in taken]
    if collisions:
        raise InvalidRunInput(
            f"the input already has a column {', '.join(collisions)}: set output.prefix (now {prefix!r}) to"
            " something that none of its columns starts with"
        )
    return pa.schema([*table, *ours], metadata=table.metadata)


class Joiner:
    """Collects the answers of one shard, then lays them beside its rows.

    Holds the shard's answers and nothing else: texts as UTF-8 bytes with some 100 bytes a row beside them,
    vectors as one array of 4 bytes a dimension and row, taking up memory only where it is filled.
    """

    def __init__(self, *, shard: int, rows: int, kind: Kind, dimensions: int | None = None) -> None:
        self.foreign = 0
        """Lines whose record id is none of the shard's submitted rows."""
        self.duplicates = 0
        """Lines for rows that had their answer already; the first stays."""
        self.broken = 0
        """Lines that are not JSON objects; their rows count as missing unless another line answers them."""
        self._shard, self._rows = shard, rows
        self._prefix = f"{shard:05d}"
        self._outcomes = bytearray([_MISSING]) * rows
        self._values: _Texts | _Vectors = _Texts(rows) if kind == "text" else _Vectors(rows, dimensions or 0)
        self._stop_reasons: list[str | None] | None = [None] * rows if kind == "text" else None
        self._known_reasons: dict[str, str] = {}
        self._input_tokens = array("q", [_NO_COUNT]) * rows
        self._output_tokens = array("q", [_NO_COUNT]) * rows if kind == "text" else None
        self._failures: dict[int, tuple[str, str]] = {}
        self._known_failures: dict[tuple[str, str], tuple[str, str]] = {}
        self._missing = (NOT_CREATED, "no job was created for this row")

    def skip(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Note the rows that were refused before submission, from the lines of the skipped file."""
        for line in lines:
            row = int(line["row"])
            self._outcomes[row] = _SKIPPED
            self._failures[row] = (str(line["code"]), str(line["reason"]))

    def end(self, jobs: Sequence[JobEnd]) -> None:
        """Note how the shard's jobs ended, in the order of rounds; rows without a line blame the last."""
        if jobs:
            job = jobs[-1]
            message = f": {job.message}" if job.message else ""
            self._missing = (job.status, f"job {job.job_name} ended {job.status}{message}")

    def add(self, answers: Iterable[Answer | Failure | None]) -> None:
        """Scatter answers to their rows.

        The first success stays: later lines for the row change nothing. Until then a later failure replaces
        an earlier one, as it tells what the latest round made of the record.
        """
        outcomes = self._outcomes
        for answer in answers:
            if answer is None:
                self.broken += 1
                continue
            row = self._row(answer.record_id)
            if row is None or outcomes[row] == _SKIPPED:
                self.foreign += 1
            elif outcomes[row] in _ANSWERED:
                self.duplicates += 1
            elif isinstance(answer, Failure):
                self._fail(row, answer.code, answer.message)
            else:
                self._answer(row, answer)

    def _row(self, record_id: str | None) -> int | None:
        if record_id is None or len(record_id) != _RECORD_ID_LENGTH or not record_id.startswith(self._prefix):
            return None
        if not (record_id.isascii() and record_id.isdigit()):
            return None
        row = int(record_id[len(self._prefix) :])
        return row if row < self._rows else None

    def _answer(self, row: int, answer: Answer) -> None:
        outcome, code, message = judge(answer.stop_reason, has_answer=answer.value is not None)
        if code is not None:
            self._fail(row, code, message or "")
        else:
            self._failures.pop(row, None)
            self._outcomes[row] = _INDEX[outcome]
            self._values.put(row, answer.value)
        self._input_tokens[row] = _NO_COUNT if answer.input_tokens is None else answer.input_tokens
        if self._stop_reasons is not None and self._output_tokens is not None:
            self._output_tokens[row] = _NO_COUNT if answer.output_tokens is None else answer.output_tokens
            reason = answer.stop_reason
            self._stop_reasons[row] = self._known_reasons.setdefault(reason, reason) if reason else reason

    def _fail(self, row: int, code: str, message: str) -> None:
        self._outcomes[row] = _FAILED
        failure = (code, message)  # kept once: a wrong parameter fails every row with the same words
        self._failures[row] = self._known_failures.setdefault(failure, failure)

    def join(self, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Yield each batch of the shard's rows with its answers, in `output_schema`'s columns.

        Raises:
            InputChanged: the source has more or fewer rows than were planned.
        """
        start = 0
        for batch in batches:
            stop = start + batch.num_rows
            if stop > self._rows:
                break
            yield pa.RecordBatch.from_arrays([*batch.columns, *self.columns(start, stop)], schema=schema)
            start = stop
        else:
            stop = start
        if stop != self._rows:
            found = f"more than {self._rows}" if stop > self._rows else f"only {stop} of {self._rows}"
            raise InputChanged(
                f"Shard {self._shard} now has {found} rows: an input object changed after the run was"
                " planned. Start a new run."
            )

    def columns(self, start: int, stop: int) -> list[pa.Array]:
        """Return our columns for rows [start, stop) of the shard."""
        outcomes = np.frombuffer(self._outcomes, np.uint8)[start:stop]
        codes: list[str | None] = [None] * (stop - start)
        errors: list[str | None] = [None] * (stop - start)
        for place in np.flatnonzero(outcomes >= _FAILED).tolist():
            codes[place], errors[place] = self._failures.get(start + place, self._missing)
        columns = [pa.array(OUTCOMES).take(pa.array(outcomes)), self._values.column(start, stop)]
        if self._stop_reasons is not None:
            columns.append(pa.array(self._stop_reasons[start:stop], pa.string()))
        columns.append(_counts(self._input_tokens, start, stop))
        if self._output_tokens is not None:
            columns.append(_counts(self._output_tokens, start, stop))
        return [*columns, pa.array(codes, pa.string()), pa.array(errors, pa.string())]

    def joined(self, *, output_key: str, size: int) -> Joined:
        """Return the shard's counts; `size` is the part's in bytes."""
        counts = Counter(self._outcomes)
        codes = Counter(code for code, _ in self._failures.values())
        if counts[_MISSING]:
            codes[self._missing[0]] += counts[_MISSING]
        leftovers = sum(is_leftover(OUTCOMES[self._outcomes[row]], code) for row, (code, _) in self._failures.items())
        return Joined(
            shard=self._shard,
            rows=self._rows,
            output_key=output_key,
            bytes=size,
            outcomes={outcome: counts[index] for outcome, index in _INDEX.items() if counts[index]},
            leftovers=leftovers + counts[_MISSING],
            input_tokens=_total(self._input_tokens),
            output_tokens=_total(self._output_tokens),
            errors=dict(sorted(codes.items(), key=lambda item: (-item[1], item[0]))[:TOP_ERRORS]),
        )


class _Texts:
    """Bytes rather than str: a str takes up to four bytes a character."""

    def __init__(self, rows: int) -> None:
        self._texts: list[bytes | None] = [None] * rows

    def put(self, row: int, value: Any) -> None:
        self._texts[row] = value

    def column(self, start: int, stop: int) -> pa.Array:
        return pa.array(self._texts[start:stop], pa.string())


class _Vectors:
    def __init__(self, rows: int, dimensions: int) -> None:
        self._vectors: Vector = np.zeros((rows, dimensions), np.float32)
        self._present: npt.NDArray[np.bool_] = np.zeros(rows, np.bool_)

    def put(self, row: int, value: Any) -> None:
        self._vectors[row] = value
        self._present[row] = True

    def column(self, start: int, stop: int) -> pa.Array:
        floats = pa.array(self._vectors[start:stop].reshape(-1))
        type_ = pa.list_(pa.field("element", pa.float32()), self._vectors.shape[1])
        absent = pa.array(~self._present[start:stop])
        return pa.FixedSizeListArray.from_arrays(floats, type=type_, mask=absent)


def _counts(counts: "array[int]", start: int, stop: int) -> pa.Array:
    values = np.frombuffer(counts, np.int64)[start:stop]
    return pa.array(values, mask=values == _NO_COUNT)


def _total(counts: "array[int] | None") -> int:
    # Summed as Python integers: a nonsensical count must not wrap around.
    return sum(count for count in counts if count != _NO_COUNT) if counts else 0

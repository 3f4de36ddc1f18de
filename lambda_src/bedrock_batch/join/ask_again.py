"""Ask records again if their answer is truncated or invalid, and decide which of the two answers to keep.

A join writes these retries, with the larger limit, into its leftovers file, before the leftovers. The next jobs send
the whole file, so every job made from the file had all its retries. If no model answered a retry, because the request
was throttled or the job was stopped, the retry is treated as a leftover from then on.
"""

import json
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bedrock_batch.answers.answer import Answer, Failure
from bedrock_batch.answers.answer_schema import Reader, Unfit
from bedrock_batch.answers.outcome import Outcome, is_leftover, judge, met_max_tokens
from bedrock_batch.contracts.results import Joined
from bedrock_batch.join.joiner import Joiner
from bedrock_batch.models import json_pointer
from bedrock_batch.record_ids import row_of, shard_prefix


def larger(line: bytes, retry: Mapping[str, Any]) -> bytes:
    """Return a record's line with the larger limit of a retry. The rest of its body does not change."""
    if retry["max_tokens"] is None:
        return line
    record = json.loads(line)
    json_pointer.put(record["modelInput"], retry["place"], retry["max_tokens"])
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Due:
    """Rows of a joined shard whose records must be asked again, in order."""

    first: list[int]
    """Rows whose records are asked again for the first time."""
    again: list[int]
    """Rows whose retry no model answered, so that it is sent again."""


def due(joiner: Joiner, chooser: "Chooser | None", retry: Mapping[str, Any]) -> Due:
    """Return the rows of a joined shard whose records must be asked again."""
    rows = joiner.outcomes.rows_to_ask_again(retry["outcomes"])
    if chooser is None:
        return Due(rows, [])
    return Due([row for row in rows if not chooser.listed[row]], [row for row in rows if chooser.is_open(row)])


def counted(joined: Joined, joiner: Joiner, chooser: "Chooser | None", due: Due) -> Joined:
    """Return `joined` with the counts of the shard's retries."""
    joined = replace(joined, retries=len(due.first), leftovers=joined.leftovers + len(due.again))
    if chooser is None:
        return joined
    return replace(
        joined,
        retried=joiner.outcomes.counts_of(np.flatnonzero(chooser.retried).tolist()),
        input_tokens=joined.input_tokens + chooser.other_input_tokens,
        output_tokens=joined.output_tokens + chooser.other_output_tokens,
    )


class Chooser:
    """Goes through the answers of a shard that had retries, and chooses the answer to keep for each row.

    That is the second answer, unless only the first one has text. So a retry never loses an answer.
    """

    def __init__(self, *, shard: int, rows: int, retry: Mapping[str, Any], reader: Reader | None) -> None:
        self.other_input_tokens = 0
        self.other_output_tokens = 0
        """Output tokens of the answers that are not kept. They are paid too."""
        self.listed = np.zeros(rows, np.bool_)
        """For each row, whether its record was asked again, with or without success."""
        self.retried = np.zeros(rows, np.bool_)
        """For each row, whether a model answered its record a second time."""
        self._prefix, self._rows = shard_prefix(shard), rows
        self._asks_cut = Outcome.TRUNCATED in retry["outcomes"]
        self._reader = reader if Outcome.INVALID in retry["outcomes"] else None
        self._job = -1
        self._step: int | None = None
        self._shown = array("i", [-1]) * rows  # For each row, the job whose answer is kept.
        self._has_text, self._unsatisfying, self._refused = (np.zeros(rows, np.bool_) for _ in range(3))
        self._tokens = np.zeros((2, rows), np.int64)

    def look(self, leftovers_step: int | None, answers: Iterable[Iterable[Answer | Failure | None]]) -> None:
        """Look at the answers of the next job, in the order of time; `leftovers_step` is the one of its `JobEnd`."""
        self._job += 1
        if leftovers_step not in (None, self._step):
            self._step = leftovers_step
            self.listed |= self._unsatisfying
        for some in answers:
            for answer in some:
                if answer is not None:
                    row = row_of(answer.record_id, self._prefix, self._rows)
                    if row is not None:
                        self._look(row, answer)

    def _look(self, row: int, answer: Answer | Failure) -> None:
        """Look at an answer. A first answer is kept as in `Joiner.add`: the first text, or else the latest failure."""
        if isinstance(answer, Failure):
            if self.listed[row]:
                self._refused[row] |= not is_leftover(Outcome.FAILED, answer.code)
            elif not self._has_text[row]:
                self._unsatisfying[row] = False
            return
        tokens = (answer.input_tokens or 0, answer.output_tokens or 0)
        if not self.listed[row]:
            if self._has_text[row]:
                return
        elif self.retried[row]:
            return
        else:
            self.retried[row] = True
            counts = answer.value is not None or not self._has_text[row]
            other = self._tokens[:, row] if counts else tokens
            self.other_input_tokens += int(other[0])
            self.other_output_tokens += int(other[1])
            if not counts:
                return
        self._tokens[:, row] = tokens
        self._shown[row] = self._job
        self._has_text[row] = answer.value is not None
        self._unsatisfying[row] = not self._satisfies(answer)

    def _satisfies(self, answer: Answer) -> bool:
        if self._asks_cut and met_max_tokens(answer.stop_reason):
            return False
        if self._reader is None or not isinstance(answer.value, bytes):
            return True
        if judge(answer.stop_reason, has_answer=True)[0] != Outcome.SUCCEEDED:
            return True
        try:
            self._reader.read(answer.value)
        except Unfit:
            return False
        return True

    def refuse(self, rows: Iterable[int]) -> None:
        """Note the rows whose records two jobs refused. They keep the answer that they have."""
        for row in rows:
            self._refused[row] = True

    def is_open(self, row: int) -> bool:
        """Return whether a retry may still be answered. It may not if it was refused: it would be refused again."""
        return bool(self.listed[row] and not self.retried[row] and not self._refused[row])

    def counting(
        self, job: int, answers: Iterable[Iterable[Answer | Failure | None]]
    ) -> Iterator[list[Answer | Failure | None]]:
        """Yield the answers of a job, whose number `job` counts from 0, without those that are not kept."""
        for some in answers:
            yield [answer for answer in some if answer is None or self._counts(job, answer)]

    def _counts(self, job: int, answer: Answer | Failure) -> bool:
        row = row_of(answer.record_id, self._prefix, self._rows)
        return row is None or not self.listed[row] or self._shown[row] == job

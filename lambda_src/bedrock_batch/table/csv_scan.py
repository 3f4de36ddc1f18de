"""Find where the records of a CSV begin, without parsing it: one pass over its bytes, in bounded memory.

A line end inside quotes is part of a field. A byte is inside quotes if the number of quotes before it is odd. A quote
in the middle of an unquoted field would change that for every byte after it, so it is an error here.

The rest follows pyarrow's CSV reader: LF, CRLF and CR end a record, and empty lines are not records. The byte after
an escape is part of a field, whatever it is. Two rules are stricter. A lone CR is an error if records end in LF. In a
file of one column, a lone LF is an error if records end in CRLF. (With more columns, the parser finds such a row,
because it is too short.)
"""

import json
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from bedrock_batch.errors import ROWS_COUNT, MalformedInput
from bedrock_batch.table.layout import MOST_RECORD_BYTES, Integers, Layout, Marks

_BLOCK = 1 << 19
"""Bytes scanned at once: they fit into a processor's cache."""

_LF, _CR = 10, 13

_BLANK = 0xFF
"""Replaces an escape and the byte after it. It is not ASCII, so it is no quote, delimiter or line end."""

_OTHER_DELIMITERS = b";\t|"

Bytes = npt.NDArray[np.uint8]


def blanked(block: Bytes, escape: int, escaped: bool) -> tuple[Bytes, bool]:
    """Return the block with _BLANK for each escape and the byte after it, and whether its last byte is an escape.

    `escaped` says whether the byte before the block is an escape, so that the block's first byte is escaped.
    """
    at = np.flatnonzero(block == escape)
    if not len(at) and not escaped:
        return block, False
    # In a row of escapes, the first, third and so on escape the byte after them.
    index = np.arange(len(at))
    begins = np.flatnonzero(np.diff(at, prepend=-2) != 1)
    runs = np.diff(begins, append=len(at))
    order = index - np.repeat(begins, runs)
    if escaped and len(at) and at[0] == 0:
        order[: runs[0]] += 1
    escapes = at[order % 2 == 0]
    plain = block.copy()
    plain[escapes] = _BLANK
    plain[escapes[escapes < len(block) - 1] + 1] = _BLANK
    plain[: int(escaped)] = _BLANK
    return plain, bool(len(escapes)) and int(escapes[-1]) == len(block) - 1


class CsvScanner:
    """Scans a CSV that `feed` receives in chunks of any size; `finish` returns its layout.

    `name` is the file's name for messages. `start` is the offset of the first byte that is fed, after a byte order
    mark. `header` is the number of records that are not rows. After `limit` rows the scan is `done`. `single` says
    that the rows have one column.

    `part`, from `so_far`, is the layout that an earlier scan found. Then the first byte fed is the one after that
    part, and the layout has the rows of both scans. At most MOST_MARKS offsets are kept: if there are more, every
    second one is dropped.
    """

    def __init__(
        self,
        name: str,
        *,
        delimiter: str = ",",
        quote: str = '"',
        escape: str | None = None,
        single: bool = False,
        header: int = 0,
        start: int = 0,
        limit: int | None = None,
        part: Layout | None = None,
    ) -> None:
        self.done = False
        self._name = name
        self._quote = ord(quote)
        self._escape = None if escape is None else ord(escape)
        self._escaped = False
        self._before_quote = np.zeros(256, bool)
        self._before_quote[[ord(delimiter), ord(quote), _LF, _CR]] = True
        self._at = self._last_start = start if part is None else part.end
        self._previous = _LF
        self._inside = False
        self._last_quote = start
        self._single = single
        self._has_lf = self._has_crlf = False
        self._lone_cr = self._lone_lf = ""
        self._rows = -header if part is None else part.rows
        self._limit = limit
        self._marks = Marks(part)
        self._masks = np.empty((2, _BLOCK), bool)

    def feed(self, chunk: bytes) -> None:
        """Scan the next bytes. Raises MalformedInput, naming the row, for a quote inside an unquoted field."""
        data = np.frombuffer(chunk, np.uint8)
        has_cr = _CR in chunk
        for start in range(0, len(data), _BLOCK):
            if self.done:
                return
            block = data[start : start + _BLOCK]
            if self._escape is not None:
                block, self._escaped = blanked(block, self._escape, self._escaped)
            self._feed(block, has_cr)
            if self._at - self._last_start > MOST_RECORD_BYTES and not self.done:
                self._refuse_long()

    def finish(self) -> Layout:
        """Return the layout of all rows. Raises MalformedInput if a quoted field is still open."""
        if self._inside and not self.done:
            raise MalformedInput(
                f"{self._name}: the quoted field that begins at byte {self._last_quote}, in {self._where(0)}, "
                f"has no closing quote {ROWS_COUNT}."
            )
        if self._escaped and not self.done:
            raise MalformedInput(f"{self._name} ends in the character of input.csv.escape, with nothing after it.")
        return self._marks.layout(max(0, self._rows), self._at)

    def so_far(self) -> Layout:
        """Return the layout of all rows but the last one, which may be incomplete."""
        return self._marks.layout(max(0, self._rows - 1), self._last_start)

    def _feed(self, block: Bytes, has_cr: bool) -> None:
        at = self._special(block, has_cr)
        is_quote = block.take(at) == self._quote
        quotes = at[is_quote]
        # The index of a line end among the special bytes, minus its index among the line ends, is the number of quotes
        # before it. If that is odd, the line end is inside quotes. (If the block begins inside quotes: if it is even.)
        opening = quotes[int(self._inside) :: 2]
        line_ends = np.flatnonzero(~is_quote)
        outside = (line_ends - np.arange(len(line_ends))) & 1 == self._inside
        ends = at[line_ends[outside]]
        starts = self._starts(block, ends)
        stop = self._stop(starts, len(block))
        if self.done:
            opening, ends = opening[opening < stop], ends[ends < stop]
        self._check_quotes(block, opening, starts)
        self._check_ends(block, ends, starts)
        if self.done:
            self._add(starts[starts < stop])
            self._at += stop
            return
        self._add(starts)
        if len(quotes):
            self._last_quote = self._at + int(quotes[-1])
        self._inside ^= len(quotes) % 2 == 1
        self._previous = int(block[-1])
        self._at += len(block)

    def _special(self, block: Bytes, has_cr: bool) -> Integers:
        """Return the positions of quotes and line ends."""
        found, other = self._masks[:, : len(block)]
        np.equal(block, _LF, out=found)
        for byte in (self._quote, _CR) if has_cr else (self._quote,):
            np.equal(block, byte, out=other)
            np.logical_or(found, other, out=found)
        return np.flatnonzero(found)

    def _check_quotes(self, block: Bytes, opening: Integers, starts: Integers) -> None:
        """Refuse a quote that opens in the middle of a field. (The second of two doubled quotes reopens its field.)"""
        if not len(opening):
            return
        before = block[opening - 1]
        if opening[0] == 0:
            before[0] = self._previous
        wrong = ~self._before_quote[before]
        if not wrong.any():
            return
        position = int(opening[wrong.argmax()])
        where = self._where(int(np.searchsorted(starts, position, side="right")))
        raise MalformedInput(
            f"{self._name}: {where} has a quote inside an unquoted field {ROWS_COUNT}, at byte {self._at + position}.",
            advice=self._advice(int(before[wrong.argmax()])),
        )

    def _advice(self, before: int) -> str:
        """Return advice for a quote inside an unquoted field; `before` is the byte before the quote."""
        if before in _OTHER_DELIMITERS:
            other = json.dumps(chr(before))
            return f"If the cells are separated by {other}, set input.csv.delimiter to {other}."
        if self._escape is None and before == ord("\\"):
            return r'If quotes within a text have a backslash before them, set input.csv.escape to "\\".'
        return (
            "Put the whole field in quotes and double the quotes in it, or set input.csv.quote to a character that the "
            "file does not contain."
        )

    def _check_ends(self, block: Bytes, ends: Integers, starts: Integers) -> None:
        """Refuse a lone CR if other records end in LF: some programs write a CR within a text without quotes."""
        lone = self._lone_cr
        if not lone and not self._inside and self._previous == _CR and block[0] != _LF:
            lone = self._where(0)
        kinds = block[ends]
        returns = ends[kinds == _CR]
        if not lone and len(returns):
            # Whether a CR at the end of the block is alone is known only with the next block.
            alone = returns[block[np.minimum(returns + 1, len(block) - 1)] != _LF]
            alone = alone[alone + 1 < len(block)]
            if len(alone):
                lone = self._where(int(np.searchsorted(starts, alone[0])))
        self._lone_cr = lone
        self._has_lf = self._has_lf or bool((kinds == _LF).any())
        if lone and self._has_lf:
            raise self._mixed(lone, "a carriage return outside quotes, while records end in line feeds")
        if self._single:
            self._check_line_feeds(block, ends[kinds == _LF], starts)

    def _check_line_feeds(self, block: Bytes, feeds: Integers, starts: Integers) -> None:
        """Refuse a lone LF if other records end in CRLF."""
        before = block[feeds - 1]
        if len(feeds) and feeds[0] == 0:
            before[0] = self._previous
        alone = feeds[before != _CR]
        self._has_crlf = self._has_crlf or len(alone) < len(feeds)
        if len(alone) and not self._lone_lf:
            self._lone_lf = self._where(int(np.searchsorted(starts, alone[0])))
        if self._lone_lf and self._has_crlf:
            raise self._mixed(
                self._lone_lf, "a line feed alone outside quotes, while others end in a carriage return and a line feed"
            )

    def _mixed(self, where: str, what: str) -> MalformedInput:
        advice = (
            "If it is part of a text, put the whole field in quotes. If not, write the file with one kind of line end."
        )
        return MalformedInput(f"{self._name}: {where} has {what} {ROWS_COUNT}.", advice=advice)

    def _starts(self, block: Bytes, ends: Integers) -> Integers:
        """Return where records start: after a line end, unless another one follows."""
        after = ends + 1
        if not self._inside and self._previous in (_LF, _CR):
            after = np.concatenate([np.zeros(1, np.int64), after])
        after = after[after < len(block)]
        first = block[after]
        starts: Integers = after[(first != _LF) & (first != _CR)]
        return starts

    def _stop(self, starts: Integers, size: int) -> int:
        """Return where in the block the scan ends: at the start of the first row beyond the limit, or at the end."""
        if self._limit is None or self._rows + len(starts) <= self._limit:
            return size
        self.done = True
        return int(starts[self._limit - self._rows])

    def _add(self, starts: Integers) -> None:
        self._marks.add(starts[max(0, -self._rows) :] + self._at, max(0, self._rows))
        self._rows += len(starts)
        if len(starts):
            self._last_start = self._at + int(starts[-1])

    def _refuse_long(self) -> NoReturn:
        raise MalformedInput(
            f"{self._name}: {self._where(0)} has more than {MOST_RECORD_BYTES >> 20} MB, or that many blank lines "
            f"after it {ROWS_COUNT}. A line end or a closing quote is missing, or the file is not a CSV."
        )

    def _where(self, started: int) -> str:
        row = self._rows + started
        return f"row {row}" if row > 0 else "the header"

"""A few rows of each outcome, for the report of a run that asks for examples: `work/<run>/examples/<shard>.json`."""

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

_MOST_ROWS = 2
"""Most examples of each outcome in a shard."""

_MOST_TEXT = 1_000
"""Most characters of an answer or of an error."""

_SHOWN = ("response", "error_code", "error")
"""The columns of an example, without the run's prefix. An example has only those with a value."""


class Examples:
    """Keeps the first rows of each outcome."""

    def __init__(self, prefix: str, first_row: int) -> None:
        self._prefix, self._row = prefix, first_row
        self.rows: list[dict[str, Any]] = []
        self._seen: dict[str, int] = {}

    def of(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the batches of the output unchanged, and keep examples from them."""
        for batch in batches:
            outcomes = batch.column(f"{self._prefix}outcome").to_pylist()
            for index, outcome in enumerate(outcomes):
                if self._seen.get(outcome, 0) < _MOST_ROWS:
                    self._seen[outcome] = self._seen.get(outcome, 0) + 1
                    self.rows.append(self._example(batch.slice(index, 1), self._row + index + 1, outcome))
            self._row += len(outcomes)
            yield batch

    def _example(self, row: pa.RecordBatch, number: int, outcome: str) -> dict[str, Any]:
        values = {
            name: row.column(f"{self._prefix}{name}")[0].as_py()
            for name in _SHOWN
            if f"{self._prefix}{name}" in row.schema.names
        }
        shown = {name: _cut(value) for name, value in values.items() if value is not None}
        return {"row": number, "outcome": outcome, **shown}


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}…"

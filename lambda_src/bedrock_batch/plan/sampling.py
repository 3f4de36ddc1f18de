"""Estimate how large records become, from a few rows, before the table is cut into shards.

The size of a file does not show it. JSON escapes make text longer. Columns that the prompt does not use are not in the
records. Parquet stores a repeated text once, but every record has it.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow.compute as pc
import pyarrow.types as pt

from bedrock_batch.records.ready_made import Renders
from bedrock_batch.table import batch_bytes
from bedrock_batch.table.read import Description

_PLACES = 8
_ROWS = 256
_RESERVE = 1.25
"""The factor for rows that are larger than the sampled ones."""

UNKNOWN = 1.2
"""The expansion to assume if no sampled row becomes a record."""


def longest_text(found: Description) -> str:
    """Return the column with the longest texts in the first rows: most likely, a model should read it.

    If no column is text, return the first one.
    """
    layout = found.layouts[0]
    texts = [field.name for field in found.schema if pt.is_string(field.type) or pt.is_large_string(field.type)]
    piece = layout.piece(0, 0, min(_ROWS, layout.rows))
    size: dict[str, int] = dict.fromkeys(texts or found.schema.names[:1], 0)
    for batch in found.rows.read(piece, texts, row=1) if texts else ():
        for name in texts:
            size[name] += pc.sum(pc.binary_length(batch.column(name))).as_py() or 0
    return max(size, key=size.__getitem__)


def expansion(found: Description, renderer: Renders) -> float:
    """Return the bytes of a record's cells for each byte of its source, for `shards.RowSize`.

    This is the largest factor among samples from the whole table, with some reserve. The same table gives the same
    factor. Raises the errors of reading and rendering the sampled rows: a bad row among them ends the run here.
    """
    ratios = []
    for first, number, low, high in _places(found):
        piece = found.layouts[number].piece(number, low, high)
        records = size = 0
        for batch in found.rows.read(piece, renderer.columns, row=low + 1):
            rendered = renderer.render(batch, first)
            first += batch.num_rows
            records += rendered.records
            size += len(rendered.data) - rendered.records * renderer.structure_bytes
        source = _source_bytes(found, number, low, high)
        if records and source:
            ratios.append(size / records * (high - low) / source)
    return max(ratios, default=UNKNOWN / _RESERVE) * _RESERVE


def kept_expansion(found: Description, columns: Sequence[str]) -> float:
    """Return the decoded bytes of these columns for each byte of their source, estimated like `expansion`.

    In a Parquet file, only the first rows of row groups are sampled: for others, all rows before them must be read.
    """
    ratios = []
    for number, low, high in sorted({place[1:] for place in _places(found, group_starts=True)}):
        piece = found.layouts[number].piece(number, low, high)
        batches = found.rows.read(piece, columns, row=low + 1)
        size = sum(int(batch_bytes.of_rows(batch).sum()) for batch in batches)
        if source := _source_bytes(found, number, low, high):
            ratios.append(size / source)
    return max(ratios, default=UNKNOWN / _RESERVE) * _RESERVE


def _places(found: Description, *, group_starts: bool = False) -> Iterator[tuple[int, int, int, int]]:
    """Yield samples from the whole table: the first one's row in the table, the source, and its rows [low, high)."""
    starts = np.cumsum([0, *(layout.rows for layout in found.layouts)])
    for first in np.unique(np.linspace(0, starts[-1], _PLACES, endpoint=False, dtype=np.int64)).tolist():
        number = int(np.searchsorted(starts, first, side="right")) - 1
        layout = found.layouts[number]
        low = first - int(starts[number])
        if group_starts and layout.cut_by == "rows":
            low = int(layout.rows_at[np.searchsorted(layout.rows_at, low, side="right") - 1])
        yield first, number, low, min(low + _ROWS, layout.rows)


def _source_bytes(found: Description, number: int, low: int, high: int) -> float:
    """Return the bytes of rows [low, high) of a source."""
    layout = found.layouts[number]
    before, after = np.interp([low, high], layout.rows_at, layout.bytes_at).tolist()
    return float(after - before)

"""How large records become, measured on a few rows before shards are cut.

A file does not tell: JSON escapes make text longer, columns that the prompt does not use make no difference, and
Parquet stores a text that repeats once, although every record has it.
"""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc
import pyarrow.types as pt

from bedrock_batch.aws.s3 import S3
from bedrock_batch.records.ready_made import Renders
from bedrock_batch.table import read

if TYPE_CHECKING:
    from bedrock_batch.table.hugging_face import Hub

_PLACES = 8
_ROWS = 256
_RESERVE = 1.25
"""The samples will hardly have met the largest rows."""

UNKNOWN = 1.2
"""What is assumed where no sampled row makes a record."""


def longest_text(s3: S3, found: read.Description, *, hub: "Hub | None" = None) -> str:
    """Return the column of the longest texts among the first rows: the likeliest that a model is to read.

    Where no column is text it is the first one.
    """
    layout, source = found.layouts[0], found.sources[0]
    texts = [field.name for field in found.schema if pt.is_string(field.type) or pt.is_large_string(field.type)]
    piece = layout.piece(0, 0, min(_ROWS, layout.rows))
    batches = read.read_piece(s3, hub, source, piece, table=found.table, schema=found.schema, columns=texts, row=1)
    size: dict[str, int] = dict.fromkeys(texts or found.schema.names[:1], 0)
    for batch in batches if texts else ():
        for name in texts:
            size[name] += pc.sum(pc.binary_length(batch.column(name))).as_py() or 0
    return max(size, key=size.__getitem__)


def expansion(s3: S3, found: read.Description, renderer: Renders, *, hub: "Hub | None" = None) -> float:
    """Return how many bytes of a record's cells to expect for each byte of its source, for `shards.cut`.

    The largest of what places all over the table show, with some reserve; the same table gives the same figure.
    Raises what reading and rendering these rows raises: bad rows among them end the run here.
    """
    starts = np.cumsum([0, *(layout.rows for layout in found.layouts)])
    ratios = []
    for first in np.unique(np.linspace(0, starts[-1], _PLACES, endpoint=False, dtype=np.int64)).tolist():
        number = int(np.searchsorted(starts, first, side="right")) - 1
        layout, source = found.layouts[number], found.sources[number]
        low = first - int(starts[number])
        high = min(low + _ROWS, layout.rows)
        piece = layout.piece(number, low, high)
        batches = read.read_piece(
            s3, hub, source, piece, table=found.table, schema=found.schema, columns=renderer.columns, row=low + 1
        )
        records = size = 0
        for batch in batches:
            rendered = renderer.render(batch, first)
            first += batch.num_rows
            records += rendered.records
            size += len(rendered.data) - rendered.records * renderer.structure_bytes
        before, after = np.interp([low, high], layout.rows_at, layout.bytes_at).tolist()
        if records and after > before:
            ratios.append(size / records * (high - low) / (after - before))
    return max(ratios, default=UNKNOWN / _RESERVE) * _RESERVE

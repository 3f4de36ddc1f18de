"""Write the output table as Parquet, streaming."""

import io
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bedrock_batch.table.write_text import File, Sink

ROW_GROUP_BYTES = 16_000_000
"""Of Arrow memory: large enough for readers, and small enough not to be fresh memory, which is slow, each time."""

_BATCH_NUMBERS = 65_536
"""Of vectors are encoded at a time: a third faster than Arrow's 1,024, which is one vector."""

_SAMPLE_ROWS = 4_096
_DICTIONARY_PAYS_BELOW = 0.25
"""Distinct values per row: above, building the dictionary costs more than the bytes it saves."""


def write(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, out: Sink, *, unique: Sequence[str], statistics: bool = True
) -> None:
    """Write batches as one Parquet file; holds one row group at a time.

    `unique` names columns whose values hardly repeat: the answers. They get neither a dictionary nor
    statistics, and vectors are not compressed: all that costs more time than it saves bytes (zstd takes 8 %
    off floats). The same batches give the same bytes.
    """
    groups = _row_groups(batches, schema)
    first = next(groups, schema.empty_table())
    vectors = {f"{name}.list.element" for name in unique if pa.types.is_fixed_size_list(schema.field(name).type)}
    codecs = {leaf: "none" if leaf in vectors else "zstd" for leaf in _leaves(schema)}
    with pq.ParquetWriter(
        File(out),
        schema,
        compression=codecs,
        compression_level={leaf: 1 for leaf, codec in codecs.items() if codec == "zstd"},
        use_dictionary=[name for name in schema.names if name not in unique and _repeats(first[name])],
        write_statistics=[name for name in schema.names if statistics and name not in unique],
        write_batch_size=_BATCH_NUMBERS if vectors else None,
    ) as writer:
        writer.write_table(first, row_group_size=max(first.num_rows, 1))
        for group in groups:
            writer.write_table(group, row_group_size=group.num_rows)


def _leaves(schema: pa.Schema) -> list[str]:
    """Return the paths of the columns within the file. Arrow's own rules make them, so it is asked."""
    out = io.BytesIO()
    pq.write_table(schema.empty_table(), out)
    return [column.path for column in pq.ParquetFile(out).schema]


def _row_groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        held.append(batch)
        size += batch.nbytes
        if size >= ROW_GROUP_BYTES:
            yield pa.Table.from_batches(held, schema)
            held, size = [], 0
    if held:
        yield pa.Table.from_batches(held, schema)


def _repeats(column: pa.ChunkedArray) -> bool:
    """Judge from the first rows whether a column's values repeat enough for a dictionary."""
    sample = column.slice(0, _SAMPLE_ROWS)
    if pa.types.is_nested(sample.type) or len(sample) == 0:
        return False
    try:
        distinct: int = pc.count_distinct(sample).as_py()
    except pa.ArrowNotImplementedError:
        return True  # dictionaries, views and the like: what Parquet does unless told
    return distinct <= len(sample) * _DICTIONARY_PAYS_BELOW

"""Write the output table as Parquet, streaming."""

import io
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bedrock_batch.table.write_text import File, Sink

ROW_GROUP_BYTES = 16_000_000
"""Arrow memory of a row group. Readers need large groups, but a larger one would need new memory, which is slow."""

_BATCH_NUMBERS = 65_536
"""Numbers of vectors to encode at a time. Arrow's default is 1,024, about one vector; this is a third faster."""

_SAMPLE_ROWS = 4_096
_DICTIONARY_PAYS_BELOW = 0.25
"""Distinct values per row. Above this, building a dictionary costs more time than it saves bytes."""


def write(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, out: Sink, *, unique: Sequence[str], statistics: bool = True
) -> None:
    """Write batches as one Parquet file. Memory holds one row group at a time.

    `unique` names columns whose values rarely repeat: the answers. They get no dictionary and no statistics, and
    vectors are not compressed, because the time costs more than the saved bytes (zstd saves 8 % of floats). The same
    batches give the same bytes.
    """
    groups = _row_groups(batches, schema)
    first = next(groups, schema.empty_table())
    vectors = {f"{name}.list.element" for name in unique if _is_vector(schema.field(name).type)}
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


def _is_vector(kind: pa.DataType) -> bool:
    """Return whether a column of answers holds vectors. The numbers of structured answers have 64 bits."""
    return bool(pa.types.is_list(kind) and pa.types.is_float32(kind.value_type))


def _leaves(schema: pa.Schema) -> list[str]:
    """Return the paths of the columns within the file. Arrow makes them, so this reads them from an empty file."""
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
        return True  # Dictionaries, views and others: keep Parquet's default.
    return distinct <= len(sample) * _DICTIONARY_PAYS_BELOW

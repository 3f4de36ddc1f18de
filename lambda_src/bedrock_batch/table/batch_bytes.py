"""Count the decoded bytes of rows, and cut batches by that count.

A dictionary or an encoding of Parquet holds a long text once, however many rows have it. When such rows become text,
records or files, the text is copied for each row. So memory is bounded by decoded bytes, not by a batch's own size.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

MOST_BYTES = 8 << 20
"""Most decoded bytes of a batch, unless one row alone is larger."""

_OFFSET_BYTES = 4
"""Added for each text, each value of bytes and each list: its offset."""

Sizes = npt.NDArray[np.int64]


def cut(batch: pa.RecordBatch, most_bytes: int = MOST_BYTES) -> Iterator[pa.RecordBatch]:
    """Yield a batch in slices of at most `most_bytes` decoded bytes. A slice has at least one row."""
    if batch.nbytes <= most_bytes and not any(has(kind, pt.is_dictionary) for kind in batch.schema.types):
        yield batch
        return
    ends = np.cumsum(of_rows(batch))
    start = 0
    while start < batch.num_rows:
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + most_bytes, side="right")))
        yield batch.slice(start, stop - start)
        start = stop


def of_rows(batch: pa.RecordBatch) -> Sizes:
    """Return the decoded bytes of each row."""
    return _sum(batch.columns, batch.num_rows)


def _sum(columns: Iterable[pa.Array], rows: int) -> Sizes:
    sizes = np.zeros(rows, np.int64)
    for column in columns:
        sizes += _sizes(column)
    return sizes


def _sizes(column: pa.Array) -> Sizes:
    """Return the decoded bytes of each value. The value under a null may be counted for that null."""
    kind = column.type
    if isinstance(column, pa.ExtensionArray):
        return _sizes(column.storage)
    if pt.is_dictionary(kind):
        return _taken(_sizes(column.dictionary), column.indices)
    if pt.is_struct(kind):
        return _sum(column.flatten(), len(column))
    if pt.is_fixed_size_list(kind):
        values = column.values.slice(column.offset * kind.list_size, len(column) * kind.list_size)
        of_lists: Sizes = _sizes(values).reshape(len(column), kind.list_size).sum(axis=1)
        return of_lists
    if pt.is_map(kind) or pt.is_list(kind) or pt.is_large_list(kind):
        return _of_lists(column)
    if _is_long(kind):
        lengths = pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False)
        return np.asarray(lengths, np.int64) + _OFFSET_BYTES
    return np.full(len(column), 1 if pt.is_null(kind) else -(-kind.bit_width // 8), np.int64)


def _of_lists(column: pa.Array) -> Sizes:
    ends = column.offsets.to_numpy().astype(np.int64)
    values = pa.StructArray.from_arrays([column.keys, column.items], ["k", "v"]) if pt.is_map(column.type) else None
    sizes: Sizes = np.concatenate([[0], np.cumsum(_sizes(column.values if values is None else values))])
    of_lists: Sizes = sizes[ends[1:]] - sizes[ends[:-1]] + _OFFSET_BYTES
    return of_lists


def _taken(sizes: Sizes, indices: pa.Array) -> Sizes:
    places = pc.fill_null(indices, 0).to_numpy(zero_copy_only=False)
    return sizes[places] if len(sizes) else np.zeros(len(places), np.int64)


def _is_long(kind: pa.DataType) -> bool:
    """Return whether the values of a type differ in length."""
    return bool(pt.is_string(kind) or pt.is_large_string(kind) or pt.is_binary(kind) or pt.is_large_binary(kind))


def has(kind: pa.DataType, wanted: Callable[[pa.DataType], bool]) -> bool:
    """Return whether `wanted` holds for a type or for any type nested in it."""
    if isinstance(kind, pa.BaseExtensionType):
        return has(kind.storage_type, wanted)
    return wanted(kind) or any(has(kind.field(index).type, wanted) for index in range(kind.num_fields))

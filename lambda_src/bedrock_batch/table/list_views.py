"""List views as lists. Of those that come from Parquet files Arrow's own cast makes lists without their last offset."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt


def as_lists(cells: pa.Array) -> pa.Array:
    """Return the cells, with lists in place of list views wherever these are in their type. They may be no slice."""
    kind = cells.type
    if not _has_list_view(kind):
        return cells
    nulls = cells.is_null()
    if pt.is_struct(kind):
        members = [as_lists(cells.field(index)) for index in range(kind.num_fields)]
        return pa.StructArray.from_arrays(members, [field.name for field in kind], mask=nulls)
    if pt.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(as_lists(cells.values), kind.list_size, mask=nulls)
    if pt.is_map(kind):
        return pa.MapArray.from_arrays(cells.offsets, as_lists(cells.keys), as_lists(cells.items), mask=nulls)
    large = pt.is_large_list(kind) or pt.is_large_list_view(kind)
    made = pa.LargeListArray if large else pa.ListArray
    if pt.is_list(kind) or pt.is_large_list(kind):
        return made.from_arrays(cells.offsets, as_lists(cells.values), mask=nulls)
    lengths = pc.fill_null(pc.list_value_length(cells), 0).to_numpy()
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64() if large else pa.int32())
    return made.from_arrays(offsets, as_lists(cells.flatten()), mask=nulls)


def _has_list_view(kind: pa.DataType) -> bool:
    if pt.is_list_view(kind) or pt.is_large_list_view(kind):
        return True
    return any(_has_list_view(kind.field(index).type) for index in range(kind.num_fields))

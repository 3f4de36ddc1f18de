"""Write UTC times as text without a time zone database.

Arrow looks up every named zone in the system's database, even UTC. Lambda's systems did not always have one. Arrow
writes `Z` for the zone `UTC` and `+0000` for its other names; so does this module.
"""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

_NAMES = ("UTC", "UCT", "Zulu", "Universal", "GMT", "Greenwich", "GMT0", "GMT+0", "GMT-0")
_OTHER_NAMES = frozenset([*_NAMES[1:], *(f"Etc/{name}" for name in _NAMES)])


def is_utc(kind: pa.DataType) -> bool:
    """Return whether a type is a timestamp in UTC."""
    return bool(pt.is_timestamp(kind)) and (kind.tz == "UTC" or kind.tz in _OTHER_NAMES)


def written(column: pa.Array) -> pa.Array:
    """Return the column with all UTC times in it, nested ones too, as the text that Arrow would write."""
    if not _has_utc(column.type):
        return column
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return written(column.storage)
    if pt.is_dictionary(kind):
        return written(column.cast(kind.value_type))
    if pt.is_timestamp(kind):
        if kind.tz == "UTC":
            naive = column.cast(pa.timestamp(kind.unit)).cast(pa.string())
            return pc.binary_join_element_wise(naive, "Z", "")
        return column.cast(pa.timestamp(kind.unit, "+00:00")).cast(pa.string())
    # Slicing a nested column does not slice its children. `take` copies the rows, children included.
    column = column.take(pa.array(range(len(column)), pa.int64()))
    empty = column.is_null()
    if pt.is_struct(kind):
        members = [written(column.field(index)) for index in range(kind.num_fields)]
        fields = [field.with_type(member.type) for field, member in zip(kind, members, strict=True)]
        return pa.StructArray.from_arrays(members, fields=fields, mask=empty)
    if pt.is_map(kind):
        items = written(column.items)
        return pa.MapArray.from_arrays(column.offsets, written(column.keys), items, mask=empty)
    values = written(column.values)
    if pt.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(values, kind.list_size, mask=empty)
    lists = pa.LargeListArray if pt.is_large_list(kind) else pa.ListArray
    return lists.from_arrays(column.offsets, values, mask=empty)


def _has_utc(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        return _has_utc(kind.storage_type)
    if pt.is_dictionary(kind):
        return _has_utc(kind.value_type)
    # Other kinds of lists have no plain type, so `plain_types` refuses them.
    known = pt.is_struct(kind) or pt.is_map(kind) or pt.is_fixed_size_list(kind)
    if known or pt.is_list(kind) or pt.is_large_list(kind):
        return any(_has_utc(kind.field(index).type) for index in range(kind.num_fields))
    return is_utc(kind)

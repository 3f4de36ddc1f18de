"""Find one type for a column whose type differs between files, if that type changes no value.

Call `usual` first. It drops what is true of one file only, such as that no cell is null.
"""

import pyarrow as pa
import pyarrow.types as pt

_UTC = frozenset({"utc", "+00:00", "etc/utc", "z", "zulu", "gmt", "etc/gmt"})
_UNITS = ("s", "ms", "us", "ns")
_SIGNED, _UNSIGNED = (
    [pa.int8(), pa.int16(), pa.int32(), pa.int64()],
    [pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()],
)


def usual(kind: pa.DataType) -> pa.DataType:
    """Return a type whose cells may be null at any depth. Views become plain texts and bytes."""
    if pt.is_string_view(kind) or pt.is_binary_view(kind):
        return pa.string() if pt.is_string_view(kind) else pa.binary()
    if pt.is_struct(kind):
        return pa.struct([pa.field(field.name, usual(field.type)) for field in kind])
    if pt.is_map(kind):
        return pa.map_(usual(kind.key_type), usual(kind.item_type), keys_sorted=kind.keys_sorted)
    if pt.is_fixed_size_list(kind):
        return pa.list_(pa.field("element", usual(kind.value_type)), kind.list_size)
    if pt.is_list(kind):
        return pa.list_(pa.field("element", usual(kind.value_type)))
    if pt.is_large_list(kind):
        return pa.large_list(pa.field("element", usual(kind.value_type)))
    return kind


def common(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return the type that holds every value of two usual types exactly and writes it as the same text.

    Returns None if there is no such type.
    """
    if one == other:
        return one
    if pt.is_null(one) or pt.is_null(other):
        return other if pt.is_null(one) else one
    for rule in (_texts, _bytes, _integers, _times, _decimals, _lists, _structs, _maps):
        found = rule(one, other)
        if found is not None:
            return found
    return None


def _texts(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    plain = [kind.value_type if pt.is_dictionary(kind) else kind for kind in (one, other)]
    if not all(pt.is_string(kind) or pt.is_large_string(kind) for kind in plain):
        return None
    text = pa.large_string() if pa.large_string() in plain else pa.string()
    return pa.dictionary(pa.int32(), text) if pt.is_dictionary(one) and pt.is_dictionary(other) else text


def _bytes(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    kinds = (one, other)
    if not all(pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_fixed_size_binary(kind) for kind in kinds):
        return None
    return pa.large_binary() if pa.large_binary() in kinds else pa.binary()


def _integers(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if not (pt.is_integer(one) and pt.is_integer(other)):
        return None
    kinds = sorted((one, other), key=lambda kind: kind.bit_width)
    for family in (_SIGNED, _UNSIGNED):
        if all(kind in family for kind in kinds):
            return kinds[-1]
    signed = next(kind for kind in kinds if kind in _SIGNED)
    unsigned = next(kind for kind in kinds if kind in _UNSIGNED)
    return next((kind for kind in _SIGNED if kind.bit_width >= max(signed.bit_width, 2 * unsigned.bit_width)), None)


def _times(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if pt.is_date(one) and pt.is_date(other):
        return pa.date32()
    if pt.is_timestamp(one) and pt.is_timestamp(other):
        zones = {"UTC" if (kind.tz or "").lower() in _UTC else kind.tz for kind in (one, other)}
        return pa.timestamp(_finer(one, other), zones.pop()) if len(zones) == 1 else None
    if pt.is_duration(one) and pt.is_duration(other):
        return pa.duration(_finer(one, other))
    if pt.is_time(one) and pt.is_time(other):
        unit = _finer(one, other)
        return pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit)
    return None


def _finer(one: pa.DataType, other: pa.DataType) -> str:
    return max(str(one.unit), str(other.unit), key=_UNITS.index)


def _decimals(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    # With two scales the texts differ: 1.5 and 1.50.
    if not (pt.is_decimal(one) and pt.is_decimal(other)) or one.scale != other.scale:
        return None
    digits = max(one.precision, other.precision)
    return pa.decimal256(digits, one.scale) if digits > 38 else pa.decimal128(digits, one.scale)


def _lists(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    kinds = (one, other)
    if not all(pt.is_list(kind) or pt.is_large_list(kind) or pt.is_fixed_size_list(kind) for kind in kinds):
        return None
    element = common(one.value_type, other.value_type)
    if element is None:
        return None
    field = pa.field("element", element)
    if all(map(pt.is_fixed_size_list, kinds)) and one.list_size == other.list_size:
        return pa.list_(field, one.list_size)
    return pa.large_list(field) if any(map(pt.is_large_list, kinds)) else pa.list_(field)


def _structs(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if not (pt.is_struct(one) and pt.is_struct(other)):
        return None
    names = [field.name for field in one]
    if len(set(names)) < len(names) or sorted(names) != sorted(field.name for field in other):
        return None
    kinds = [common(one.field(name).type, other.field(name).type) for name in names]
    return None if None in kinds else pa.struct(list(zip(names, kinds, strict=True)))


def _maps(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if not (pt.is_map(one) and pt.is_map(other)):
        return None
    key, item = common(one.key_type, other.key_type), common(one.item_type, other.item_type)
    return None if key is None or item is None else pa.map_(key, item)

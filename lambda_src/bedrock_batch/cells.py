"""The text form of a column's cells, as it goes into a template's place."""

from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from bedrock_batch.errors import MalformedInput, MissingColumn, UnsupportedRequest
from bedrock_batch.plain import is_bytes
from bedrock_batch.templates import resolve


class CellReader:
    """Reads one place of a template from record batches: `column` is the top-level column it needs.

    Text stays as it is, other values become the text Arrow casts them to (`1.5`, `true`, `2026-11-22`), lists,
    structs and maps become compact JSON. Raises UnsupportedRequest for binary columns.
    """

    def __init__(self, name: str, schema: pa.Schema) -> None:
        path = resolve(name, schema)
        if path is None:
            raise MissingColumn(f'The table has no column "{name}".')
        self.name = name
        self.column, *self._fields = path
        kind = schema.field(self.column).type
        for field in self._fields:
            kind = kind.field(field).type
        self._nested = pt.is_nested(kind)
        if not _has_text(kind):
            raise UnsupportedRequest(
                f'Column "{name}" is of type {kind}, which has no text form. Decode or drop it before the run.'
            )

    def read(self, batch: pa.RecordBatch, row: int) -> pa.Array:
        """Return the cells as a string array; nulls stay null.

        Raises MalformedInput for text that is not UTF-8; `row` is the table's row of the batch's first, from 0.
        """
        cells = batch.column(self.column)
        if self._fields:
            cells = pc.struct_field(cells, self._fields)
        # Parquet readers take any bytes for text; what is no UTF-8 would make a line that is no JSON.
        if not _is_valid(cells):
            self._refuse(cells, row)
        if self._nested:
            return pa.array([_json(value) for value in cells.to_pylist(maps_as_pydicts="strict")], pa.string())
        return cells.cast(pa.string())

    def _refuse(self, cells: pa.Array, row: int) -> None:
        # Taken, not sliced: the slice of a struct still validates all of its children.
        for index in range(len(cells)):
            if not _is_valid(cells.take(pa.array([index]))):
                raise MalformedInput(
                    f"Row {row + index + 1} of the table (the first is 1) has text that is not UTF-8 "
                    f'in column "{self.name}".'
                )


def _is_valid(cells: pa.Array) -> bool:
    try:
        cells.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _has_text(kind: pa.DataType) -> bool:
    if pt.is_map(kind):
        return _has_text(kind.key_type) and _has_text(kind.item_type)
    if pt.is_struct(kind):
        return all(_has_text(kind.field(index).type) for index in range(kind.num_fields))
    if pt.is_nested(kind):
        return hasattr(kind, "value_type") and _has_text(kind.value_type)
    if pt.is_dictionary(kind):
        return _has_text(kind.value_type)
    return not (is_bytes(kind) or pt.is_interval(kind) or isinstance(kind, pa.BaseExtensionType))


def _json(value: Any) -> str | None:
    if value is None:
        return None
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()

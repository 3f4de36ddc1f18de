"""Turn a column's cells into the text that replaces a template's place."""

from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from bedrock_batch.errors import ROWS_COUNT, MalformedInput, UnsupportedRequest, missing_column
from bedrock_batch.models.template import resolve
from bedrock_batch.table import utc_times
from bedrock_batch.table.plain_types import is_utf8, to_plain

_NO_DICT = (KeyError, ValueError, TypeError)
"""What Arrow raises for maps with repeated keys (also within a struct), and for maps with lists or structs as keys."""


class CellReader:
    """Reads the cells of one place of a template from record batches. `column` is the top-level column that it needs.

    Text does not change. Lists, structs and maps become compact JSON. Other values become the text that Arrow casts
    them to (`1.5`, `true`, `2026-11-22`). A map whose keys repeat, or are lists or structs, becomes a list of its
    [key, value] pairs. Raises UnsupportedRequest for binary columns.
    """

    def __init__(self, name: str, schema: pa.Schema) -> None:
        path = resolve(name, schema)
        if path is None:
            raise missing_column(f"The request has a place {{{name[:80]}}}", name, schema.names)
        self.name = name
        self.column, *self._fields = path
        kind = schema.field(self.column).type
        for field in self._fields:
            kind = kind.field(field).type
        try:
            plain = to_plain(pa.nulls(0, kind)).type
        except (pa.ArrowException, TypeError) as err:
            raise _no_text(name, kind) from err
        if _has_bytes(plain):
            raise _no_text(name, kind)
        self._nested = pt.is_nested(plain)

    def read(self, batch: pa.RecordBatch, row: int) -> pa.Array:
        """Return the cells as a string array; nulls stay null.

        `row` is the table's row (from 0) of the batch's first row. Raises MalformedInput for text that is not UTF-8.
        """
        cells = batch.column(self.column)
        if self._fields:
            cells = pc.struct_field(cells, self._fields)
        # Text that is not UTF-8 would make a line that is not JSON.
        if not is_utf8(cells):
            self._refuse(cells, row)
        if self._nested:
            return pa.array([_json(value) for value in _values(to_plain(cells))], pa.string())
        return utc_times.written(cells).cast(pa.string())

    def _refuse(self, cells: pa.Array, row: int) -> None:
        # `take`, not `slice`: a slice of a struct still validates all children of the struct.
        for index in range(len(cells)):
            if not is_utf8(cells.take(pa.array([index]))):
                where = f'Row {row + index + 1} of the table has text that is not UTF-8 in column "{self.name}"'
                raise MalformedInput(f"{where} {ROWS_COUNT}.")


def _no_text(name: str, kind: pa.DataType) -> UnsupportedRequest:
    return UnsupportedRequest(
        f'The column "{name}" has the type {kind}, which has no text form. Decode the column, or do not use it in the '
        "request."
    )


def _has_bytes(kind: pa.DataType) -> bool:
    """Return whether a plain type is or contains bytes."""
    return pt.is_binary(kind) or any(_has_bytes(kind.field(index).type) for index in range(kind.num_fields))


def _values(cells: pa.Array) -> list[Any]:
    try:
        values: list[Any] = cells.to_pylist(maps_as_pydicts="strict")
    except _NO_DICT:
        return [_value(cell) for cell in cells]
    return values


def _value(cell: pa.Scalar) -> Any:
    try:
        return cell.as_py(maps_as_pydicts="strict")
    except _NO_DICT:
        return cell.as_py()


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()

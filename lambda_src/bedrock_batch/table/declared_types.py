"""Columns whose type the user declared (`input.types`): cast their text, and name a cell that cannot be cast."""

import re

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from bedrock_batch.contracts.run import Source
from bedrock_batch.errors import ROWS_COUNT, InvalidRunInput, MalformedInput

_DECIMAL = re.compile(r"decimal128\((\d+), ?(\d+)\)")


def arrow_type(column: str, name: str) -> pa.DataType:
    """Return the Arrow type of that name. Raises InvalidRunInput if text cannot be cast to it."""
    decimal = _DECIMAL.fullmatch(name)
    try:
        kind = pa.decimal128(int(decimal[1]), int(decimal[2])) if decimal else pa.type_for_alias(name)
        pa.array([], pa.string()).cast(kind)
        if decimal and kind.scale > kind.precision:
            raise ValueError("Parquet has no such decimals")
    except (ValueError, NotImplementedError, OverflowError) as err:
        raise InvalidRunInput(
            f'input.types: column "{column}" cannot be read as {name!r}. Use the name of an Arrow type: string, int64, '
            "double, bool, date32, timestamp[us], decimal128(18, 2) and so on."
        ) from err
    return kind


def cast(source: Source, texts: pa.Array, field: pa.Field, row: int) -> pa.Array:
    """Return texts cast to the field's type; blank texts become null. If that type is string, texts do not change.

    `row` is the row of the first text in the source. Raises MalformedInput, naming row and column, for a text that
    cannot be cast.
    """
    if pt.is_string(field.type):
        return texts
    texts = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
    try:
        return texts.cast(field.type)
    except pa.ArrowInvalid:
        bad = row + _first_refused(texts, field.type)
    raise MalformedInput(
        f'{source.uri}: row {bad}, column "{field.name}" is not a {field.type} {ROWS_COUNT}. Correct the cell, or '
        "leave the column out of input.types."
    )


def _first_refused(texts: pa.Array, kind: pa.DataType) -> int:
    """Return the index of the first cell that cannot be cast, by bisection."""
    low, high = 0, len(texts)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            texts.slice(low, middle - low).cast(kind)
            low = middle
        except pa.ArrowInvalid:
            high = middle
    return low

"""The columns of the output table: the kept columns of the input, then ours.

This module has the name, the type and the values of each of our columns, in the order of the output.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import pyarrow as pa

from bedrock_batch.answers.answer_schema import Reader
from bedrock_batch.errors import InvalidRunInput
from bedrock_batch.join.held_answers import VECTOR, Texts, Vectors
from bedrock_batch.join.row_outcomes import RowOutcomes

Kind = Literal["text", "embedding"]


@dataclass(frozen=True, slots=True)
class Known:
    """What a join knows about rows [start, stop) of its shard; `properties` are the answers' properties by name."""

    outcomes: RowOutcomes
    answers: Texts | Vectors
    properties: Mapping[str, pa.Array]
    start: int
    stop: int
    first_row: int
    """The table's row (from 0) of the shard's first row."""


@dataclass(frozen=True, slots=True)
class Column:
    """One of our columns: its name without the run's prefix, its type, and a function that returns its values."""

    name: str
    type: pa.DataType
    values: Callable[[Known], pa.Array]
    nullable: bool = True


_ROW = Column("row", pa.int64(), lambda rows: _numbers(rows), nullable=False)
_OUTCOME = Column("outcome", pa.string(), lambda rows: rows.outcomes.names(rows.start, rows.stop), nullable=False)
_RESPONSE = Column("response", pa.string(), lambda rows: rows.answers.column(rows.start, rows.stop))
_REASONING = Column("reasoning", pa.string(), lambda rows: cast(Texts, rows.answers).reasoning(rows.start, rows.stop))
_STOP_REASON = Column("stop_reason", pa.string(), lambda rows: rows.outcomes.stop_reasons(rows.start, rows.stop))
_INPUT_TOKENS = Column(
    "input_tokens", pa.int64(), lambda rows: rows.outcomes.input_tokens.column(rows.start, rows.stop)
)
_OUTPUT_TOKENS = Column(
    "output_tokens", pa.int64(), lambda rows: rows.outcomes.output_tokens.column(rows.start, rows.stop)
)
_EMBEDDING = Column("embedding", VECTOR, lambda rows: rows.answers.column(rows.start, rows.stop))
_ERROR_CODE = Column("error_code", pa.string(), lambda rows: rows.outcomes.error_codes(rows.start, rows.stop))
_ERROR = Column("error", pa.string(), lambda rows: rows.outcomes.errors(rows.start, rows.stop))


def _numbers(rows: Known) -> pa.Array:
    """Return the rows' numbers in the table, from 1, as in messages."""
    first = rows.first_row + 1
    return pa.array(np.arange(first + rows.start, first + rows.stop, dtype=np.int64))


def _property(field: pa.Field) -> Column:
    return Column(field.name, field.type, lambda rows: rows.properties[field.name])


def our_columns(
    *,
    kind: Kind,
    dimensions: int | None = None,
    reader: Reader | None = None,
    reasoning: bool = False,
    row_number: bool = False,
) -> list[Column]:
    """Return our columns in order. With `reader`, the properties of the answers come last.

    `reasoning` adds a column for the reasoning, `row_number` a column for the row's number.

    Raises:
        InvalidRunInput: the vectors' dimensions are not known.
    """
    if kind == "text":
        said = [_RESPONSE, _REASONING] if reasoning else [_RESPONSE]
        ours = [_OUTCOME, *said, _STOP_REASON, _INPUT_TOKENS, _OUTPUT_TOKENS, _ERROR_CODE, _ERROR]
    elif dimensions is None:
        raise InvalidRunInput("Set embedding.dimensions: the join holds vectors of one length.")
    else:
        ours = [_OUTCOME, _EMBEDDING, _INPUT_TOKENS, _ERROR_CODE, _ERROR]
    if row_number:
        ours = [_ROW, *ours]
    return [*ours, *map(_property, reader.fields)] if reader else ours


def answer_column(kind: Kind, prefix: str) -> str:
    """Return the name of the column that holds the text or the vector."""
    return prefix + (_RESPONSE if kind == "text" else _EMBEDDING).name


def output_schema(
    table: pa.Schema, output: Mapping[str, Any], *, kind: Kind, dimensions: int | None = None
) -> pa.Schema:
    """Return the schema of every output part: the table's columns unchanged, then ours.

    `output` is that of the run input. With its `schema`, the properties of the answers come last.

    Raises:
        InvalidRunInput: one of our columns has the name of a column of the table. Case does not distinguish names, as
            in Athena, Glue and Spark.
    """
    prefix, answer_schema = output["prefix"], output.get("schema")
    ours = [
        pa.field(f"{prefix}{column.name}", column.type, nullable=column.nullable)
        for column in our_columns(
            kind=kind,
            dimensions=dimensions,
            reader=None if answer_schema is None else Reader(answer_schema),
            reasoning=output.get("reasoning", False),
            row_number=output.get("row_number", False),
        )
    ]
    taken = {name.casefold() for name in table.names}
    collisions = [field.name for field in ours if field.name.casefold() in taken]
    names = [field.name.casefold() for field in ours]
    twice = [field.name for index, field in enumerate(ours) if field.name.casefold() in names[:index]]
    if twice:
        raise InvalidRunInput(
            f"output.schema has a property that would become a second column {', '.join(twice)}. Rename the property."
        )
    if collisions:
        raise InvalidRunInput(
            f"The input already has a column {', '.join(collisions)}. Set output.prefix (now {prefix!r}) to a text "
            "that no column of the input begins with."
        )
    return pa.schema([*table, *ours], metadata=table.metadata)

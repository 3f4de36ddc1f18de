"""The columns of the output table: those of the input that are kept, then ours."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pyarrow as pa

from bedrock_batch.answers.answer_schema import Reader
from bedrock_batch.errors import InvalidRunInput, missing_column

Kind = Literal["text", "embedding"]


def answer_column(kind: Kind, prefix: str) -> str:
    """Return the name of the column that holds the text or the vector."""
    return f"{prefix}{'response' if kind == 'text' else 'embedding'}"


def kept_columns(table: pa.Schema, names: Sequence[str] | None) -> pa.Schema:
    """Return the schema of the columns that the output keeps: all, or those of `names`, in the table's order.

    Raises:
        MissingColumn: the table has no such column; with near misses.
    """
    if names is None:
        return table
    for name in names:
        if name not in table.names:
            raise missing_column(f"output.columns has {name[:80]!r}", name, table.names)
    return pa.schema([field for field in table if field.name in names], metadata=table.metadata)


def output_schema(
    table: pa.Schema,
    *,
    kind: Kind,
    prefix: str,
    dimensions: int | None = None,
    answer_schema: Mapping[str, Any] | None = None,
) -> pa.Schema:
    """Return the schema of every output part: the table's columns unchanged, then ours.

    With `answer_schema`, a JSON Schema, the properties of the answers come last.

    Raises:
        InvalidRunInput: one of our columns has the name of a column of the table. Upper and lower case count
            as the same, as they do for Athena, Glue and Spark.
    """
    ours = [pa.field(f"{prefix}outcome", pa.string(), nullable=False)]
    if kind == "text":
        ours += [pa.field(name, pa.string()) for name in (answer_column(kind, prefix), f"{prefix}stop_reason")]
        ours += [pa.field(f"{prefix}{side}_tokens", pa.int64()) for side in ("input", "output")]
    else:
        if dimensions is None:
            raise InvalidRunInput("embedding.dimensions is needed: the vectors' column has a fixed size.")
        vector = pa.list_(pa.field("element", pa.float32()), dimensions)
        ours += [pa.field(answer_column(kind, prefix), vector), pa.field(f"{prefix}input_tokens", pa.int64())]
    ours += [pa.field(f"{prefix}error_code", pa.string()), pa.field(f"{prefix}error", pa.string())]

    if answer_schema is not None:
        ours += Reader(answer_schema, prefix=prefix).fields
    taken = {name.casefold() for name in table.names}
    collisions = [field.name for field in ours if field.name.casefold() in taken]
    names = [field.name.casefold() for field in ours]
    twice = [field.name for index, field in enumerate(ours) if field.name.casefold() in names[:index]]
    if twice:
        raise InvalidRunInput(
            f"output.schema has a property that would make a second column {', '.join(twice)}: rename the property."
        )
    if collisions:
        raise InvalidRunInput(
            f"The input already has a column {', '.join(collisions)}: set output.prefix (now {prefix!r}) to"
            " something that none of its columns starts with."
        )
    return pa.schema([*table, *ours], metadata=table.metadata)

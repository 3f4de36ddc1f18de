"""Columns whose values are in the names of folders: `dt=2024-01-01/country=DE/part-0.parquet`.

Such a column is text, unless `input.types` says otherwise. It is null for files without such a folder. If the files
have the column too, the table has the files' column, and its values must equal the folder's.
"""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from bedrock_batch.contracts.run import Source
from bedrock_batch.errors import ROWS_COUNT, InvalidRunInput, MalformedInput, missing_column
from bedrock_batch.table import declared_types


def extended(in_files: pa.Schema, sources: Sequence[Source], types: Mapping[str, str], form: str) -> pa.Schema:
    """Return the schema of the files and, after it, the columns that their paths add, in the order of the folders.

    `types` is `input.types`.

    Raises:
        MissingColumn: `types` names a column that the table does not have.
        InvalidRunInput: `types` names a column of Parquet files, or two columns differ in case only.
        MalformedInput: a folder's value cannot be cast to the column's type.
    """
    names = list(dict.fromkeys(name for source in sources for name in source.path_values))
    _check_case(names, in_files)
    known = set(in_files.names)
    added = [name for name in names if name not in known]
    schema = in_files
    for name in added:
        kind = declared_types.arrow_type(name, types[name]) if name in types else pa.string()
        schema = schema.append(pa.field(name, kind))
    for name in types:
        if name not in schema.names:
            raise missing_column(f'input.types has "{name[:80]}"', name, schema.names)
        if form == "parquet" and name not in added:
            raise InvalidRunInput(f'input.types has "{name}", but the Parquet files give its type. Remove it there.')
    for source in sources:
        for name in source.path_values:
            _value(source, schema.field(name))
    return schema


def _check_case(names: Sequence[str], in_files: pa.Schema) -> None:
    """Raise InvalidRunInput for two columns that are one to Athena, Glue and Spark."""
    spelled = {name.casefold(): name for name in in_files.names if name not in names}
    for name in names:
        other = spelled.setdefault(name.casefold(), name)
        if other != name:
            raise InvalidRunInput(
                f'A folder names the column "{name}", and the table also has "{other}". To Athena and Spark these are '
                "one column. Rename one of them, or list the files one by one in s3_uri: then folders name no columns."
            )


def added(source: Source, batch: pa.RecordBatch, wanted: pa.Schema, *, row: int) -> pa.RecordBatch:
    """Return rows of a source with the columns of its path; `row` is the number (from 1) of the first in the source.

    Raises MalformedInput for a cell that differs from the folder's value.
    """
    columns = []
    in_file = set(batch.schema.names)
    for field in wanted:
        if field.name not in in_file:
            columns.append(pa.repeat(_value(source, field), batch.num_rows))
            continue
        columns.append(batch.column(field.name))
        if field.name in source.path_values:
            _check(source, field, columns[-1], row)
    return pa.RecordBatch.from_arrays(columns, schema=wanted)


def _value(source: Source, field: pa.Field) -> pa.Scalar:
    """Return the value of a source's path for a column, null if it has none."""
    text = source.path_values.get(field.name)
    if text == "" and not pa.types.is_string(field.type):
        text = None
    try:
        return pa.array([text], pa.string()).cast(field.type)[0]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as err:
        raise _not_of_type(source, field) from err


def _not_of_type(source: Source, field: pa.Field) -> MalformedInput:
    return MalformedInput(
        f"{source.uri}: its folder is {field.name}={source.path_values.get(field.name)}, but the column has the type "
        f"{field.type}.",
        advice="Rename the folder, or the column in the file.",
    )


def _check(source: Source, field: pa.Field, cells: pa.Array, row: int) -> None:
    value = _value(source, field)
    try:
        same = cells.is_null() if not value.is_valid else pc.fill_null(pc.equal(cells, value), False)
    except pa.ArrowNotImplementedError as err:
        raise _not_of_type(source, field) from err
    different = pc.index(same, False).as_py()
    if different >= 0:
        raise MalformedInput(
            f'{source.uri}: the value of row {row + different} in the column "{field.name}" differs from the folder '
            f"{field.name}={source.path_values[field.name]} {ROWS_COUNT}.",
            advice="Write the file again without that column, or move the file to the right folder.",
        )

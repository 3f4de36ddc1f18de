"""Columns whose values stand in the folders of the files: `dt=2024-01-01/country=DE/part-0.parquet`.

They are text, unless `input.types` says otherwise, and null in files without such a folder. A column that is in the
files too is the files'; its values must then be those of the path.
"""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from bedrock_batch.contracts.run import Source
from bedrock_batch.errors import ROWS_COUNT, InvalidRunInput, MalformedInput, missing_column
from bedrock_batch.table import declared_types


def extended(in_files: pa.Schema, sources: Sequence[Source], types: Mapping[str, str], form: str) -> pa.Schema:
    """Return the schema of the files with the columns that their paths add, in the order of the folders.

    Raises MissingColumn and InvalidRunInput for `types` (`input.types`) that no column may have, and MalformedInput for
    a value of a path that is not of its type.
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
            raise InvalidRunInput(f'input.types has "{name}", which has its type in the Parquet files. Remove it.')
    for source in sources:
        for name in source.path_values:
            _value(source, schema.field(name))
    return schema


def _check_case(names: Sequence[str], in_files: pa.Schema) -> None:
    """Raise InvalidRunInput for two columns that Athena, Glue and Spark take for one."""
    spelled = {name.casefold(): name for name in in_files.names if name not in names}
    for name in names:
        other = spelled.setdefault(name.casefold(), name)
        if other != name:
            raise InvalidRunInput(
                f'A folder names the column "{name}", and there is "{other}", too. Athena and Spark take these for one '
                "column. Rename one, or list the files one by one as s3_uri: then folders name no columns."
            )


def added(source: Source, batch: pa.RecordBatch, wanted: pa.Schema, *, row: int) -> pa.RecordBatch:
    """Return rows of a source with the columns of its path; `row` is the source's row (from 1) of the first.

    Raises MalformedInput for a cell that differs from the value that the path has for it.
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
        f"{source.uri}: its folder says {field.name}={source.path_values.get(field.name)}, and the column is of type "
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
            f'{source.uri}: row {row + different} has another value in the column "{field.name}" than its folder, '
            f"{field.name}={source.path_values[field.name]} {ROWS_COUNT}.",
            advice="Write the file anew without that column, or move it to its folder.",
        )

"""Find the one schema of all files of a table, and write schemas as text."""

import base64
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from bedrock_batch.contracts.run import Source
from bedrock_batch.errors import InvalidRunInput, MalformedInput, SchemaMismatch, missing_column
from bedrock_batch.table import common_type, declared_types, jsonl_types
from bedrock_batch.table.jsonl_types import Kinds
from bedrock_batch.table.layout import BODY


@dataclass(frozen=True, slots=True)
class Selection:
    """The columns to read. `table` is the schema of the whole table, `columns` the schema of these columns."""

    table: pa.Schema
    columns: pa.Schema

    @classmethod
    def of(cls, table: pa.Schema, names: Iterable[str]) -> "Selection":
        return cls(table, pa.schema([table.field(name) for name in names]))


def packed(schema: pa.Schema) -> str:
    """Return a schema as the text of `Table.schema`. It is exact, unlike Arrow's own text of a schema."""
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


def unpacked(text: str) -> pa.Schema:
    """Return the schema from a text of `packed`."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))


def kept(table: pa.Schema, names: Sequence[str] | None) -> pa.Schema:
    """Return the schema of the columns that the output keeps: all, or those of `names`, in the table's order.

    Raises:
        MissingColumn: the table has no such column; the message has the most similar names.
    """
    if names is None:
        return table
    known = set(table.names)
    for name in names:
        if name not in known:
            raise missing_column(f"output.columns has {name[:80]!r}", name, table.names)
    wanted = set(names)
    return pa.schema([field for field in table if field.name in wanted], metadata=table.metadata)


def of_json(
    files: Sequence[tuple[Source, Kinds]], types: Mapping[str, str], *, ready_made: bool
) -> tuple[pa.Schema, dict[str, Any]]:
    """Return the schema of JSON lines, and `Table.jsonl`. A type is the declared one, or one that fits all files.

    Raises:
        InvalidRunInput: a declared type is unknown.
        MalformedInput: `ready_made` is true, and no line is a record in Bedrock's shape.
    """
    kinds = jsonl_types.merge(one for _, one in files)
    if ready_made and BODY not in kinds:
        raise MalformedInput(
            f'{files[0][0].uri}: no line has the key "{BODY}", but every record in Bedrock\'s shape has it. '
            'If the file is a table, set input.format to "jsonl".'
        )
    if ready_made and BODY in types:
        raise InvalidRunInput(f'input.types has "{BODY}", but the model receives it unchanged. Remove it there.')
    fields = []
    as_json = []
    for name, seen in kinds.items():
        kind = None if ready_made and name == BODY else jsonl_types.arrow_type(seen)
        if name in types:
            kind = declared_types.arrow_type(name, types[name])
        elif kind is None:
            as_json.append(name)
        fields.append((name, kind or pa.string()))
    return pa.schema(fields), {
        "as_json": as_json,
        "typed": [name for name in types if name in kinds],
        "mixed": [name for name in as_json if "string" in kinds[name]],
    }


def common(files: Sequence[tuple[Source, pa.Schema]]) -> pa.Schema:
    """Return the one schema of all files: columns in the first file's order, with types that hold every value.

    Raises:
        SchemaMismatch: the files differ; the message names two files and a column.
        MalformedInput: a file has two columns of one name.
    """
    fields: dict[str, pa.Field] = {}
    (first, _), *_ = files
    seen: set[pa.Schema] = set()
    for file, schema in files:
        if schema in seen:
            continue
        seen.add(schema)
        twice = [name for name, count in Counter(schema.names).items() if count > 1]
        if twice:
            raise MalformedInput(f'{file.uri} has two columns named "{twice[0]}". Rename one of them.')
        known = fields or {field.name: field for field in schema}
        for here, names, there, lacking in (
            (first, known, file, set(schema.names)),
            (file, schema.names, first, known),
        ):
            for name in names:
                if name not in lacking:
                    raise SchemaMismatch(
                        f'{here.uri} has a column "{name}", but {there.uri} does not. All files need the same columns.'
                    )
        fields = {name: _merged(first, field, file, schema.field(name)) for name, field in known.items()}
    return pa.schema(list(fields.values()))


def _merged(first: Source, field: pa.Field, file: Source, other: pa.Field) -> pa.Field:
    """Return a column with a type that holds its values in the first files and in another file."""
    kind = common_type.common(common_type.usual(field.type), common_type.usual(other.type))
    if kind is None:
        raise SchemaMismatch(
            f'The column "{field.name}" has the type {other.type} in {file.uri}, but {field.type} in {first.uri}. No '
            "type holds both without changing a value. Write one of the files again."
        )
    return pa.field(field.name, kind)

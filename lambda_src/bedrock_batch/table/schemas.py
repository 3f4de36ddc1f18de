"""The one schema of all files of a table, and schemas as text."""

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
    """The columns to read, of the table whose schema is `table`."""

    table: pa.Schema
    columns: pa.Schema

    @classmethod
    def of(cls, table: pa.Schema, names: Iterable[str]) -> "Selection":
        return cls(table, pa.schema([table.field(name) for name in names]))


def packed(schema: pa.Schema) -> str:
    """Return a schema as `Table.schema` holds it: exact, unlike its text form."""
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


def unpacked(text: str) -> pa.Schema:
    """Return the schema whose text `packed` returned."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))


def kept(table: pa.Schema, names: Sequence[str] | None) -> pa.Schema:
    """Return the schema of the columns that the output keeps: all, or those of `names`, in the table's order.

    Raises:
        MissingColumn: the table has no such column; with near misses.
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
    """Return the schema of JSON lines, and `Table.jsonl`. A type is the declared one, else one that fits all files.

    Raises InvalidRunInput for an unknown type, and MalformedInput for a file without ready-made records where the run
    input asks for them.
    """
    kinds = jsonl_types.merge(one for _, one in files)
    if ready_made and BODY not in kinds:
        raise MalformedInput(
            f'{files[0][0].uri}: no line has a "{BODY}", which every record has in Bedrock\'s shape. '
            'If it is a table, set input.format to "jsonl".'
        )
    if ready_made and BODY in types:
        raise InvalidRunInput(f'input.types: "{BODY}" goes to the model as it stands. Remove it.')
    fields = []
    as_json = []
    for name, seen in kinds.items():
        kind = None if ready_made and name == BODY else jsonl_types.arrow_type(seen)
        if name in types:
            kind = declared_types.arrow_type(name, types[name])
        elif kind is None:
            as_json.append(name)
        fields.append((name, kind or pa.string()))
    return pa.schema(fields), {"as_json": as_json, "typed": [name for name in types if name in kinds]}


def common(files: Sequence[tuple[Source, pa.Schema]]) -> pa.Schema:
    """Return the one schema of all files: columns by name, in the first file's order, of types that hold every value.

    Raises SchemaMismatch, naming two files and a column, and MalformedInput for two columns of one name.
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
                        f'{here.uri} has a column "{name}" and {there.uri} does not. All files need the same columns.'
                    )
        fields = {name: _merged(first, field, file, schema.field(name)) for name, field in known.items()}
    return pa.schema(list(fields.values()))


def _merged(first: Source, field: pa.Field, file: Source, other: pa.Field) -> pa.Field:
    """Return a column of the first files with the type that it has together with another file's."""
    kind = common_type.common(common_type.usual(field.type), common_type.usual(other.type))
    if kind is None:
        raise SchemaMismatch(
            f'{file.uri} has the column "{field.name}" ({other.type}) where {first.uri} has "{field.name}" '
            f"({field.type}): no type holds both without changing a value. Write one of them anew."
        )
    return pa.field(field.name, kind)

"""The one schema of all files of a table, and schemas as text."""

import base64
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.types as pt

from bedrock_batch.contracts.run import Source
from bedrock_batch.errors import InvalidRunInput, MalformedInput, SchemaMismatch, missing_column
from bedrock_batch.table import declared_types, jsonl_types
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


def usual(schema: pa.Schema) -> pa.Schema:
    """Return the schema as the table has it, whatever a file says of its own cells, and without metadata.

    Any column may hold nulls: another file's may. Views, which Arrow cannot handle everywhere, are the texts, bytes
    and lists that they show.
    """
    return pa.schema([pa.field(field.name, _usual(field.type)) for field in schema])


def _usual(kind: pa.DataType) -> pa.DataType:
    if pt.is_string_view(kind) or pt.is_binary_view(kind):
        return pa.string() if pt.is_string_view(kind) else pa.binary()
    if pt.is_struct(kind):
        return pa.struct([pa.field(field.name, _usual(field.type)) for field in kind])
    if pt.is_map(kind):
        return pa.map_(_usual(kind.key_type), _usual(kind.item_type), keys_sorted=kind.keys_sorted)
    if pt.is_fixed_size_list(kind):
        return pa.list_(pa.field(kind.value_field.name, _usual(kind.value_type)), kind.list_size)
    if pt.is_list(kind) or pt.is_list_view(kind):
        return pa.list_(pa.field(kind.value_field.name, _usual(kind.value_type)))
    if pt.is_large_list(kind) or pt.is_large_list_view(kind):
        return pa.large_list(pa.field(kind.value_field.name, _usual(kind.value_type)))
    return kind


def kept(table: pa.Schema, names: Sequence[str] | None) -> pa.Schema:
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


def of_json(
    files: Sequence[tuple[Source, Kinds]], types: Mapping[str, str], *, ready_made: bool
) -> tuple[pa.Schema, dict[str, Any]]:
    """Return the schema of JSON lines, and `Table.jsonl`. A type is the declared one, else one that fits all files.

    Raises MissingColumn for a declared column that no row has, InvalidRunInput for an unknown type, and
    MalformedInput for a file without ready-made records where the run input asks for them.
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
    for name in types:
        if name not in kinds:
            raise missing_column(f'input.types has "{name[:80]}"', name, list(kinds))
    return pa.schema(fields), {"as_json": as_json, "typed": list(types)}


def common(files: Sequence[tuple[Source, pa.Schema]]) -> pa.Schema:
    """Return the schema that all files have. Raises SchemaMismatch, and MalformedInput for two columns of one name."""
    for file, schema in files:
        twice = [name for name, count in Counter(schema.names).items() if count > 1]
        if twice:
            raise MalformedInput(f'{file.uri} has two columns named "{twice[0]}". Rename one of them.')
    first, *others = files
    for other in others:
        _compare(first, other)
    return first[1]


def _compare(first: tuple[Source, pa.Schema], other: tuple[Source, pa.Schema]) -> None:
    """Raise SchemaMismatch unless names, order and types are the same."""
    for (here, schema), (there, lacking) in ((first, other), (other, first)):
        names = set(lacking.names)
        for name in schema.names:
            if name not in names:
                raise SchemaMismatch(
                    f'{here.uri} has a column "{name}" and {there.uri} does not. All files need the same columns.'
                )
    (here, schema), (there, its_schema) = first, other
    for mine, theirs in zip(schema, its_schema, strict=True):
        if (mine.name, mine.type) != (theirs.name, theirs.type):
            raise SchemaMismatch(
                f'{there.uri} has the column "{theirs.name}" ({theirs.type}) where {here.uri} has '
                f'"{mine.name}" ({mine.type}). All files need the same columns in the same order.'
            )

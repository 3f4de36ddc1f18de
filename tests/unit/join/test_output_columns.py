"""Our columns: a column's function returns values in the column's type."""

import pyarrow as pa
import pytest

from bedrock_batch.answers.answer import Answer
from bedrock_batch.answers.answer_schema import Reader
from bedrock_batch.join.joiner import Joiner
from bedrock_batch.join.output_columns import answer_column, our_columns, output_schema
from bedrock_batch.record_ids import record_id

SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}, "scores": {"type": "array", "items": {}}}}
OURS = {
    "outcome": "succeeded",
    "stop_reason": "end_turn",
    "input_tokens": 5,
    "output_tokens": 6,
    "error_code": None,
    "error": None,
}


def test_text_and_its_properties() -> None:
    reader = Reader(SCHEMA)
    joiner = Joiner(shard=0, rows=2, kind="text", reader=reader)
    joiner.add([Answer(record_id(0, 0), b'{"label": "good"}', "end_turn", 5, 6)])
    columns = our_columns(kind="text", reader=reader)
    values = joiner.columns(0, 2)
    assert [array.type for array in values] == [column.type for column in columns]
    row = {column.name: array[0].as_py() for column, array in zip(columns, values, strict=True)}
    assert row == OURS | {"response": '{"label": "good"}', "label": "good", "scores": None}


def test_vectors() -> None:
    joiner = Joiner(shard=0, rows=2, kind="embedding", dimensions=2)
    joiner.add([Answer(record_id(0, 0), [0.5, 1.0], None, 5)])  # type: ignore[arg-type]
    columns = our_columns(kind="embedding", dimensions=2)
    values = joiner.columns(0, 2)
    assert [array.type for array in values] == [column.type for column in columns]
    row = {column.name: array[0].as_py() for column, array in zip(columns, values, strict=True)}
    expected = {name: OURS[name] for name in OURS if name not in ("stop_reason", "output_tokens")}
    assert row == expected | {"embedding": [0.5, 1.0]}


@pytest.mark.parametrize(("kind", "dimensions"), [("text", None), ("embedding", 3)])
def test_the_schema_is_that_of_the_columns(kind: str, dimensions: int | None) -> None:
    columns = our_columns(kind=kind, dimensions=dimensions)  # type: ignore[arg-type]
    schema = output_schema(pa.schema([("id", pa.int64())]), {"prefix": "b_"}, kind=kind, dimensions=dimensions)  # type: ignore[arg-type]
    assert [(field.name, field.type, field.nullable) for field in list(schema)[1:]] == [
        (f"b_{column.name}", column.type, column.nullable) for column in columns
    ]
    assert answer_column(kind, "b_") in schema.names  # type: ignore[arg-type]

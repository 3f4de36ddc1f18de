"""Check the first ready-made records before planning: only they show the dimensions of their vectors."""

from dataclasses import replace
from typing import Any

from bedrock_batch.errors import InvalidRunInput, UnsupportedRequest
from bedrock_batch.models import request_body
from bedrock_batch.plan.resolve_models import Model
from bedrock_batch.records import body_check, ready_made
from bedrock_batch.table.layout import BODY
from bedrock_batch.table.read import Description

_ROWS = 256


def settled(models: list[Model], table: Description) -> list[Model]:
    """Return the models, with the dimensions that ready-made records ask for. Without such records they do not change.

    Raises:
        UnsupportedRequest: the model would refuse one of these records, or its answer could not be read.
        InvalidRunInput: the run input has other dimensions.
    """
    if table.table.format != "bedrock_jsonl":
        return models
    (model,) = models
    bodies = _first_bodies(table)
    if model.composed.dimensions is not None:
        lengths = (body_check.length(model.family, body) for body in bodies if body)
        length = next((length for length in lengths if length is not None), model.composed.dimensions)
        model = replace(model, composed=replace(model.composed, dimensions=_dimensions(model, length)))
    check = model.check
    for row, body in enumerate(bodies, 1):
        if body:
            ready_made.look(check, body, row)
    return [replace(model, warnings=[*model.warnings, *check.warnings])]


def _dimensions(model: Model, length: Any) -> int:
    asked = model.asked.get("embedding", {}).get("dimensions", length)
    if asked != length:
        raise InvalidRunInput(
            f"embedding.dimensions is {asked}, but the first record asks for {str(length)[:20]}. With input.format "
            "bedrock_jsonl, records are sent unchanged. Remove embedding.dimensions."
        )
    try:
        return request_body.dimensions(model.family, {"dimensions": length})
    except InvalidRunInput as err:
        raise UnsupportedRequest(f"The first record cannot be sent: {err}") from err


def _first_bodies(table: Description) -> list[bytes]:
    """Return the bodies of the table's first rows. For a row without a body, it is an empty text."""
    number, layout = next((number, layout) for number, layout in enumerate(table.layouts) if layout.rows)
    piece = layout.piece(number, 0, min(_ROWS, layout.rows))
    bodies = [body for batch in table.rows.read(piece, [BODY], row=1) for body in batch.column(BODY).to_pylist()]
    return [body.encode() if body and body.startswith("{") else b"" for body in bodies]

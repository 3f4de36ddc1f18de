"""Records that already have Bedrock's shape. Only the record id is replaced by ours.

Their table has the column `modelInput` with the JSON text of the body, as in the file. The body is sent unchanged. The
user's `recordId`, if there is one, and all other keys are ordinary columns.
"""

from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from bedrock_batch.contracts.run import Table
from bedrock_batch.errors import ROWS_COUNT, MalformedInput, UnsupportedRequest
from bedrock_batch.record_ids import BEFORE_BODY, LINE_END, LINE_START, record_id
from bedrock_batch.records.body_check import BodyCheck
from bedrock_batch.records.render import MOST_RECORD_BYTES, Nulls, Rendered, Renderer, Skipped, too_long
from bedrock_batch.row_errors import RowError
from bedrock_batch.table.layout import BODY


class Renders(Protocol):
    """Makes records: `Renderer` or `ReadyMade`."""

    columns: list[str]
    structure_bytes: int
    repeats: int

    def render(self, batch: pa.RecordBatch, first_row: int) -> Rendered: ...


def renderer(
    table: Table,
    request: dict[str, Any],
    schema: pa.Schema,
    *,
    shard: int = 0,
    nulls: Nulls = "error",
    first_row: int = 0,
    most_bytes: int = MOST_RECORD_BYTES,
    check: BodyCheck | None = None,
) -> Renders:
    """Return the renderer for the table's rows. The parameters are those of `Renderer` and of `ReadyMade`."""
    if table.format == "bedrock_jsonl":
        return ReadyMade(shard=shard, nulls=nulls, first_row=first_row, most_bytes=most_bytes, check=check)
    return Renderer(request, schema, shard=shard, nulls=nulls, first_row=first_row, most_bytes=most_bytes)


class ReadyMade:
    """Makes records from ready-made bodies. A row without a body is skipped (code NoModelInput) or an error.

    A body that fails `check` is always an error, because most likely all records have the same fault.
    """

    def __init__(
        self, *, shard: int, nulls: Nulls, first_row: int, most_bytes: int, check: BodyCheck | None = None
    ) -> None:
        self._check = check
        self.columns = [BODY]
        self.repeats = 1
        self.structure_bytes = len(_line(record_id(0, 0), b""))
        self._shard = shard
        self._nulls = nulls
        self._first_row = first_row
        self._most_bytes = most_bytes

    def render(self, batch: pa.RecordBatch, first_row: int) -> Rendered:
        """Render a batch whose first row is row `first_row` of the shard. Raises MalformedInput for nulls=error."""
        lines: list[bytes] = []
        skipped: list[Skipped] = []
        for row, body in enumerate(pc.cast(batch.column(BODY), pa.binary()).to_pylist(), first_row):
            if body is None or not body.startswith(b"{"):
                if self._nulls == "error":
                    sentence = f'Row {self._first_row + row + 1} of the table has no object in "{BODY}" {ROWS_COUNT}.'
                    raise MalformedInput(f'{sentence} Correct it, or set input.nulls to "skip".')
                skipped.append(Skipped(row, RowError.NO_MODEL_INPUT, f'"{BODY}" is not an object.'))
            elif len(body) + self.structure_bytes > self._most_bytes:
                skipped.append(too_long(row, len(body) + self.structure_bytes, self._most_bytes))
            else:
                if self._check is not None:
                    look(self._check, body, self._first_row + row + 1)
                lines.append(_line(record_id(self._shard, row), body))
        data = b"".join(lines)
        return Rendered(data, len(lines), len(data) - len(lines) * self.structure_bytes, skipped)


def look(check: BodyCheck, body: bytes, row: int) -> None:
    """Check a body. Raises UnsupportedRequest with `row`, the table's row from 1."""
    try:
        check.look(body)
    except UnsupportedRequest as err:
        raise UnsupportedRequest(f"The record in row {row} of the table {ROWS_COUNT} cannot be sent: {err}") from err


def _line(record: str, body: bytes) -> bytes:
    return b"".join((LINE_START, record.encode(), BEFORE_BODY, body, LINE_END))

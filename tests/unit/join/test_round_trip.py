"""The invariant, from table to table: input rows are output rows, each exactly once, in order, with one outcome."""

import csv
import io
import json
from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedrock_batch.answers.lines import whole_lines
from bedrock_batch.answers.outcome import OUTCOMES
from bedrock_batch.answers.text_parser import TextParser
from bedrock_batch.contracts.lines import JobEnd
from bedrock_batch.join.joiner import Joiner
from bedrock_batch.join.output_columns import output_schema
from bedrock_batch.records.render import Renderer
from bedrock_batch.table import schemas, write
from bedrock_batch.table.plain_types import json_cells, to_plain
from tests.unit.output_lines import CONVERSE, converse

SHARD = 7
JOB = JobEnd(job_name="j", status="Expired", raw_prefix="raw/")
REQUEST = {"messages": [{"role": "user", "content": [{"text": "{text}"}]}]}
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
TYPES: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.string(), TEXTS),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.float64(), st.floats(allow_nan=False, allow_infinity=False)),
    (pa.bool_(), st.booleans()),
    (pa.binary(), st.binary(max_size=6)),
    (pa.list_(pa.string()), st.lists(st.none() | TEXTS, max_size=3)),
    (pa.struct([("a", pa.int32()), ("b", pa.string())]), st.fixed_dictionaries({"a": st.integers(0, 9), "b": TEXTS})),
]
ENDS: dict[str, tuple[str, str | None]] = {
    "answer": ("succeeded", None),
    "twice": ("succeeded", None),
    "throttled then answered": ("succeeded", None),
    "cut": ("truncated", None),
    "empty": ("failed", "EmptyAnswer"),
    "error": ("failed", "400"),
    "throttled": ("failed", "429"),
    "invalid line": ("missing", JOB.status),
    "drop": ("missing", JOB.status),
    "foreign": ("missing", JOB.status),
}
"""What may become of a record, with its outcome and its error code."""


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Draw a table with a text column, which is rendered, and some others of any types, with nulls."""
    rows = draw(st.integers(0, 12))
    names = draw(
        st.lists(
            TEXTS.filter(lambda name: name != "text" and not name.startswith("bedrock_")),
            max_size=4,
            unique_by=str.casefold,
        )
    )
    columns = {"text": pa.array(draw(st.lists(st.none() | TEXTS, min_size=rows, max_size=rows)), pa.string())}
    for name in names:
        kind, values = draw(st.sampled_from(TYPES))
        columns[name] = pa.array(draw(st.lists(st.none() | values, min_size=rows, max_size=rows)), kind)
    return pa.table(columns)


def answer_lines(record: bytes, fate: str, text: str) -> list[bytes]:
    """Return the line that Bedrock writes for a record with this result."""
    whole = json.loads(record)
    echo = {"modelInput": whole["modelInput"], "recordId": whole["recordId"]}
    good = _line(echo, modelOutput=converse(text))
    throttled = _line(echo, error={"errorCode": 429, "errorMessage": text})
    lines: dict[str, list[bytes]] = {
        "answer": [good],
        "cut": [_line(echo, modelOutput=converse(text, stop="max_tokens"))],
        "twice": [good, good],
        "empty": [_line(echo, modelOutput=converse())],
        "invalid line": [good[: 1 + sum(text.encode()) % (len(good) - 1)]],
        "error": [_line(echo, error={"errorCode": 400, "errorMessage": text})],
        "throttled": [throttled],
        "throttled then answered": [throttled, good],
        "drop": [],
        "foreign": [_line(echo | {"recordId": f"{SHARD + 1:05d}" + whole["recordId"][5:]}, modelOutput=converse(text))],
    }
    return lines[fate]


def _line(echo: dict[str, Any], **members: Any) -> bytes:
    return json.dumps(echo | members, ensure_ascii=False).encode()


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    table=tables(),
    limit=st.sampled_from([1, 100, 10**9]),
    step=st.integers(1, 5),
    block=st.sampled_from([50, 1 << 20]),
)
@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
def test_every_row_comes_back_once_in_order_with_one_outcome(
    form: str, data: st.DataObject, table: pa.Table, limit: int, step: int, block: int
) -> None:
    batches = [table.slice(start, step).combine_chunks().to_batches()[0] for start in range(0, table.num_rows, step)]
    renderer = Renderer(REQUEST, table.schema, shard=SHARD, nulls="skip")
    joiner = Joiner(shard=SHARD, rows=table.num_rows, kind="text", held_bytes=limit)
    expected: dict[int, tuple[str, str | None, str | None]] = {}
    records: list[bytes] = []
    for number, batch in enumerate(batches):
        rendered = renderer.render(batch, number * step)
        records += rendered.data.split(b"\n")[:-1]
        joiner.skip([skip.to_json(300) for skip in rendered.skipped], first_row=300)
        expected |= {skip.row: ("skipped", None, skip.code) for skip in rendered.skipped}
    lines: list[list[bytes]] = []
    fates: Counter[str] = Counter()
    for record in records:
        row, fate, text = int(record[18:24]), data.draw(st.sampled_from(list(ENDS))), data.draw(TEXTS.filter(bool))
        lines.append(answer_lines(record, fate, text))
        fates[fate] += 1
        outcome, code = ENDS[fate]
        expected[row] = (outcome, text if outcome in ("succeeded", "truncated") else None, code)
    joiner.end([JOB])
    raw = b"\n".join(line for some in data.draw(st.permutations(lines)) for line in some)
    blocks = whole_lines(raw[at : at + block] for at in range(0, len(raw), block))
    parsed = [TextParser(CONVERSE)(some) for some in blocks]

    kept = schemas.kept(table.schema, data.draw(st.none() | st.just(["text"])))
    schema = output_schema(kept, {"prefix": "bedrock_"}, kind="text")
    out = io.BytesIO()
    for answers in parsed:
        joiner.add(answers)
    rows = joiner.join((batch.select(kept.names) for batch in batches), schema, lambda: parsed)
    write.write(rows, schema, out, form=form, unique=["bedrock_response"])

    found = read(form, out.getvalue(), schema)
    assert [row[: len(kept)] for row in found] == input_rows(form, table.select(kept.names))
    places = [schema.names.index(f"bedrock_{name}") for name in ("outcome", "response", "error_code")]
    ends = [[row[place] for place in places] for row in found]
    assert ends == [[none(form) if cell is None else cell for cell in end] for _, end in sorted(expected.items())]
    counts = joiner.joined(output_key="k", size=1)
    assert sum(counts.outcomes.values()) == table.num_rows == len(found)
    assert set(counts.outcomes) <= set(OUTCOMES)
    noted = (joiner.foreign, joiner.broken, joiner.duplicates)
    assert noted == (fates["foreign"], fates["invalid line"], fates["twice"])
    assert counts.leftovers == counts.outcomes.get("missing", 0) + fates["throttled"]


def read(form: str, data: bytes, schema: pa.Schema) -> list[list[Any]]:
    """Return the rows of a part: Arrow's cells for Parquet, JSON's for others. In CSV, a null is an empty text."""
    if form == "parquet":
        return [list(row.values()) for row in pq.read_table(io.BytesIO(data)).to_pylist()]
    if form == "jsonl":
        rows = [json.loads(line) for line in data.split(b"\n")[:-1]]
        assert all(list(row) == schema.names for row in rows)
        return [list(row.values()) for row in rows]
    header, *lines = csv.reader(io.StringIO(data.decode(), newline=""))
    assert header == schema.names
    return [
        [cell if is_text(field) else json.loads(cell or "null") for cell, field in zip(cells, schema, strict=True)]
        for cells in lines
    ]


def input_rows(form: str, table: pa.Table) -> list[list[Any]]:
    """Return the input's rows in the form of `read`."""
    if form == "parquet":
        return [list(row.values()) for row in table.to_pylist()]
    columns = []
    for field in table.schema:
        cells = [json.loads(cell) for cell in json_cells(to_plain(table[field.name].combine_chunks()))]
        columns.append([none(form) if cell is None and is_text(field) else cell for cell in cells])
    return [list(row) for row in zip(*columns, strict=True)]


def is_text(field: pa.Field) -> bool:
    return bool(pa.types.is_string(field.type) or pa.types.is_binary(field.type))


def none(form: str) -> str | None:
    return "" if form == "csv" else None

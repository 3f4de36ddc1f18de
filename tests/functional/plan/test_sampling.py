"""Shards are cut by the size of records, not by the size of their source."""

import pyarrow as pa
import pytest

from bedrock_batch.aws.s3 import S3
from bedrock_batch.errors import MalformedInput
from bedrock_batch.plan import sampling
from bedrock_batch.plan.shards import RowSize
from bedrock_batch.records.ready_made import renderer
from bedrock_batch.table import read
from tests.functional.tables import csv_bytes, cut, describe, parquet_bytes, put

REQUEST = {"text": "{text}"}
QUOTAS = {"min_records": 2, "max_records": 10_000, "max_file_bytes": 100_000}


def sizes(found: read.Description) -> list[int]:
    """Plan and return the size of every shard's records."""
    made = renderer(found.table, REQUEST, found.schema)
    factor = sampling.expansion(found, made)
    assert factor == sampling.expansion(found, made)
    return [
        sum(
            len(made.render(batch, 0).data)
            for piece in shard.pieces
            for batch in found.rows.read(piece, made.columns, row=1)
        )
        for shard in cut(found, QUOTAS, size=RowSize(factor, made.structure_bytes, factor))
    ]


def test_a_text_that_parquet_stores_once_counts_in_every_record(s3: S3) -> None:
    table = pa.table({"text": ["long " * 200] * 1000})
    body = parquet_bytes(table)
    assert len(body) < 10_000
    found = sizes(describe(s3, put("t.parquet", body)))
    assert max(found) <= QUOTAS["max_file_bytes"]
    assert len(found) > 10


def test_columns_that_are_not_used_make_no_shards(s3: S3) -> None:
    table = pa.table(
        {"text": [f"short {n}" for n in range(1000)], "image": [bytes([n % 256]) * 2000 for n in range(1000)]}
    )
    found = sizes(describe(s3, put("t.parquet", parquet_bytes(table, use_dictionary=False, row_group_size=100))))
    assert len(found) == 1


def test_escapes_count(s3: S3) -> None:
    rows = [["\x01" * 100] for _ in range(500)]
    found = sizes(describe(s3, put("t.csv", csv_bytes([["text"], *rows]))))
    assert max(found) <= QUOTAS["max_file_bytes"]


def test_rows_that_make_no_record_tell_nothing(s3: S3) -> None:
    found = describe(s3, put("t.csv", csv_bytes([["text"], *[[" "]] * 9])))
    made = renderer(found.table, REQUEST, found.schema)
    assert sampling.expansion(found, made) == sampling.UNKNOWN


def test_a_bad_cell_in_a_sample_is_named_by_its_row(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sampled rows begin between two known offsets, so that rows before them are read too."""
    monkeypatch.setattr("bedrock_batch.table.layout.MOST_MARKS", 4)
    rows = [["text", "n"], *([f"text {n}", "x" if n == 300 else str(n)] for n in range(1, 501))]
    found = describe(s3, put("t.csv", csv_bytes(rows)), types={"n": "int64"})
    with pytest.raises(MalformedInput, match='row 300, column "n" is not a int64'):
        sampling.expansion(found, renderer(found.table, {"text": "{n}"}, found.schema))

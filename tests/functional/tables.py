"""Put tables on the S3 of the tests, describe them, and read all their shards back as the functions do."""

import csv
import gzip
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import PlannedShard
from bedrock_batch.plan import shards
from bedrock_batch.plan.shards import Bounds, RowSize
from bedrock_batch.table import input_files, read
from tests.conftest import BUCKET
from tests.unit.factories import make_run

QUOTAS = {"min_records": 2, "max_records": 7, "max_file_bytes": 10**9}
SIZE = RowSize(1.2, 200, 1.2)
STAGED = (BUCKET, "reviews/work/monday/staged/")

Row = dict[str, Any]


def put(key: str, body: bytes) -> str:
    clients.s3().put_object(Bucket=BUCKET, Key=key, Body=body)
    return f"s3://{BUCKET}/{key}"


def csv_bytes(rows: Sequence[Sequence[str]], **dialect: Any) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, **{"lineterminator": "\n", "quoting": csv.QUOTE_ALL, **dialect}).writerows(rows)
    return out.getvalue().encode()


def jsonl_bytes(rows: Sequence[Any], *, ascii_only: bool = False) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows).encode()


def parquet_bytes(table: pa.Table, **options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def gz(body: bytes) -> bytes:
    return gzip.compress(body, 1, mtime=0)  # the same bytes whenever it is done


def zst(body: bytes) -> bytes:
    packed: bytes = pa.compress(body, codec="zstd", asbytes=True)
    return packed


def describe(s3: S3, uris: str | list[str], *, limit: int | None = None, **options: Any) -> read.Description:
    return read.describe(read.Files(s3, input_files.find(s3, uris)), options=options, limit=limit, staged=STAGED)


def cut(
    found: read.Description,
    quotas: dict[str, int] = QUOTAS,
    *,
    run_key: str = "-",
    size: RowSize = SIZE,
    **bounds: int | None,
) -> list[PlannedShard]:
    """Cut a table into shards; `bounds` are those of `Bounds`."""
    of_run = Bounds(quotas, **bounds)  # type: ignore[arg-type]  # numbers all
    return shards.cut(found.layouts, of_run, size, bucket=BUCKET, run_key=run_key)


def shards_of(
    s3: S3, found: read.Description, *, columns: list[str] | None = None, **bounds: Any
) -> Iterator[list[Row]]:
    """Yield the rows of every shard of a plan."""
    run = make_run(table=found.table, sources=found.sources)
    for shard in cut(found, **bounds):
        wanted = found.schema.names if columns is None else columns
        batches = list(read.read_shard(s3, run, shard, columns=wanted))
        table = pa.Table.from_batches(batches)
        assert table.num_rows == shard.rows
        yield table.to_pylist()


def read_all(s3: S3, found: read.Description, **bounds: Any) -> list[Row]:
    return [row for rows in shards_of(s3, found, **bounds) for row in rows]

"""Rendering a Parquet table as the JSONL that Bedrock reads; every candidate writes the same records to a file."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq

from bedrock_batch import keys
from bedrock_batch.records.prepare_shard import prepare_shard
from bench.data import AFTER, BEFORE, MAX_TOKENS, TEXT_RUN, Workload

Written = list[Path]


def ours(work: Workload) -> Written:
    shards = work.shards(TEXT_RUN)
    for shard in shards:
        prepare_shard(work.s3, shard)
    return [work.path(keys.input_key(TEXT_RUN, shard.shard)) for shard in shards]


def with_json(work: Workload) -> Written:
    return _row_by_row(work, "json", lambda record: json.dumps(record, ensure_ascii=False).encode())


def with_orjson(work: Workload) -> Written:
    return _row_by_row(work, "orjson", orjson.dumps)


def with_duckdb(work: Workload) -> Written:
    import duckdb

    out = work.out("duckdb.jsonl")
    size = work.shard_rows(TEXT_RUN)
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(
        f"""
        COPY (
          SELECT
            printf('%05d%06d', file_row_number // {size}, file_row_number % {size}) AS "recordId",
            {{'messages': [{{'role': 'user', 'content': [{{'text': $before || product || '": ' || text || $after}}]}}],
              'inferenceConfig': {{'maxTokens': {MAX_TOKENS}}}}} AS "modelInput"
          FROM read_parquet('{work.table(TEXT_RUN)}', file_row_number = true)
        ) TO '{out}' (FORMAT json)
        """,
        {"before": BEFORE, "after": AFTER},
    )
    return [out]


def _row_by_row(work: Workload, name: str, dump: Callable[[dict[str, Any]], bytes]) -> Written:
    size = work.shard_rows(TEXT_RUN)
    out = work.out(f"{name}.jsonl")
    with out.open("wb") as file:
        for number, (product, text) in enumerate(_cells(work)):
            record = {
                "recordId": f"{number // size:05d}{number % size:06d}",
                "modelInput": {
                    "messages": [{"role": "user", "content": [{"text": f'{BEFORE}{product}": {text}{AFTER}'}]}],
                    "inferenceConfig": {"maxTokens": MAX_TOKENS},
                },
            }
            file.write(dump(record) + b"\n")
    return [out]


def _cells(work: Workload) -> Iterator[tuple[str, str]]:
    file = pq.ParquetFile(work.table(TEXT_RUN))
    for batch in file.iter_batches(2_048, columns=["product", "text"], use_threads=False):
        yield from zip(batch["product"].to_pylist(), batch["text"].to_pylist(), strict=True)


def records(paths: Written) -> list[Any]:
    """Return what was written, parsed: for comparison, not for measurement."""
    return [json.loads(line) for path in paths for line in path.read_bytes().split(b"\n")[:-1]]


CANDIDATES: dict[str, Callable[[Workload], Written]] = {
    "ours": ours,
    "json": with_json,
    "orjson": with_orjson,
    "duckdb": with_duckdb,
}

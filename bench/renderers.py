"""Render a Parquet table as the JSONL that Bedrock reads. Every candidate writes the same records to a file.

The task "prepare" also writes a copy of the table, which the join reads.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from bedrock_batch import keys
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.run import Run
from bedrock_batch.records.prepare_shard import prepare_shard
from bedrock_batch.records.ready_made import renderer as renderer_of
from bedrock_batch.table import read
from bedrock_batch.table.schemas import unpacked
from bench.data import AFTER, BEFORE, BUCKET, MAX_TOKENS, TEXT_RUN, Workload
from bench.local_s3 import LocalClient

Written = list[Path]


def ours(work: Workload) -> Written:
    run = _run(work)
    out_client = LocalClient(work.out("s3"))
    written = []
    for shard in work.shards(TEXT_RUN):
        table = run.table
        renderer = renderer_of(table, run.request, unpacked(table.schema), shard=shard.shard)
        key = f"{shard.shard}.jsonl"
        written.append(out_client.path("rendered", key))
        with S3(out_client).writer("rendered", key) as out:
            row = 0
            for batch in read.read_shard(work.s3, run, shard, columns=renderer.columns):
                out.write(renderer.render(batch, row).data)
                row += batch.num_rows
    return written


def ours_prepared(work: Workload) -> Written:
    run, shards = _run(work), work.shards(TEXT_RUN)
    for shard in shards:
        prepare_shard(work.s3, shard)
    return [work.path(key) for shard in shards for key in (run.input_key(shard.shard), run.frame_key(shard.shard))]


def _run(work: Workload) -> Run:
    return Run.from_json(work.s3.get_json(BUCKET, keys.RunKeys("reviews", TEXT_RUN).run()))


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


def with_json_and_pandas(work: Workload) -> Written:
    """Work as the published AWS sample does: a dict for each row of some rows, json, and a copy of these rows."""
    import pandas as pd

    size = work.shard_rows(TEXT_RUN)
    file = pq.ParquetFile(work.table(TEXT_RUN))
    written = []
    for number, start in enumerate(range(0, work.rows, size)):
        rows: pd.DataFrame = _rows(file, start, size).to_pandas()
        rows["record_id"] = [f"{number:05d}{row:06d}" for row in range(len(rows))]
        records = [_record(row["record_id"], row["product"], row["text"]) for row in rows.to_dict("records")]
        written += [work.out(f"pandas-{number}.jsonl"), work.out(f"pandas-{number}.parquet")]
        written[-2].write_text("\n".join(json.dumps(record) for record in records) + "\n")
        rows.drop(columns="record_id").to_parquet(written[-1], index=False, compression="snappy")
    return written


def with_duckdb_and_copy(work: Workload) -> Written:
    import duckdb

    copy = work.out("duckdb-copy.parquet")
    duckdb.connect(config={"threads": 1}).execute(
        f"COPY (FROM '{work.table(TEXT_RUN)}') TO '{copy}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
    )
    return [*with_duckdb(work), copy]


def _rows(file: pq.ParquetFile, start: int, size: int) -> pa.Table:
    """Return rows of the table. Row groups and slices have the same size, so whole row groups are read."""
    groups = [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]
    first = [sum(groups[:index]) for index in range(len(groups))]
    wanted = [index for index, at in enumerate(first) if start <= at < start + size]
    return file.read_row_groups(wanted)


def _record(record_id: str, product: str, text: str) -> dict[str, Any]:
    return {
        "recordId": record_id,
        "modelInput": {
            "messages": [{"role": "user", "content": [{"text": f'{BEFORE}{product}": {text}{AFTER}'}]}],
            "inferenceConfig": {"maxTokens": MAX_TOKENS},
        },
    }


def _row_by_row(work: Workload, name: str, dump: Callable[[dict[str, Any]], bytes]) -> Written:
    size = work.shard_rows(TEXT_RUN)
    out = work.out(f"{name}.jsonl")
    with out.open("wb") as file:
        for number, (product, text) in enumerate(_cells(work)):
            record = _record(f"{number // size:05d}{number % size:06d}", product, text)
            file.write(dump(record) + b"\n")
    return [out]


def _cells(work: Workload) -> Iterator[tuple[str, str]]:
    file = pq.ParquetFile(work.table(TEXT_RUN))
    for batch in file.iter_batches(2_048, columns=["product", "text"], use_threads=False):
        yield from zip(batch["product"].to_pylist(), batch["text"].to_pylist(), strict=True)


def records(paths: Written) -> list[Any]:
    """Return the written records, parsed: for comparison, not for measurement."""
    return [
        json.loads(line) for path in paths if path.suffix == ".jsonl" for line in path.read_bytes().split(b"\n")[:-1]
    ]


def records_and_copy(paths: Written) -> tuple[list[Any], list[Any]]:
    """Return the records and the rows of the copy of the table."""
    copies = [pq.read_table(path) for path in paths if path.suffix == ".parquet"]
    return records(paths), pa.concat_tables(table.replace_schema_metadata(None) for table in copies).to_pylist()


RENDERING: dict[str, Callable[[Workload], Written]] = {
    "ours": ours,
    "json": with_json,
    "orjson": with_orjson,
    "duckdb": with_duckdb,
}

PREPARING: dict[str, Callable[[Workload], Written]] = {
    "ours": ours_prepared,
    "json + pandas": with_json_and_pandas,
    "duckdb": with_duckdb_and_copy,
}

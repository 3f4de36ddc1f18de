"""Join shuffled answers to their rows. Every candidate writes the same table as Parquet, in input order.

All write as ours does, so that the work is the same: zstd at level 1, no dictionaries for values that do not repeat,
vectors uncompressed.
"""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from bedrock_batch import keys
from bedrock_batch.answers.answer_schema import Reader
from bedrock_batch.contracts.lines import ShardJoin
from bedrock_batch.join.join_shard import join_shard
from bench.data import BUCKET, DIMENSIONS, SCHEMA, Workload

Written = list[Path]
TEXT_COLUMNS = ("bedrock_response", "bedrock_stop_reason", "bedrock_input_tokens", "bedrock_output_tokens")
PROPERTIES = {f"bedrock_{field.name}": field.type for field in Reader(SCHEMA).fields}
STRUCTURED_COLUMNS = (*TEXT_COLUMNS, *PROPERTIES)
VECTOR_COLUMNS = ("bedrock_embedding", "bedrock_input_tokens")


def ours(work: Workload, run_id: str, **changes: str) -> Written:
    written = []
    for shard in work.shards(run_id):
        jobs = [work.job(run_id, shard.shard).to_json()]
        join = ShardJoin.from_json({**shard.to_json(), "jobs": jobs, **changes})
        written.append(work.path(join_shard(work.s3, join).output_key))
    return written


def without_schema(work: Workload, run_id: str) -> Written:
    """Join as ours does, but take the answers for plain texts."""
    key = keys.RunKeys("reviews", run_id).run()
    text_key = key.replace("run.json", "run-text.json")
    run = work.s3.get_json(BUCKET, key)
    del run["input"]["output"]["schema"]
    work.s3.put_json(BUCKET, text_key, run)
    return ours(work, run_id, run_key=text_key)


def jsonschema_in_python(work: Workload, run_id: str) -> Written:
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(SCHEMA)
    rows, size = work.rows_of(run_id), work.shard_rows(run_id)
    columns: list[list[Any]] = [[None] * rows for _ in STRUCTURED_COLUMNS]
    for path in work.raw(run_id):
        with path.open("rb") as file:
            for line in file:
                record = orjson.loads(line)
                row = int(record["recordId"][:5]) * size + int(record["recordId"][5:])
                answer = _text_answer(record["modelOutput"])
                text = answer[0]
                found = orjson.loads(text[text.index("{") : text.rindex("}") + 1])
                known = found if validator.is_valid(found) else {}
                for column, value in zip(columns, (*answer, *map(known.get, SCHEMA["properties"])), strict=True):
                    column[row] = value
    return _write(work, run_id, "jsonschema", dict(zip(STRUCTURED_COLUMNS, map(pa.array, columns), strict=True)))


def json_pandas(work: Workload, run_id: str) -> Written:
    import pandas as pd

    answers = []
    for path in work.raw(run_id):
        with path.open(encoding="utf-8") as file:
            for line in file:
                record = json.loads(line)
                answers.append((record["recordId"], *_text_answer(record["modelOutput"])))
    table = pd.read_parquet(work.table(run_id))
    size = work.shard_rows(run_id)
    table["record_id"] = [f"{number // size:05d}{number % size:06d}" for number in range(len(table))]
    found = pd.DataFrame(answers, columns=["record_id", *TEXT_COLUMNS])
    merged = table.merge(found, on="record_id", how="left").drop(columns="record_id")
    out = work.out("pandas.parquet")
    merged.to_parquet(out, index=False, compression="zstd", compression_level=1)
    return [out]


def orjson_scatter(work: Workload, run_id: str) -> Written:
    rows, size = work.rows_of(run_id), work.shard_rows(run_id)
    columns: list[list[Any]] = [[None] * rows for _ in TEXT_COLUMNS]
    for path in work.raw(run_id):
        with path.open("rb") as file:
            for line in file:
                record = orjson.loads(line)
                row = int(record["recordId"][:5]) * size + int(record["recordId"][5:])
                for column, value in zip(columns, _text_answer(record["modelOutput"]), strict=True):
                    column[row] = value
    return _write(work, run_id, "orjson", dict(zip(TEXT_COLUMNS, map(pa.array, columns), strict=True)))


def duckdb_text(work: Workload, run_id: str) -> Written:
    return _duckdb(
        work,
        run_id,
        columns="""{
          recordId: 'VARCHAR',
          modelOutput: 'STRUCT(output STRUCT(message STRUCT(content STRUCT("text" VARCHAR)[])), "stopReason" VARCHAR,
                               usage STRUCT("inputTokens" BIGINT, "outputTokens" BIGINT))'
        }""",
        select="""
          array_to_string(list_transform(a.modelOutput.output.message.content, lambda x: x.text), '')
            AS bedrock_response,
          a.modelOutput.stopReason AS bedrock_stop_reason,
          a.modelOutput.usage.inputTokens AS bedrock_input_tokens,
          a.modelOutput.usage.outputTokens AS bedrock_output_tokens
        """,
        codec="zstd",
    )


def orjson_numpy(work: Workload, run_id: str) -> Written:
    rows, size = work.rows_of(run_id), work.shard_rows(run_id)
    vectors = np.empty((rows, DIMENSIONS), np.float32)
    tokens = np.empty(rows, np.int64)
    for path in work.raw(run_id):
        with path.open("rb") as file:
            for line in file:
                record = orjson.loads(line)
                row = int(record["recordId"][:5]) * size + int(record["recordId"][5:])
                vectors[row] = record["modelOutput"]["embedding"]
                tokens[row] = record["modelOutput"]["inputTextTokenCount"]
    ends = np.arange(0, (rows + 1) * DIMENSIONS, DIMENSIONS, np.int32)
    column = pa.ListArray.from_arrays(pa.array(ends), pa.array(vectors.reshape(-1)))
    return _write(work, run_id, "numpy", dict(zip(VECTOR_COLUMNS, (column, pa.array(tokens)), strict=True)))


def duckdb_vectors(work: Workload, run_id: str) -> Written:
    return _duckdb(
        work,
        run_id,
        columns="""{
          recordId: 'VARCHAR',
          modelOutput: 'STRUCT(embedding FLOAT[], "inputTextTokenCount" BIGINT)'
        }""",
        select="""
          a.modelOutput.embedding AS bedrock_embedding,
          a.modelOutput.inputTextTokenCount AS bedrock_input_tokens
        """,
        codec="uncompressed",
    )


def _text_answer(output: dict[str, Any]) -> tuple[str, str, int, int]:
    text = "".join(block["text"] for block in output["output"]["message"]["content"])
    usage = output["usage"]
    return text, output["stopReason"], usage["inputTokens"], usage["outputTokens"]


def _write(work: Workload, run_id: str, name: str, answers: dict[str, pa.Array]) -> Written:
    table = pq.read_table(work.table(run_id))
    for column, values in answers.items():
        table = table.append_column(column, values)
    vectors = "bedrock_embedding.list.element"
    leaves = [name for name in table.column_names if name != "bedrock_embedding"]
    codecs = dict.fromkeys(leaves, "zstd") | ({vectors: "none"} if "bedrock_embedding" in answers else {})
    out = work.out(f"{name}.parquet")
    pq.write_table(
        table,
        out,
        compression=codecs,
        compression_level=dict.fromkeys(leaves, 1),
        use_dictionary=["product", "language", "bedrock_stop_reason"],
    )
    return [out]


def _duckdb(work: Workload, run_id: str, *, columns: str, select: str, codec: str) -> Written:
    import duckdb

    out = work.out("duckdb.parquet")
    size = work.shard_rows(run_id)
    raw = [str(path) for path in work.raw(run_id)]
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(
        f"""
        COPY (
          SELECT t.* EXCLUDE (file_row_number), {select}
          FROM read_parquet('{work.table(run_id)}', file_row_number = true) t
          LEFT JOIN read_json({raw}, format = 'newline_delimited', columns = {columns},
                              maximum_object_size = 16777216) a
          ON a.recordId = printf('%05d%06d', file_row_number // {size}, file_row_number % {size})
          ORDER BY file_row_number
        ) TO '{out}' (FORMAT parquet, COMPRESSION {codec} {", COMPRESSION_LEVEL 1" if codec == "zstd" else ""})
        """
    )
    return [out]


def table(paths: Written, answers: tuple[str, ...]) -> pa.Table:
    """Return the written table in the same types for all candidates: for comparison, not for measurement."""
    whole = pa.concat_tables([pq.read_table(path) for path in paths])
    names = [*(name for name in whole.column_names if not name.startswith("bedrock_")), *answers]
    kinds = {"bedrock_embedding": pa.list_(pa.float32())} | {name: pa.int64() for name in names if "tokens" in name}
    kinds |= PROPERTIES
    if absent := [name for name in names if name not in whole.column_names]:
        said = [_properties(text) for text in whole["bedrock_response"].to_pylist()]
        for name in absent:
            column = [properties.get(name.removeprefix("bedrock_")) for properties in said]
            whole = whole.append_column(name, pa.array(column, kinds[name]))
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in names])
    return whole.select(names).cast(schema).combine_chunks()


def _properties(text: str) -> dict[str, Any]:
    """Return the properties of an answer that was joined as a text."""
    from jsonschema import Draft202012Validator

    found: dict[str, Any] = json.loads(text[text.index("{") : text.rindex("}") + 1])
    return found if Draft202012Validator(SCHEMA).is_valid(found) else {}


def of(run_id: str, candidates: dict[str, Callable[[Workload, str], Written]]) -> dict[str, Any]:
    return {name: functools.partial(candidate, run_id=run_id) for name, candidate in candidates.items()}


TEXT = {"ours": ours, "json + pandas": json_pandas, "orjson": orjson_scatter, "duckdb": duckdb_text}
STRUCTURED = {"ours": ours, "jsonschema": jsonschema_in_python, "without schema": without_schema}
VECTORS = {"ours": ours, "orjson + numpy": orjson_numpy, "duckdb": duckdb_vectors}

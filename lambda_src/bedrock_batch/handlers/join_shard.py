"""Join shard: lay the answers of a shard's jobs beside its rows and write its part of the output table."""

import json
import logging
from collections.abc import Iterator
from typing import Any

from bedrock_batch import ids
from bedrock_batch.adapters import clients, parquet, sources
from bedrock_batch.adapters.s3 import S3, Object
from bedrock_batch.contracts import JobEnd, Joined, Run, Shard, Table
from bedrock_batch.join import Joiner, answer_column, output_schema
from bedrock_batch.parse import embedding_parser, text_parser, whole_lines

_LOG = logging.getLogger(__name__)
_LOG.setLevel(logging.INFO)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the shard's counts and the key of its part, as `contracts.Joined`.

    The event is a shard with `skipped_key` (or null) and `jobs`, a list of `contracts.JobEnd` in the order of
    their rounds; without jobs its rows are missing.
    """
    return join_shard(S3(clients.s3()), event).to_json()


def join_shard(s3: S3, event: dict[str, Any]) -> Joined:
    """Write the shard's part; the same raw outputs give the same bytes, so it may be done again at any time.

    Memory: the shard's answers (their UTF-8, or 4 bytes a dimension and row), some 100 bytes a row, one row
    group of output and a few blocks of 8 MB; the echoed input and the rest of the raw output pass by.

    Raises:
        InputChanged: a source object is no longer the planned one.
    """
    shard = Shard.from_json(event)
    run = Run.from_json(s3.get_json(shard.bucket, shard.run_key))
    jobs = [JobEnd.from_json(job) for job in event["jobs"]]
    joiner = Joiner(shard=shard.shard, rows=shard.rows, kind=run.kind, dimensions=run.dimensions)
    if event.get("skipped_key"):
        joiner.skip(s3.lines(shard.bucket, event["skipped_key"]))
    joiner.end(jobs)
    parse = text_parser(run.response) if run.dimensions is None else embedding_parser(run.response, run.dimensions)
    raw_bytes = 0
    for raw in _raw_outputs(s3, shard.bucket, jobs):
        raw_bytes += raw.size
        blocks = s3.stream(raw.bucket, raw.key, start=0, end=raw.size, etag=raw.etag)
        for block in whole_lines(blocks):
            joiner.add(parse(block))

    prefix = run.output["prefix"]
    table = sources.table_schema(Table.from_json(run.table))
    schema = output_schema(table, kind=run.kind, prefix=prefix, dimensions=run.dimensions)
    key = ids.output_key(run.run_id, shard.shard, parquet.SUFFIX)
    with s3.writer(shard.bucket, key) as out:
        rows = sources.read_shard(s3, run, shard)
        parquet.write(joiner.join(rows, schema), schema, out, unique=[answer_column(run.kind, prefix)])
    joined = joiner.joined(output_key=key, size=out.size)
    _LOG.info(
        json.dumps(
            {
                "message": "joined",
                "run_id": run.run_id,
                "jobs": [job.job_name for job in jobs],
                "raw_bytes": raw_bytes,
                "foreign_lines": joiner.foreign,
                "duplicate_lines": joiner.duplicates,
                "broken_lines": joiner.broken,
                **joined.to_json(),
            }
        )
    )
    return joined


def _raw_outputs(s3: S3, bucket: str, jobs: list[JobEnd]) -> Iterator[Object]:
    """Yield what Bedrock wrote, in a fixed order; a folder named by the job's id lies in between."""
    for job in jobs:
        for item in s3.list(bucket, job.raw_prefix):
            if item.key.endswith(".jsonl.out"):
                yield item

"""Gather leftovers: find the shards that no job's child has joined."""

from typing import Any

from bedrock_batch import ids, review
from bedrock_batch.adapters import clients
from bedrock_batch.adapters.results import read_results
from bedrock_batch.adapters.s3 import S3
from bedrock_batch.contracts import JobEnd, Prepared, Shard


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the run's state with `joins`, the number of lines in `joins_key`."""
    return gather_leftovers(S3(clients.s3()), event)


def gather_leftovers(s3: S3, state: dict[str, Any]) -> dict[str, Any]:
    """Write the joins that are still to do: shards without a job, and shards whose join failed."""
    bucket, run_id = state["bucket"], state["run_id"]
    ended = {result["shard"]: result for result in read_results(s3, state.get("ended"))}
    prepared = {
        shard.shard: shard for shard in map(Prepared.from_json, read_results(s3, state["prepared"]))
    }
    joins_key = ids.joins_key(run_id, 0)
    shards = (Shard.from_json(line) for line in s3.lines(bucket, state["plan_key"]))
    waiting = (
        join | {"jobs": [_job_end(run_id, ended[shard.shard])] if shard.shard in ended else []}
        for shard, join in review.joins(shards, prepared)
        if "joined" not in ended.get(shard.shard, {})
    )
    return state | {"joins": s3.put_lines(bucket, joins_key, waiting), "joins_key": joins_key}


def _job_end(run_id: str, result: dict[str, Any]) -> dict[str, Any]:
    job_name = result["job_name"]
    return JobEnd(
        job_name=job_name,
        status=result["status"],
        raw_prefix=ids.raw_prefix(run_id, job_name),
        message=result["message"],
    ).to_json()

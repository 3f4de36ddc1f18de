"""Review run: add the prepared shards up, refuse what must not be paid, write the list of jobs."""

from typing import Any

from bedrock_batch import ids, review
from bedrock_batch.adapters import clients
from bedrock_batch.adapters.results import read_results
from bedrock_batch.adapters.s3 import S3
from bedrock_batch.contracts import Run, Shard


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the run's state with the estimate, and with `jobs`, `jobs_key`, `max_concurrent_jobs`."""
    return review_run(S3(clients.s3()), event)


def review_run(s3: S3, state: dict[str, Any]) -> dict[str, Any]:
    """Review the run; on a dry run the estimate is all, and no list of jobs is written."""
    bucket = state["bucket"]
    run = Run.from_json(s3.get_json(bucket, state["run_key"]))
    prepared = review.prepared_shards(read_results(s3, state["prepared"]))
    estimate = review.estimate(run, prepared)
    review.check(run, estimate)
    reviewed = state | {"estimate": estimate.to_json(), "jobs": 0}
    if run.dry_run:
        return reviewed
    shards = (Shard.from_json(line) for line in s3.lines(bucket, state["plan_key"]))
    jobs_key = ids.jobs_key(run.run_id, 0)
    jobs = s3.put_lines(bucket, jobs_key, review.first_round(run, shards, prepared))
    return reviewed | {
        "jobs": jobs,
        "jobs_key": jobs_key,
        "max_concurrent_jobs": min(run.limits["max_concurrent_jobs"], run.quotas["concurrent_jobs"]),
    }

"""The report's figures of jobs and on-demand passes: `jobs`, `failed_jobs`, `rounds`, `on_demand`.

They come from the results of the Maps' children.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from bedrock_batch.contracts.results import ChunkAnswered, JobResult, Joined


def statuses(ended: Iterable[JobResult]) -> dict[str, int]:
    """Return the number of jobs by status."""
    return dict(sorted(Counter(result.status for result in ended).items()))


def statuses_by_model(ended: Collection[JobResult], models: Iterable[str]) -> dict[str, dict[str, int]]:
    """Return the number of jobs by status for each of several models. Each job has its `model_id`."""
    return {name: statuses(result for result in ended if result.model_id == name) for name in models}


def failed_jobs(
    ended: Iterable[JobResult], shards: Mapping[str, Collection[int]], joined: Mapping[int, Joined]
) -> list[dict[str, Any]]:
    """Return the jobs that did not complete, and the outcomes of their records. `shards` are the shards of each job."""
    return [
        {key: value for key in ("job_name", "model_id", "status", "message", "records") if (value := getattr(job, key))}
        | {"now": _now(job.records, [joined[shard] for shard in shards[job.job_name]])}
        for job in ended
        if job.status != "Completed"
    ]


def _now(records: int, shards: Collection[Joined]) -> str:
    """Return a sentence about the present outcomes of a job's records. Outcomes are known only for whole shards."""
    without = min(records, sum(one.outcomes.get("failed", 0) + one.outcomes.get("missing", 0) for one in shards))
    if not without:
        return f"all {records} records have an answer"
    return f"{'' if len(shards) == 1 else 'up to '}{without} of {records} records have no answer"


def round_counts(ended: Sequence[JobResult]) -> dict[str, Any]:
    """Return a round's jobs by status, and the number of their records."""
    return {"jobs": statuses(ended), "records": sum(result.records for result in ended)}


def pass_counts(answered: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return the counts of an on-demand pass. `lost_chunks` ended with an error, so their records are not counted."""
    done = [ChunkAnswered.from_json(result) for result in answered if "error" not in result]
    return {
        "records": sum(one.records for one in done),
        "failed": sum(one.failed for one in done),
        "lost_chunks": len(answered) - len(done),
    }

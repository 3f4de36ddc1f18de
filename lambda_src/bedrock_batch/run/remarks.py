"""What a report says beside its counts: warnings, what became of failed jobs, what Bedrock itself counted."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from bedrock_batch.contracts.lines import JobCounts, Joined
from bedrock_batch.contracts.run import Run
from bedrock_batch.run.report import Report

_LEAST_SHARE = 0.01
"""From this share on, cut and invalid answers are a warning; so is a difference in tokens."""


def of_answers(run: Run, counts: Report) -> Iterator[str]:
    """Yield a warning for each way in which answers are of less use than they might be."""
    cut, invalid = counts.outcomes["truncated"], counts.outcomes["invalid"]
    withheld = cut - counts.met_max_tokens
    limit = run.input.get("inference", {}).get("max_tokens")
    for count, what in (
        (counts.met_max_tokens, f"met max_tokens{f' ({limit})' if limit else ''}: raise it, or use retry"),
        (withheld, "were cut or withheld by the model: bedrock_stop_reason says why"),
        (invalid, "are not of output.schema: bedrock_error says why"),
    ):
        if count and count >= _LEAST_SHARE * counts.answered:
            what = what.replace("bedrock_", run.output["prefix"])
            yield f"{count} of {counts.answered} answers {what}"


def of_on_demand(estimate: Mapping[str, Any] | None, passes: Sequence[Mapping[str, int]]) -> Iterator[str]:
    """Yield a warning where more records were answered on demand than the estimate had."""
    foreseen = (estimate or {}).get("on_demand_records", 0)
    more = sum(pass_["records"] for pass_ in passes) - foreseen
    if more > 0:
        yield f"{more} more records were left over: answered on demand, about twice the batch price"


def failed_jobs(
    ended: Iterable[Mapping[str, Any]], shards: Mapping[str, Collection[int]], joined: Mapping[int, Joined]
) -> list[dict[str, Any]]:
    """Return the jobs that did not complete, and what became of their records; `shards` are those of each job."""
    return [
        {key: job[key] for key in ("job_name", "model_id", "status", "message", "records") if job.get(key)}
        | {"now": _now(job["records"], [joined[shard] for shard in shards.get(job["job_name"], ())])}
        for job in ended
        if job["status"] != "Completed"
    ]


def _now(records: int, shards: Collection[Joined]) -> str:
    """Say what became of a job's records. What became of a row is known by the shard alone."""
    without = min(records, sum(one.outcomes.get("failed", 0) + one.outcomes.get("missing", 0) for one in shards))
    if not without:
        return f"all {records} records have an answer"
    return f"{'' if len(shards) == 1 else 'up to '}{without} of {records} records have no answer"


def by_bedrock(joined: Iterable[Joined], manifests: Mapping[str, JobCounts]) -> dict[str, Any] | None:
    """Return what Bedrock's manifests count for the jobs of these shards, and where their output has other records.

    None where no job has a manifest.
    """
    came: dict[str, JobCounts] = {}
    for one in joined:
        for name, counts in one.came.items():
            came[name] = JobCounts.from_json(counts)
    compared = {name: (counts, came[name]) for name, counts in sorted(manifests.items()) if name in came}
    if not compared:
        return None
    sums = _sum(counted for counted, _ in compared.values())
    found = _sum(found for _, found in compared.values())
    differing = {
        name: {"counted": counted.records, "found": found.records}
        for name, (counted, found) in compared.items()
        if counted.records != found.records
    }
    return {"jobs": len(compared), **sums.to_json(), "found": found.to_json(), "differing_jobs": differing}


def of_manifests(counted: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield a warning for each difference between what Bedrock counted and what its output holds."""
    if counted is None:
        return
    differing = counted["differing_jobs"]
    if differing:
        name, first = next(iter(differing.items()))
        lost = sum(one["counted"] - one["found"] for one in differing.values() if one["counted"] > one["found"])
        paid = f": {lost} were paid and lost, and are asked and paid again while rounds are left" if lost else ""
        yield (
            f"Bedrock's manifests of {len(differing)} jobs count other records than their output has "
            f"(the first: {name}, counted {first['counted']}, found {first['found']}){paid}"
        )
    for kind in ("input_tokens", "output_tokens"):
        by_manifest, in_rows = counted[kind], counted["found"][kind]
        # Embeddings of some models name none; figures of records may differ a little.
        if in_rows and abs(by_manifest - in_rows) > _LEAST_SHARE * max(by_manifest, in_rows):
            yield f"Bedrock's manifests count {by_manifest} {kind}, the answers in its output have {in_rows}"


def _sum(counts: Iterable[JobCounts]) -> JobCounts:
    every = list(counts)
    return JobCounts(
        records=sum(one.records for one in every),
        input_tokens=sum(one.input_tokens for one in every),
        output_tokens=sum(one.output_tokens for one in every),
    )

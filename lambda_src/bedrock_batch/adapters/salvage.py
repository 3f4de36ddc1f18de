"""What a stopped run leaves behind, read from S3 alone: its state was lost with its execution."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from bedrock_batch import ids, report, rounds
from bedrock_batch.adapters import progress
from bedrock_batch.adapters.bedrock import job_statuses
from bedrock_batch.adapters.s3 import S3
from bedrock_batch.contracts import NOT_CREATED, Run


def gather(s3: S3, bedrock: Any, event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state that joins every shard of a stopped run; `next` is end where there is nothing to join.

    That is a run that made no job and answered nothing but its canary, and one that wrote its own report. Every
    shard is joined, as nobody knows which were. No leftovers are written: those of the run stay as it planned
    with them, for its redrive.

    That redrive may come at any moment. So parts and report are written over what is there now alone: what the run
    writes from here on knows more.
    """
    bucket, run_id = event["bucket"], event["run_id"]
    state = {key: event[key] for key in ("bucket", "run_id", "status", "salvage")}
    prefix = ids.run_prefix(run_id)
    state |= {"prefix": prefix, "run_key": ids.run_key(run_id)}
    # Before the jobs are looked at, so that whoever wrote a part by now knew no more of them.
    found = {item.key: item.etag for item in s3.list(bucket, f"{prefix}/")}
    keys = {key for key in found if key.count("/") == prefix.count("/") + 1}
    if ids.run_key(run_id) not in keys or _finished(s3, bucket, run_id, keys):
        return state | {"next": "end"}
    runs = progress.runs(s3, bucket, run_id)
    made = list(_count_up(keys, lambda number: ids.jobs_key(run_id, number)))
    answered = _count_up(keys, lambda number: ids.answers_key(run_id, number))
    passes = [progress.pass_ends(s3, bucket, run_id, number, ()) for number in answered]
    canaries = progress.canary_passes(runs, passes)
    if not made and len(passes) == canaries:
        return state | {"next": "end"}

    ended = _ended(s3, bedrock, runs[0], made)
    ends = progress.by_shard(
        [progress.round_ends(s3, bucket, run_id, number, ended) for number in made], passes, canaries=canaries
    )
    skipped = {item.key for item in s3.list(bucket, ids.skipped_prefix(run_id))}
    joins_key = f"{prefix}/joins-salvage.jsonl"
    rows = 0

    def lines(run: Run) -> Iterator[dict[str, Any]]:
        nonlocal rows
        for shard in progress.plan_of(s3, run):
            rows += shard.rows
            key = ids.skipped_key(run_id, run.rendered(shard.shard))
            jobs = [end.to_json() for end in ends.get(shard.shard, ())]
            event = rounds.join_event(shard, skipped_key=key if key in skipped else None, jobs=jobs, step=None)
            yield event | {"replaces": found.get(run.output_key(shard.shard), "")}

    shards = s3.put_lines(bucket, joins_key, chain.from_iterable(map(lines, runs)))
    by_model = report.statuses_by_model(ended.values(), runs[0].models)
    return state | {
        "next": "join",
        "joins_key": joins_key,
        "shards": shards,
        "rows": rows // len(runs),
        "estimate": None,
        "jobs": len(ended),
        "results": {"jobs": [], "answers": [], "joins": []},
        "job_statuses": report.statuses(ended.values()),
        "replaces": found.get(ids.report_key(run_id), ""),
        **({"model_job_statuses": by_model} if len(runs) > 1 else {}),
    }


def _finished(s3: S3, bucket: str, run_id: str, keys: set[str]) -> bool:
    """Tell whether the run itself wrote its report; one of an earlier salvage does not count."""
    key = ids.report_key(run_id)
    return key in keys and not s3.get_json(bucket, key).get("salvaged", False)


def _count_up(keys: set[str], key: Any) -> Iterator[int]:
    number = 0
    while key(number) in keys:
        yield number
        number += 1


def _ended(s3: S3, bedrock: Any, run: Run, made: list[int]) -> dict[str, dict[str, str]]:
    """Return how each job of the rounds ended, by name."""
    known = job_statuses(bedrock, ids.run_digest(run.execution_arn))
    return {
        name: {"status": known.get(name, NOT_CREATED), "message": "the run was stopped", "model_id": model_id}
        for name, model_id in progress.models_of_jobs(s3, run.bucket, run.run_id, made).items()
    }

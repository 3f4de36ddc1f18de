"""What a stopped run leaves behind, read from S3 alone: its state was lost with its execution."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from bedrock_batch import ids, rounds
from bedrock_batch.adapters import progress
from bedrock_batch.adapters.bedrock import job_statuses
from bedrock_batch.adapters.s3 import S3
from bedrock_batch.contracts import NOT_CREATED, Run, Shard


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
    run = Run.from_json(s3.get_json(bucket, ids.run_key(run_id)))
    made = list(_count_up(keys, lambda number: ids.jobs_key(run_id, number)))
    passes = list(_count_up(keys, lambda number: ids.answers_key(run_id, number)))
    if not made and len(passes) <= (1 if run.canary else 0):
        return state | {"next": "end"}

    ended, statuses = _ended(s3, bedrock, run, made)
    ends = progress.by_shard(
        [progress.round_ends(s3, bucket, run_id, number, ended) for number in made],
        [progress.pass_ends(s3, bucket, run_id, number, ()) for number in passes],
        canary=run.canary,
    )
    skipped = {item.key for item in s3.list(bucket, ids.skipped_prefix(run_id))}
    joins_key = f"{prefix}/joins-salvage.jsonl"
    rows = 0

    def lines() -> Iterator[dict[str, Any]]:
        nonlocal rows
        for shard in map(Shard.from_json, s3.lines(bucket, ids.plan_key(run_id))):
            rows += shard.rows
            key = ids.skipped_key(run_id, shard.shard)
            jobs = [end.to_json() for end in ends.get(shard.shard, ())]
            event = rounds.join_event(shard, skipped_key=key if key in skipped else None, jobs=jobs, step=None)
            part = ids.output_key(run_id, shard.shard, run.output["format"])
            yield event | {"replaces": found.get(part, "")}

    shards = s3.put_lines(bucket, joins_key, lines())
    return state | {
        "next": "join",
        "joins_key": joins_key,
        "shards": shards,
        "rows": rows,
        "estimate": None,
        "jobs": len(ended),
        "results": {"jobs": [], "answers": [], "joins": []},
        "job_statuses": statuses,
        "replaces": found.get(ids.report_key(run_id), ""),
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


def _ended(s3: S3, bedrock: Any, run: Run, made: list[int]) -> tuple[dict[str, dict[str, str]], dict[str, int]]:
    """Return how each job of the rounds ended, by name, and the number of jobs by status."""
    known = job_statuses(bedrock, ids.run_digest(run.execution_arn))
    ended = {}
    for round_ in made:
        for line in s3.lines(run.bucket, ids.jobs_key(run.run_id, round_)):
            name = line["job_name"]
            ended[name] = {"status": known.get(name, NOT_CREATED), "message": "the run was stopped"}
    return ended, dict(sorted(Counter(end["status"] for end in ended.values()).items()))

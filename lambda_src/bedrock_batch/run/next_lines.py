"""Make the lines of what a run does next: `jobs-*.jsonl`, `answers-*.jsonl` and `joins-*.jsonl`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, zip_longest
from typing import Any

from bedrock_batch import keys
from bedrock_batch.contracts.lines import Chunk, JobEnd, JobLine, LeftoverLines, Pool, Shard, ShardJoin
from bedrock_batch.contracts.run import Run
from bedrock_batch.run.create_job import create_job
from bedrock_batch.run.decide import Standing, chunks, pool, whole_shards

CHUNK_RECORDS = 10
"""Most records that one call of the function answers on demand, one after the other."""


def join_event(shard: Shard, *, skipped_key: str | None, jobs: Iterable[JobEnd], step: int | None) -> ShardJoin:
    """Return the event that joins a shard. With a `step`, the join writes leftovers too."""
    return ShardJoin(
        shard.bucket,
        shard.run_key,
        shard.shard,
        shard.first_row,
        shard.rows,
        jobs=list(jobs),
        skipped_key=skipped_key,
        step=step,
    )


def job_lines(
    run: Run,
    shards: Iterable[Shard],
    standings: Sequence[Standing],
    skipped_keys: Mapping[int, str | None],
    *,
    round_: int,
) -> Iterator[dict[str, Any]]:
    """Yield the lines of a model's round: a job for each large shard that had none yet, then the pooled jobs.

    The child of a shard's own job also joins the shard (`join`). The shards of pooled jobs (`pool`) are joined later.
    """
    whole = set(whole_shards(standings, min_records=run.quotas["min_records"]))
    by_shard = {standing.shard: standing for standing in standings}
    for shard in shards:
        if shard.shard not in whole:
            continue
        event = join_event(shard, skipped_key=skipped_keys[shard.shard], jobs=(), step=0)
        input_key = run.input_key(shard.shard)
        records = by_shard[shard.shard].records
        yield _job(run, round_, shard.shard, records, input_key, join=event)
    rest = [standing for standing in standings if standing.shard not in whole]
    # The numbers of pooled jobs follow the numbers of shards and differ between models, so no name is used twice.
    several = len(run.models)
    numbers = count(several * run.shards + run.number, several) if several else count(run.shards if whole else 0)
    for number, sent in zip(numbers, pooled(run, rest), strict=False):
        records = sum(one.records for one in sent)
        input_key = run.keys.pooled(round_, number, own_folder=run.own_folders)
        pool_ = Pool(run.bucket, run.keys.run(run.number), input_key, sent)
        yield _job(run, round_, number, records, input_key, pool_=pool_)


def in_turn(lines: Iterable[Iterator[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Yield one line of each model in turn. Jobs start in this order, so no model waits for all jobs of another."""
    for turn in zip_longest(*lines):
        yield from (line for line in turn if line is not None)


def pooled(run: Run, standings: Sequence[Standing]) -> list[list[LeftoverLines]]:
    """Return the records of each pooled job for these shards' leftovers; none if they are too few for a job."""
    asked = run.input.get("max_records_per_job") or run.quotas["max_records"]
    return pool(
        standings,
        min_records=run.quotas["min_records"],
        max_records=min(asked, run.quotas["max_records"]),
        max_bytes=run.quotas["max_file_bytes"],
    )


def _job(
    run: Run,
    round_: int,
    number: int,
    records: int,
    input_key: str,
    *,
    join: ShardJoin | None = None,
    pool_: Pool | None = None,
) -> dict[str, Any]:
    job_name = keys.job_name(run.job_names, round_, number)
    line = JobLine(
        run_id=run.run_id,
        job_name=job_name,
        round=round_,
        number=number,
        records=records,
        check_seconds=run.limits["check_seconds"],
        expires_at=run.last_job_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        raw_prefix=run.keys.raw(job_name),
        request=create_job(run, job_name=job_name, input_key=input_key),
        join=join,
        pool=pool_,
    )
    return line.to_json()


def answer_lines(
    run: Run, standings: Sequence[Standing], *, pass_: int, numbers: Iterator[int] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the lines of a model's on-demand pass: chunks of records, each with the key of its answers.

    The chunks of all models of a pass share their numbers, which come from `numbers`.
    """
    run_key = run.keys.run(run.number)
    for sent, number in zip(chunks(standings, records=CHUNK_RECORDS), numbers or count(), strict=False):
        raw_key = run.keys.on_demand(pass_, number, run.number)
        yield Chunk(run.bucket, run_key, number, sent, raw_key).to_json()


def join_lines(
    shards: Iterable[Shard],
    standings: Sequence[Standing],
    skipped_keys: Mapping[int, str | None],
    *,
    step: int | None,
) -> Iterator[dict[str, Any]]:
    """Yield the shards to join: the stale ones, or if there are none, those that were never joined."""
    by_shard = {standing.shard: standing for standing in standings}
    some_stale = any(standing.stale for standing in standings)
    for shard in shards:
        standing = by_shard[shard.shard]
        if standing.stale if some_stale else standing.joined is None:
            event = join_event(shard, skipped_key=skipped_keys[shard.shard], jobs=standing.ends, step=step)
            yield event.to_json()

"""Read the progress of a run from the results of its Maps on S3."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from bedrock_batch.answers.refused_jobs import lacks_permission
from bedrock_batch.aws.map_results import read_results
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import Chunk, JobEnd, JobLine, Shard
from bedrock_batch.contracts.results import Failure, JobResult, Joined, ShardJoined
from bedrock_batch.contracts.run import Run
from bedrock_batch.contracts.state import MapResult, MapResults, RunState
from bedrock_batch.run import estimate
from bedrock_batch.run.decide import Standing

_MAPS = {"run_jobs": "jobs", "answer": "answers", "join": "joins"}
"""The field of `state.results` for the results of the Map that `state.next` led to."""

Ends = Sequence[tuple[int, JobEnd]]
"""Shards, each with the end of a job that had some of its records."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Every shard's standing in order, the key of its skipped rows, and how the jobs of each round ended."""

    standings: list[Standing]
    skipped_keys: dict[int, str | None]
    rounds: list[Ends]

    def of(self, run: Run) -> list[Standing]:
        """Return the standings of a model's shards."""
        return self.standings[run.numbers.start : run.numbers.stop]

    def without_permission(self, run: Run) -> list[dict[int, str]]:
        """Return for each round the model's shards whose job lacked a permission, with Bedrock's messages."""
        return [
            {shard: end.message for shard, end in ends if shard in run.numbers and lacks_permission(end)}
            for ends in self.rounds
        ]


def plan_of(s3: S3, run: Run) -> Iterator[Shard]:
    """Yield a model's shards."""
    for line in s3.lines(run.bucket, run.keys.plan):
        shard = Shard.from_json(line)
        number = shard.shard + run.numbers.start
        yield replace(shard, shard=number, run_key=run.keys.run(run.number))


def collect(state: RunState) -> RunState:
    """Return the state in which the `result` of the Map that has just run is moved to `results`."""
    if state.result is None:
        return state
    kind = _MAPS[state.next]
    results = replace(state.results, **{kind: [*getattr(state.results, kind), state.result]})
    return replace(state, result=None, results=results)


def load(s3: S3, state: RunState, runs: Sequence[Run]) -> Progress:
    """Return the progress of the run of a collected state. `runs` are the run documents of its models."""
    run, results = runs[0], state.results
    rendered = estimate.prepared_shards(read_results(s3, state.prepared))
    prepared = [one for run in runs for one in estimate.of_model(run, rendered)]
    ended = {result.job_name: result for map_ in results.jobs for result in job_results(s3, map_)}
    joined = latest_joins(s3, results)
    passes = [pass_ends(s3, run, number, read_results(s3, map_)) for number, map_ in enumerate(results.answers)]
    rounds = [round_ends(s3, run, round_, ended) for round_ in range(len(results.jobs))]
    ends = by_shard(rounds, passes, canaries=canary_passes(runs, passes))
    standings = [
        Standing(
            shard=shard.shard,
            records=shard.records,
            bytes=shard.bytes,
            ends=tuple(ends.get(shard.shard, ())),
            joined=joined.get(shard.shard),
            input_tokens=shard.input_tokens_estimate,
        )
        for shard in prepared
    ]
    return Progress(standings, {shard.shard: shard.skipped_key for shard in prepared}, rounds)


def job_results(s3: S3, map_: MapResult) -> list[JobResult]:
    """Return how the jobs of a round ended."""
    return [JobResult.from_json(result) for result in read_results(s3, map_)]


def job_lines(s3: S3, run: Run, round_: int) -> Iterator[JobLine]:
    """Yield the jobs of a round."""
    return map(JobLine.from_json, s3.lines(run.bucket, run.keys.jobs(round_)))


def canary_passes(runs: Sequence[Run], passes: Sequence[Ends]) -> int:
    """Return how many of the passes answered canaries: at most one, and none if all rows of canaries were skipped."""
    canaries = {run.numbers.start for run in runs if run.canary}
    return int(any(shard in canaries for first in passes[:1] for shard, _ in first))


def by_shard(rounds: Sequence[Ends], passes: Sequence[Ends], *, canaries: int) -> dict[int, list[JobEnd]]:
    """Return the ends of each shard's jobs in the order of time. The last one explains rows without an answer.

    The first `canaries` passes were before the rounds.
    """
    ends: dict[int, list[JobEnd]] = {}
    for shard, end in chain(*passes[:canaries], *rounds, *passes[canaries:]):
        ends.setdefault(shard, []).append(end)
    return ends


def latest_joins(s3: S3, results: MapResults) -> dict[int, Joined]:
    """Return each shard's latest join, which is the one with the most jobs."""
    latest: dict[int, Joined] = {}
    for map_ in (*results.jobs, *results.joins):
        for result in read_results(s3, map_):
            if "joined" in result:
                joined = ShardJoined.from_json(result).joined
                if joined.shard not in latest or joined.jobs >= latest[joined.shard].jobs:
                    latest[joined.shard] = joined
    return latest


def round_ends(s3: S3, run: Run, round_: int, ended: Mapping[str, JobResult]) -> Ends:
    """Return each shard with records in a job of the round, with the job's end."""
    ends = []
    for line in job_lines(s3, run, round_):
        result = ended[line.job_name]  # Every job has a result: the Map fails with the first child that fails.
        end = JobEnd(line.job_name, result.status, line.raw_prefix, result.message, processed=result.processed)
        if line.pool is None:
            ends += [(shard, end) for shard in line.shards]
        else:
            for sent in line.pool.leftover_lines:
                own = replace(end, leftovers_step=sent.step, start=sent.start, stop=sent.stop)
                ends.append((sent.shard, own))
    return ends


def pass_ends(s3: S3, run: Run, number: int, results: Iterable[Mapping[str, Any]]) -> Ends:
    """Return each shard with records in an on-demand pass. If a chunk failed, its model's pass is a failed job."""
    failures = [Failure.from_json(result) for result in results if "error" in result]
    errors = {one.chunk: f"{one.error}: {one.cause}" for one in failures}
    steps: dict[str, dict[int, int | None]] = {}
    failed: dict[str, list[str]] = {}
    for chunk in map(Chunk.from_json, s3.lines(run.bucket, run.keys.answers(number))):
        folder = chunk.raw_key.rpartition("/")[0]
        steps.setdefault(folder, {}).update((sent.shard, sent.step) for sent in chunk.leftover_lines)
        if chunk.chunk in errors:
            failed.setdefault(folder, []).append(errors[chunk.chunk])
    ends = []
    for folder, of_shards in steps.items():
        messages = sorted(failed.get(folder, ()))
        status = "Failed" if messages else "Completed"
        end = JobEnd(folder.rpartition("/")[2], status, f"{folder}/", messages[0] if messages else "")
        ends += [(shard, replace(end, leftovers_step=step)) for shard, step in sorted(of_shards.items())]
    return ends


def shards_of_jobs(s3: S3, run: Run, rounds: Iterable[int]) -> dict[str, list[int]]:
    """Return the shards with records in each job of these rounds, by the job's name."""
    return {line.job_name: line.shards for round_ in rounds for line in job_lines(s3, run, round_)}


def models_of_jobs(s3: S3, run: Run, rounds: Iterable[int]) -> dict[str, str]:
    """Return the model of each job of these rounds, by the job's name."""
    return {line.job_name: line.model_id for round_ in rounds for line in job_lines(s3, run, round_)}

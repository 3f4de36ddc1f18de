"""Where a run stands, read from what its Maps left in S3."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from bedrock_batch import ids
from bedrock_batch.adapters.results import read_results
from bedrock_batch.adapters.s3 import S3
from bedrock_batch.contracts import UNKNOWN, JobEnd, Joined, Prepared
from bedrock_batch.leftovers import Standing

_MAPS = {"run_jobs": "jobs", "answer": "answers", "join": "joins"}
"""Where `state["results"]` keeps the results of the Map that `state["next"]` led to."""

Ends = Iterable[tuple[int, JobEnd]]
"""Shards, each with the end of a job that had records of it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Every shard's standing, in order, and where its skipped rows are listed."""

    standings: Sequence[Standing]
    skipped_keys: dict[int, str | None]


def collect(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state with the `result` of the Map that has just run filed under `results`."""
    if "result" not in state:
        return dict(state)
    kind = _MAPS[state["next"]]
    results = state["results"] | {kind: [*state["results"][kind], state["result"]]}
    return {key: value for key, value in state.items() if key != "result"} | {"results": results}


def load(s3: S3, state: Mapping[str, Any], *, canary: bool) -> Progress:
    """Return where the run of a collected state stands."""
    bucket, run_id, results = state["bucket"], state["run_id"], state["results"]
    prepared = sorted(map(Prepared.from_json, read_results(s3, state["prepared"])), key=lambda one: one.shard)
    ended = {result["job_name"]: result for map_ in results["jobs"] for result in read_results(s3, map_)}
    joined = latest_joins(s3, results)
    passes = [
        pass_ends(s3, bucket, run_id, number, read_results(s3, map_)) for number, map_ in enumerate(results["answers"])
    ]
    rounds = [round_ends(s3, bucket, run_id, round_, ended) for round_ in range(len(results["jobs"]))]
    ends = by_shard(rounds, passes, canary=canary)
    standings = [
        Standing(
            shard=shard.shard,
            records=shard.records,
            bytes=shard.bytes,
            ends=tuple(ends.get(shard.shard, ())),
            joined=joined.get(shard.shard),
        )
        for shard in prepared
    ]
    return Progress(standings, {shard.shard: shard.skipped_key for shard in prepared})


def by_shard(rounds: Sequence[Ends], passes: Sequence[Ends], *, canary: bool) -> dict[int, list[JobEnd]]:
    """Return the ends of each shard's jobs in the order of time: rows without an answer blame the last."""
    ends: dict[int, list[JobEnd]] = {}
    first = 1 if canary else 0
    for shard, end in chain(*passes[:first], *rounds, *passes[first:]):
        ends.setdefault(shard, []).append(end)
    return ends


def latest_joins(s3: S3, results: Mapping[str, Any]) -> dict[int, Joined]:
    """Return each shard's latest join, the one that took the most jobs into account."""
    latest: dict[int, Joined] = {}
    for map_ in (*results["jobs"], *results["joins"]):
        for result in read_results(s3, map_):
            if "joined" in result:
                joined = Joined.from_json(result["joined"])
                if joined.shard not in latest or joined.jobs >= latest[joined.shard].jobs:
                    latest[joined.shard] = joined
    return latest


def round_ends(s3: S3, bucket: str, run_id: str, round_: int, ended: Mapping[str, Mapping[str, Any]]) -> Ends:
    """Yield each shard that a job of the round had records of, with how the job ended."""
    for line in s3.lines(bucket, ids.jobs_key(run_id, round_)):
        # A child without a result would be a fault of the Map; its job must not be taken for ended.
        result = ended.get(line["job_name"], {"status": UNKNOWN, "message": "its child returned nothing"})
        end = JobEnd(line["job_name"], result["status"], line["raw_prefix"], result["message"])
        if "pool" in line:
            for part in line["pool"]["parts"]:
                yield part["shard"], replace(end, leftovers_step=part["step"])
        else:
            yield line["join"]["shard"], end


def pass_ends(s3: S3, bucket: str, run_id: str, number: int, results: Iterable[Mapping[str, Any]]) -> Ends:
    """Yield each shard that an on-demand pass had records of; chunks that failed make the pass a failed job."""
    errors = sorted(f"{result['error']}: {result['cause']}" for result in results if "error" in result)
    name = ids.on_demand_name(number)
    status = "Failed" if errors else "Completed"
    end = JobEnd(name, status, ids.raw_prefix(run_id, name), errors[0] if errors else "")
    lines = s3.lines(bucket, ids.answers_key(run_id, number))
    steps = {part["shard"]: part["step"] for line in lines for part in line["parts"]}
    for shard, step in sorted(steps.items()):
        yield shard, replace(end, leftovers_step=step)

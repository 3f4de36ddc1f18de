"""Read the results of a run from S3, and add them up for its report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bedrock_batch.aws.map_results import read_results
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.results import JobCounts, JobResult, Joined
from bedrock_batch.contracts.run import Run
from bedrock_batch.contracts.state import RunState
from bedrock_batch.run import by_bedrock, progress, report_jobs, usage
from bedrock_batch.run.reconcile import Totals, reconcile
from bedrock_batch.run.usage import Usage


@dataclass(frozen=True, slots=True)
class ModelFindings:
    """The results of one model: the run document, the counts, the counts of Bedrock's manifests, and the usage."""

    run: Run
    totals: Totals
    by_bedrock: Mapping[str, Any] | None
    usage: Usage


@dataclass(frozen=True, slots=True)
class Findings:
    """The results of a run: its state, the counts of all models and of each, and how its jobs ended."""

    state: RunState
    joined: Mapping[int, Joined]
    totals: Totals
    models: Sequence[ModelFindings]
    rounds: Sequence[Sequence[JobResult]]
    passes: Sequence[Mapping[str, int]]
    failed_jobs: Sequence[Mapping[str, Any]]

    @property
    def run(self) -> Run:
        """The run document of the first model. What is the same for all models can be read from it."""
        return self.models[0].run

    @property
    def ended(self) -> list[JobResult]:
        return [result for round_ in self.rounds for result in round_]

    @property
    def several(self) -> bool:
        return len(self.models) > 1


def read(s3: S3, runs: Sequence[Run], state: RunState) -> Findings:
    """Return the results of the run, with their counts.

    Raises:
        JoinIncomplete: a shard has no output part, or rows do not add up.
    """
    run, results = runs[0], progress.collect(state).results
    joined = progress.latest_joins(s3, results)
    totals = reconcile(joined.values(), shards=state.shards, rows=state.rows * len(runs))
    rounds = [progress.job_results(s3, map_) for map_ in results.jobs]
    if len(runs) > 1:
        models = progress.models_of_jobs(s3, run, range(len(rounds)))
        rounds = [[replace(one, model_id=models[one.job_name]) for one in round_] for round_ in rounds]
    ended = [one for round_ in rounds for one in round_]
    all_good = all(one.status == "Completed" for one in ended)
    shards = {} if all_good else progress.shards_of_jobs(s3, run, range(len(rounds)))
    manifests = by_bedrock.read_manifests(s3, run)
    return Findings(
        state=state,
        joined=joined,
        totals=totals,
        models=[_of_model(one, joined, manifests, rows=state.rows) for one in runs],
        rounds=rounds,
        passes=[report_jobs.pass_counts(read_results(s3, map_)) for map_ in results.answers],
        failed_jobs=report_jobs.failed_jobs(ended, shards, joined),
    )


def _of_model(
    run: Run, joined: Mapping[int, Joined], manifests: Mapping[str, JobCounts], *, rows: int
) -> ModelFindings:
    own = [joined[shard] for shard in run.numbers if shard in joined]
    totals = reconcile(own, shards=run.shards, rows=rows, first=run.numbers.start)
    counted = by_bedrock.compare(own, manifests)
    return ModelFindings(run, totals, counted, usage.of_model(run, own, counted, manifests))

"""Review run: add the prepared shards up, refuse what must not be paid, decide what is done first."""

from collections.abc import Sequence
from typing import Any

from bedrock_batch.aws import clients
from bedrock_batch.aws.map_results import read_results
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import Prepared
from bedrock_batch.contracts.run import Run
from bedrock_batch.errors import NoValidRows, naming
from bedrock_batch.handlers.edge import at_edge
from bedrock_batch.handlers.gather_leftovers import next_step
from bedrock_batch.run import estimate, progress

NOTHING_YET = {"step": 0, "rounds": 0, "passes": 0, "jobs": 0, "results": {"jobs": [], "answers": [], "joins": []}}


@at_edge
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the run's state with the estimate and with `next`, what to do first."""
    return review_run(S3(clients.s3()), clients.client("bedrock"), event)


def review_run(s3: S3, bedrock: Any, state: dict[str, Any]) -> dict[str, Any]:
    """Review the run; a dry run finishes with its estimate, and no list of jobs is written."""
    runs = progress.runs(s3, state["bucket"], state["run_id"])
    prepared = estimate.prepared_shards(read_results(s3, state["prepared"]))
    try:
        expected = _estimate(runs, prepared)
    except NoValidRows as err:
        raise NoValidRows(f"{err} The first: {_first_reason(s3, state['bucket'], prepared)}") from err
    if runs[0].dry_run:
        return state | NOTHING_YET | {"estimate": expected, "next": "finish"}
    return next_step(s3, bedrock, runs, state | NOTHING_YET | {"estimate": expected})


def _first_reason(s3: S3, bucket: str, prepared: Sequence[Prepared]) -> str:
    """Return why the first row was skipped, when all were."""
    key = next(shard.skipped_key for shard in prepared if shard.skipped_key)
    return str(next(s3.lines(bucket, key))["reason"])


def _estimate(runs: Sequence[Run], prepared: Sequence[Prepared]) -> dict[str, Any]:
    """Return the checked estimate; of several models each one's, and the sums, which the budget is for."""
    estimates = [estimate.estimate(run, estimate.of_model(run, prepared)) for run in runs]
    if len(runs) == 1:
        estimate.check(runs[0], estimates[0])
        return estimates[0].to_json()
    for run, one in zip(runs, estimates, strict=True):
        with naming(run.label):
            estimate.check_rows(run, one)
    total = estimate.total({run.label: one for run, one in zip(runs, estimates, strict=True)})
    estimate.check(runs[0], total)
    models = [{"model_id": run.model_id, **one.to_json()} for run, one in zip(runs, estimates, strict=True)]
    return total.to_json() | {"models": models}

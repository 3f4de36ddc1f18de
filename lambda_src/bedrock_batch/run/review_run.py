"""Review a planned run before any money is spent, and decide what is done first."""

from collections.abc import Sequence
from typing import Any

from bedrock_batch.aws.map_results import read_results
from bedrock_batch.aws.run_documents import read_runs
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import Prepared
from bedrock_batch.contracts.run import Run
from bedrock_batch.errors import NoValidRows, naming
from bedrock_batch.run import estimate
from bedrock_batch.run.next_step import next_step

_NOTHING_YET = {"step": 0, "rounds": 0, "passes": 0, "jobs": 0, "results": {"jobs": [], "answers": [], "joins": []}}


def review_run(s3: S3, bedrock: Any, state: dict[str, Any]) -> dict[str, Any]:
    """Return the run's state with its estimate and `next`; a dry run finishes, and no list of jobs is written.

    Raises:
        InputError, PrepareFailed: a shard could not be prepared.
        NoValidRows, InvalidRunInput, BudgetExceeded: nothing would be sent, or it would cost too much.
    """
    runs = read_runs(s3, state["bucket"], state["run_key"])
    prepared = estimate.prepared_shards(read_results(s3, state["prepared"]))
    try:
        expected = _checked_estimate(runs, prepared)
    except NoValidRows as err:
        raise NoValidRows(f"{err} The first: {_first_reason(s3, state['bucket'], prepared)}") from err
    reviewed = state | _NOTHING_YET | {"estimate": expected}
    if runs[0].dry_run:
        return reviewed | {"next": "finish"}
    return next_step(s3, bedrock, runs, reviewed)


def _first_reason(s3: S3, bucket: str, prepared: Sequence[Prepared]) -> str:
    """Return why the first row was skipped, when all were."""
    key = next(shard.skipped_key for shard in prepared if shard.skipped_key)
    return str(next(s3.lines(bucket, key))["reason"])


def _checked_estimate(runs: Sequence[Run], prepared: Sequence[Prepared]) -> dict[str, Any]:
    """Return the estimate; of several models the sums, which the budget limits, and each model's own."""
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

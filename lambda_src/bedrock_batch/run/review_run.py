"""Review a planned run before any spend, and decide what to do first."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bedrock_batch.aws.map_results import read_results
from bedrock_batch.aws.run_documents import read_runs
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.estimate import Estimate
from bedrock_batch.contracts.results import Prepared
from bedrock_batch.contracts.run import Run
from bedrock_batch.contracts.state import RunState
from bedrock_batch.contracts.version import CONTRACT
from bedrock_batch.errors import NoValidRows, naming
from bedrock_batch.run import estimate
from bedrock_batch.run.next_step import next_step


def review_run(s3: S3, bedrock: Any, state: RunState) -> RunState:
    """Return the run's state with its estimate and `next`. A dry run finishes; it has no list of jobs.

    The estimate is a file too, `estimate.json`: also of a run that is refused for it.

    Raises:
        InputError, PrepareFailed: a shard could not be prepared.
        NoValidRows, InvalidRunInput, BudgetExceeded: nothing would be sent, or it would cost too much.
    """
    runs = read_runs(s3, state.bucket, state.keys.run())
    prepared = estimate.prepared_shards(read_results(s3, state.prepared))
    estimates = [estimate.estimate(run, estimate.of_model(run, prepared)) for run in runs]
    expected = estimates[0]
    if len(runs) > 1:
        expected = estimate.total({run.label: one for run, one in zip(runs, estimates, strict=True)})
    s3.put_json(state.bucket, state.keys.estimate, _document(runs, expected), indent=2)
    try:
        _check(runs, estimates, expected)
    except NoValidRows as err:
        raise NoValidRows(f"{err} The first reason: {_first_reason(s3, state.bucket, prepared)}") from err
    reviewed = replace(state, estimate=expected)
    if runs[0].dry_run:
        return replace(reviewed, next="finish")
    return next_step(s3, bedrock, runs, reviewed)


def _first_reason(s3: S3, bucket: str, prepared: Sequence[Prepared]) -> str:
    """Return why the first row was skipped, in a run whose rows were all skipped."""
    key = next(shard.skipped_key for shard in prepared if shard.skipped_key)
    return str(next(s3.lines(bucket, key))["reason"])


def _document(runs: Sequence[Run], expected: Estimate) -> dict[str, Any]:
    """Return `estimate.json`: the estimate as the report will have it, and the prices that it was made with."""
    run = runs[0]
    prices = {one.model_id: one.input["price"] for one in runs if one.input.get("price")}
    return {
        "contract": CONTRACT,
        "run_id": run.run_id,
        "model_id": run.models or run.model_id,
        **expected.to_json(),
        **({"price": prices if run.models else prices[run.model_id]} if prices else {}),
    }


def _check(runs: Sequence[Run], estimates: Sequence[Estimate], expected: Estimate) -> None:
    """Refuse what must not be sent. The budget is for all models together."""
    if len(runs) > 1:
        for run, one in zip(runs, estimates, strict=True):
            with naming(run.label):
                estimate.check_rows(run, one)
    estimate.check(runs[0], expected)

"""Finish a run: check that all rows are in the output, decide whether too many failed, write the report."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bedrock_batch.aws import causes
from bedrock_batch.aws.batch_jobs import job_times
from bedrock_batch.aws.inventory import Inventory
from bedrock_batch.aws.map_results import read_results
from bedrock_batch.aws.run_documents import read_runs
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.run import Run
from bedrock_batch.contracts.state import End, RunState
from bedrock_batch.errors import TooManyFailures
from bedrock_batch.run import budget, examples, findings, first_record, gate, metrics, report, report_warnings, timeline
from bedrock_batch.run.findings import Findings
from bedrock_batch.run.optional import made_or_warned
from bedrock_batch.run.publish import publish, report_so_far

_LOG = logging.getLogger(__name__)

_MOST_WARNINGS = 20
"""Most warnings in the run's result, which a state machine carries. The report has all."""

_MOST_MESSAGE = 500

_NO_TIMES = "the report has no times of jobs, because they could not be counted ({})"
_NO_EXAMPLES = "the report has no examples, because they could not be read ({}); the table has all rows"
_NO_METRICS = "the run adds nothing to the metrics, because its numbers could not be counted ({})"


def finish_run(s3: S3, bedrock: Any, inventory: Inventory, state: RunState) -> dict[str, Any]:
    """Write the report of a run and return the run's result. The report of a dry run has its estimate.

    Raises:
        JoinIncomplete: a shard has no output part, or rows do not add up.
        TooManyFailures: after everything is written.
    """
    runs = read_runs(s3, state.bucket, state.keys.run())
    if runs[0].dry_run:
        return _finish_dry_run(s3, runs, state)
    found = findings.read(s3, runs, state)
    warnings = report_warnings.of_run(found)
    ended, failure = state.ended, None
    if ended is None:
        try:
            warnings += _judge(found)
            ended = End("SUCCEEDED")
        except TooManyFailures as err:
            ended, failure = End("FAILED", error="TooManyFailures", message=str(err)), err
    document = report.document(found, ended=ended, warnings=warnings)
    if found.ended:
        document |= made_or_warned(lambda: _times(bedrock, inventory, found), dict, document, _NO_TIMES)
    if runs[0].examples:
        document |= made_or_warned(lambda: {"examples": examples.of_run(s3, runs)}, dict, document, _NO_EXAMPLES)
    earlier = report_so_far(s3, state.bucket, state.keys)
    added: dict[str, Any] = made_or_warned(lambda: metrics.of_report(document, earlier), dict, document, _NO_METRICS)
    document, overtaken = publish(s3, state.bucket, state.keys, document, runs, replaces=state.replaces)
    if not overtaken:
        _LOG.info(
            "metrics",
            extra={"run_id": state.run_id, "status": ended.status, "Installation": runs[0].name, **added},
        )
    if failure is not None:
        raise failure
    return _result(found, document)


def _times(bedrock: Any, inventory: Inventory, found: Findings) -> dict[str, Any]:
    """Return the report's times of jobs."""
    run = found.run
    times = job_times(bedrock, run.digest, run_id=run.run_id)
    return timeline.of_jobs(found.rounds, times, inventory.running_since(run.run_id)) if times else {}


def _judge(found: Findings) -> list[str]:
    """Return a warning for each model that failed, if others did not. Raises TooManyFailures."""
    try:
        return gate.gate_each(
            {one.run.label: one.totals for one in found.models},
            tolerated_failure_percentage=found.run.limits["tolerated_failure_percentage"],
        )
    except TooManyFailures as err:
        over = "".join(f" {warning}." for warning in budget.warnings(found.state))
        raise TooManyFailures(f"{err}{_first_message(found.failed_jobs)}{over} {_what_now(found.run)}") from None


def _first_message(failed_jobs: Iterable[Mapping[str, Any]]) -> str:
    """Return the first message that Bedrock gave for a failed job."""
    message = next((job["message"] for job in failed_jobs if job.get("message")), "")
    return (
        f" The message of the first failed job: {causes.cut(message, _MOST_MESSAGE).removesuffix('.')}."
        if message
        else ""
    )


def _what_now(run: Run) -> str:
    """Return sentences about what a run that failed at its end has written, and what the user can do."""
    prefix = run.output["prefix"]
    output = f"s3://{run.bucket}/{run.keys.output_folder()}"
    return (
        f"The table in {output} and the report are complete: {prefix}error_code and {prefix}error have the reason for "
        "each row. Use them, or start a new run over the failed rows. A redrive sends nothing again."
    )


def _result(found: Findings, document: Mapping[str, Any]) -> dict[str, Any]:
    models = [
        {"model_id": one["model_id"], "output_uri": one["output"], "outcomes": one["outcomes"]}
        for one in document.get("models", ())
    ]
    return {
        "run_id": found.state.run_id,
        "output_uri": document["output"],
        "report_uri": _report_uri(found.run),
        "rows": found.state.rows,
        "outcomes": found.totals.outcomes,
        "jobs": found.state.jobs,
        **({"models": models} if models else {}),
        **_counted(document["warnings"]),
    }


def _finish_dry_run(s3: S3, runs: Sequence[Run], state: RunState) -> dict[str, Any]:
    """Write the report of a dry run: estimate, warnings, and the first record of each model, as it would be sent."""
    run, estimate = runs[0], state.estimate
    assert estimate is not None, "Review run made it"
    records = first_record.of_each(s3, runs, read_results(s3, state.prepared))
    document, _ = publish(s3, state.bucket, state.keys, report.of_dry_run(runs, estimate, records), runs)
    return {
        "run_id": run.run_id,
        "report_uri": _report_uri(run),
        "rows": estimate.rows,
        "estimate": estimate.to_json(),
        "dry_run": True,
        **_counted(document["warnings"]),
    }


def _report_uri(run: Run) -> str:
    return f"s3://{run.bucket}/{run.keys.report}"


def _counted(warnings: Sequence[str]) -> dict[str, Any]:
    """Return the number of warnings, which decides the run's status, and the first of them."""
    first = {"first_warnings": list(warnings[:_MOST_WARNINGS])} if warnings else {}
    return {"warnings": len(warnings), **first}

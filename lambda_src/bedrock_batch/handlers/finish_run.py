"""Finish run: reconcile rows in and rows out, write the report, then judge whether too many rows failed."""

from collections import Counter
from contextlib import suppress
from typing import Any

from bedrock_batch import ids, report
from bedrock_batch.adapters import clients, progress
from bedrock_batch.adapters.results import read_results
from bedrock_batch.adapters.s3 import S3, Overtaken
from bedrock_batch.contracts import Run


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the run's result: where output and report lie, and the counts.

    With `salvage` the run was stopped: its report tells the `status` and is not judged.

    Raises:
        JoinIncomplete: a shard has no output part, or rows do not add up.
        TooManyFailures: after everything is written.
    """
    return finish_run(S3(clients.s3()), event)


def finish_run(s3: S3, state: dict[str, Any]) -> dict[str, Any]:
    """Reconcile the run and write its report."""
    bucket, salvaged = state["bucket"], state.get("salvage", False)
    run = Run.from_json(s3.get_json(bucket, state["run_key"]))
    results = progress.collect(state)["results"]
    joined = progress.latest_joins(s3, results)
    totals = report.reconcile(joined.values(), shards=state["shards"], rows=state["rows"])
    rounds = [read_results(s3, map_) for map_ in results["jobs"]]
    ended = [result for round_ in rounds for result in round_]
    jobs = Counter(result["status"] for result in ended)
    report_key = ids.report_key(run.run_id)
    document = {
        "run_id": run.run_id,
        "model_id": run.model_id,
        "warnings": run.warnings,
        "input": [f"s3://{source['bucket']}/{source['key']}" for source in run.sources],
        "output": f"s3://{bucket}/{ids.output_prefix(run.run_id)}",
        "jobs": state["job_statuses"] if salvaged else dict(sorted(jobs.items())),
        "failed_jobs": [_failed_job(result) for result in ended if result["status"] != "Completed"],
        "rounds": [report.round_counts(round_) for round_ in rounds],
        "on_demand": [report.pass_counts(read_results(s3, map_)) for map_ in results["answers"]],
        **({"retried": report.retried_counts(joined.values())} if run.retry else {}),
        "estimate": state["estimate"],
        **({"salvaged": True, "status": state["status"]} if salvaged else {}),
        **totals.to_json(),
    }
    with suppress(Overtaken):  # a redriven run has written its own meanwhile
        s3.put_json(bucket, report_key, document, replaces=state["replaces"] if salvaged else None)
    if not salvaged:
        report.gate(totals, tolerated_failure_percentage=run.limits["tolerated_failure_percentage"])
    return {
        "run_id": run.run_id,
        "output_uri": f"s3://{bucket}/{ids.output_prefix(run.run_id)}",
        "report_uri": f"s3://{bucket}/{report_key}",
        "rows": state["rows"],
        "outcomes": totals.outcomes,
        "jobs": state["jobs"],
    }


def _failed_job(result: dict[str, Any]) -> dict[str, str]:
    return {key: result[key] for key in ("job_name", "status", "message")}

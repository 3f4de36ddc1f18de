"""Finish run: reconcile rows in and rows out, judge whether too many rows failed, write the report."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from bedrock_batch import keys
from bedrock_batch.aws import clients
from bedrock_batch.aws.map_results import read_results
from bedrock_batch.aws.s3 import S3
from bedrock_batch.aws.s3_upload import Overtaken
from bedrock_batch.contracts.lines import JobCounts, Joined
from bedrock_batch.contracts.run import Run
from bedrock_batch.errors import TooManyFailures, after_spend
from bedrock_batch.handlers.edge import at_edge
from bedrock_batch.run import manifests, preview, progress, remarks, report, report_document
from bedrock_batch.run.report_document import Found

_MOST_WARNINGS = 20
"""So many go into the run's result, which a state machine carries; the report has all."""


@at_edge
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the run's result: where output and report lie, and the counts.

    With `salvage` the run was stopped: its report says how it `ended` and is not judged.

    Raises:
        JoinIncomplete: a shard has no output part, or rows do not add up.
        TooManyFailures: after everything is written.
    """
    folder = f"s3://{event['bucket']}/{keys.run_prefix(event['run_id'])}/"
    kept = "Nothing was spent" if event.get("dry_run") else f"The table and all answers are kept in {folder}"
    with after_spend(f"{kept}; a redrive counts again, asks the model nothing and costs nothing."):
        return finish_run(S3(clients.s3()), event)


def finish_run(s3: S3, state: dict[str, Any]) -> dict[str, Any]:
    """Reconcile the run and write its report; that of a dry run is its estimate."""
    runs = progress.runs(s3, state["bucket"], state["run_id"])
    if runs[0].dry_run:
        return _finish_dry_run(s3, runs, state)
    found = _look(s3, runs, state)
    failure: TooManyFailures | None = None
    ended, warnings = state.get("ended", {"status": "SUCCEEDED"}), report_document.warnings(found)
    if "ended" not in state:
        try:
            warnings += report.gate_each(
                {run.label: one for run, one in zip(runs, found.reports, strict=True)},
                tolerated_failure_percentage=runs[0].limits["tolerated_failure_percentage"],
            )
        except TooManyFailures as err:
            failure = TooManyFailures(
                f"{err}{report_document.first_message(found.failed_jobs)} {report_document.what_now(runs)}"
            )
            ended = {"status": "FAILED", "error": "TooManyFailures", "message": str(failure)}
    document = report_document.document(found, ended=ended, warnings=warnings)
    with suppress(Overtaken):  # a redriven run has written its own meanwhile
        key = keys.report_key(state["run_id"])
        s3.put_json(state["bucket"], key, document, replaces=state.get("replaces"), indent=2)
    if failure is not None:
        raise failure
    return _result(found, document)


def _look(s3: S3, runs: Sequence[Run], state: Mapping[str, Any]) -> Found:
    bucket, run_id = state["bucket"], state["run_id"]
    results = progress.collect(state)["results"]
    joined = progress.latest_joins(s3, results)
    totals = report.reconcile(joined.values(), shards=state["shards"], rows=state["rows"] * len(runs))
    rounds = [read_results(s3, map_) for map_ in results["jobs"]]
    if len(runs) > 1:
        models = progress.models_of_jobs(s3, bucket, run_id, range(len(rounds)))
        rounds = [[result | {"model_id": models[result["job_name"]]} for result in round_] for round_ in rounds]
    ended = [result for round_ in rounds for result in round_]
    all_good = all(result["status"] == "Completed" for result in ended)
    shards = {} if all_good else progress.shards_of_jobs(s3, bucket, run_id, range(len(rounds)))
    by_manifest = manifests.read_all(s3, bucket, run_id)
    return Found(
        runs=runs,
        state=state,
        joined=joined,
        totals=totals,
        reports=[_of_model(run, joined, rows=state["rows"]) for run in runs],
        rounds=rounds,
        passes=[report.pass_counts(read_results(s3, map_)) for map_ in results["answers"]],
        failed_jobs=remarks.failed_jobs(ended, shards, joined),
        counted=[_counted(run, joined, by_manifest) for run in runs],
    )


def _of_model(run: Run, joined: Mapping[int, Joined], *, rows: int) -> report.Report:
    parts = [joined[shard] for shard in run.numbers if shard in joined]
    return report.reconcile(parts, shards=run.shards, rows=rows, first=run.numbers.start)


def _counted(run: Run, joined: Mapping[int, Joined], by_manifest: Mapping[str, JobCounts]) -> dict[str, Any] | None:
    return remarks.by_bedrock((joined[shard] for shard in run.numbers if shard in joined), by_manifest)


def _result(found: Found, document: Mapping[str, Any]) -> dict[str, Any]:
    models = [
        {"model_id": one["model_id"], "output_uri": one["output"], "outcomes": one["outcomes"]}
        for one in document.get("models", ())
    ]
    return {
        "run_id": found.state["run_id"],
        "output_uri": document["output"],
        "report_uri": _report_uri(found.state),
        "rows": found.state["rows"],
        "outcomes": found.totals.outcomes,
        "jobs": found.state["jobs"],
        **({"models": models} if models else {}),
        **_told_warnings(document["warnings"]),
    }


def _finish_dry_run(s3: S3, runs: Sequence[Run], state: Mapping[str, Any]) -> dict[str, Any]:
    """Write what a dry run found out: estimate, warnings, and the first record of each model as it would be sent."""
    run, estimate = runs[0], state["estimate"]
    warnings = [warning for one in runs for warning in one.warnings] + estimate.get("warnings", [])
    records = preview.first_records(s3, runs, read_results(s3, state["prepared"]))
    document = {
        "run_id": run.run_id,
        "status": "SUCCEEDED",
        "dry_run": True,
        "rows": estimate["rows"],
        "estimate": estimate,
        "warnings": list(dict.fromkeys(warnings)),
        "model_id": run.models or run.model_id,
        "first_record": dict(zip(run.models, records, strict=True)) if run.models else records[0],
        "input": [f"s3://{source['bucket']}/{source['key']}" for source in run.sources],
    }
    s3.put_json(run.bucket, keys.report_key(run.run_id), document, indent=2)
    return {
        "run_id": run.run_id,
        "report_uri": _report_uri(state),
        "rows": estimate["rows"],
        "estimate": estimate,
        "dry_run": True,
        **_told_warnings(document["warnings"]),
    }


def _report_uri(state: Mapping[str, Any]) -> str:
    return f"s3://{state['bucket']}/{keys.report_key(state['run_id'])}"


def _told_warnings(warnings: Any) -> dict[str, Any]:
    return {"warnings": list(warnings[:_MOST_WARNINGS])} if warnings else {}

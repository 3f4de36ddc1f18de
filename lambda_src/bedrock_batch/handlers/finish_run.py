"""Finish run: reconcile rows in and rows out, write the report, then judge whether too many rows failed."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from bedrock_batch import ids, report
from bedrock_batch.adapters import clients, progress
from bedrock_batch.adapters.results import read_results
from bedrock_batch.adapters.s3 import S3
from bedrock_batch.adapters.s3_writer import Overtaken
from bedrock_batch.contracts import Joined, Run
from bedrock_batch.errors import TooManyFailures

_MOST_MESSAGE = 500


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
    runs = progress.runs(s3, bucket, state["run_id"])
    run, several = runs[0], len(runs) > 1
    results = progress.collect(state)["results"]
    joined = progress.latest_joins(s3, results)
    totals = report.reconcile(joined.values(), shards=state["shards"], rows=state["rows"] * len(runs))
    reports = [_of_model(run, joined, rows=state["rows"]) for run in runs]
    rounds = [read_results(s3, map_) for map_ in results["jobs"]]
    ended = [result for round_ in rounds for result in round_]
    if several:
        models = progress.models_of_jobs(s3, bucket, run.run_id, range(len(rounds)))
        ended = [result | {"model_id": models[result["job_name"]]} for result in ended]
    report_key = ids.report_key(run.run_id)
    document = {
        "run_id": run.run_id,
        "model_id": run.models if several else run.model_id,
        "warnings": list(
            dict.fromkeys(
                [*(one for run in runs for one in run.warnings), *(state["estimate"] or {}).get("warnings", ())]
            )
        ),
        "input": [f"s3://{source['bucket']}/{source['key']}" for source in run.sources],
        "output": f"s3://{bucket}/{ids.output_prefix(run.run_id)}",
        "jobs": state["job_statuses"] if salvaged else report.statuses(ended),
        "failed_jobs": [_failed_job(result) for result in ended if result["status"] != "Completed"],
        "rounds": [report.round_counts(round_) for round_ in rounds],
        "on_demand": [report.pass_counts(read_results(s3, map_)) for map_ in results["answers"]],
        **({"retried": report.retried_counts(joined.values())} if run.retry else {}),
        "estimate": state["estimate"],
        "cost_usd": _total(_cost(*one) for one in zip(runs, reports, strict=True)),
        **({"salvaged": True, "status": state["status"]} if salvaged else {}),
        **totals.to_json(),
    }
    if several:
        del document["parts"]  # they are those of the models' own tables
        jobs = state["model_job_statuses"] if salvaged else report.statuses_by_model(ended, run.models)
        document["models"] = [_section(run, one, jobs[run.model_id]) for run, one in zip(runs, reports, strict=True)]
    with suppress(Overtaken):  # a redriven run has written its own meanwhile
        s3.put_json(bucket, report_key, document, replaces=state["replaces"] if salvaged else None)
    if not salvaged:
        try:
            report.gate_each(
                {run.label: one for run, one in zip(runs, reports, strict=True)},
                tolerated_failure_percentage=run.limits["tolerated_failure_percentage"],
            )
        except TooManyFailures as err:
            raise TooManyFailures(f"{err}{_first_message(document['failed_jobs'])}") from err
    return {
        "run_id": run.run_id,
        "output_uri": document["output"],
        "report_uri": f"s3://{bucket}/{report_key}",
        "rows": state["rows"],
        "outcomes": totals.outcomes,
        "jobs": state["jobs"],
        **({"models": [_told(one) for one in document["models"]]} if several else {}),
    }


def _section(run: Run, counts: report.Report, jobs: dict[str, int]) -> dict[str, Any]:
    """Return what the report says of one of several models."""
    output = f"s3://{run.bucket}/{ids.output_prefix(run.run_id, run.folder)}"
    about = {"model_id": run.model_id, "warnings": run.warnings, "output": output, "jobs": jobs}
    return about | {"cost_usd": _cost(run, counts)} | counts.to_json()


def _cost(run: Run, counts: report.Report) -> float | None:
    """Return what the tokens come to at the run input's price; None without one, or where tokens are not counted."""
    price = run.input.get("price")
    counted = {"input_tokens"} if run.kind == "embedding" else {"input_tokens", "output_tokens"}
    if not price or not counted <= run.response.keys():
        return None
    cost: float = (counts.input_tokens * price["input"] + counts.output_tokens * price["output"]) / 1e6
    return round(cost, 6)


def _total(costs: Iterable[float | None]) -> float | None:
    """Return the cost of all models; None where one of them is not known."""
    known = list(costs)
    return None if None in known else round(sum(cost for cost in known if cost is not None), 6)


def _told(section: Mapping[str, Any]) -> dict[str, Any]:
    return {"model_id": section["model_id"], "output_uri": section["output"], "outcomes": section["outcomes"]}


def _of_model(run: Run, joined: Mapping[int, Joined], *, rows: int) -> report.Report:
    parts = [joined[shard] for shard in run.numbers if shard in joined]
    return report.reconcile(parts, shards=run.shards, rows=rows, first=run.numbers.start)


def _first_message(failed_jobs: Sequence[Mapping[str, str]]) -> str:
    """Return what Bedrock said of the first failed job that it said something of."""
    message = next((job["message"] for job in failed_jobs if job.get("message")), "")
    return f" Of the jobs that failed the first says: {message[:_MOST_MESSAGE]}" if message else ""


def _failed_job(result: dict[str, Any]) -> dict[str, str]:
    return {key: result[key] for key in ("job_name", "model_id", "status", "message") if key in result}

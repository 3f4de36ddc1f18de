"""The documents of `report.json`: how the run went, what it cost and where the table is come first, the parts last."""

from collections.abc import Mapping, Sequence
from typing import Any

from bedrock_batch.contracts.run import Run
from bedrock_batch.run import report_jobs, report_warnings
from bedrock_batch.run.estimate import in_usd
from bedrock_batch.run.findings import Findings, ModelFindings
from bedrock_batch.run.reconcile import Totals, retried_counts


def document(found: Findings, *, ended: Mapping[str, Any], warnings: Sequence[str]) -> dict[str, Any]:
    """Return the report of a run that sent records; `ended` says how it ended."""
    run, state, counts = found.run, found.state, found.totals.to_json()
    last = {"parts": counts.pop("parts")}
    if found.several:
        jobs = state.get("model_job_statuses") or report_jobs.statuses_by_model(found.ended, run.models)
        last = {"models": [_section(one, jobs[one.run.model_id]) for one in found.models]}
        # Each row is there once for each model.
        counts = {"rows": state["rows"], "rows_times_models": counts.pop("rows"), **counts}
    first = ("rows", "rows_times_models", "outcomes")
    rows: dict[str, Any] = {key: counts.pop(key) for key in first if key in counts}
    return {
        "run_id": run.run_id,
        **ended,
        **({"salvaged": True} if state.get("salvage") else {}),
        **rows,
        **_cost(found.models),
        "output": f"s3://{run.bucket}/{run.keys.output_folder()}",
        "warnings": warnings,
        "model_id": run.models if found.several else run.model_id,
        "jobs": state.get("job_statuses") or report_jobs.statuses(found.ended),
        "failed_jobs": found.failed_jobs,
        "rounds": [report_jobs.round_counts(round_) for round_ in found.rounds],
        "on_demand": found.passes,
        **({"retried": retried_counts(found.joined.values())} if run.retry else {}),
        **counts,
        **({} if found.several else {"by_bedrock": found.models[0].by_bedrock}),
        "estimate": state["estimate"],
        "input": _input(run),
        **({"left_out": run.left_out} if run.left_out else {}),
        **last,
    }


def _section(one: ModelFindings, jobs: dict[str, int]) -> dict[str, Any]:
    """Return what the report says of one of several models."""
    run, counts = one.run, one.totals.to_json()
    parts = counts.pop("parts")
    return {
        "model_id": run.model_id,
        **{key: counts.pop(key) for key in ("rows", "outcomes")},
        **_cost([one]),
        "output": f"s3://{run.bucket}/{run.keys.output_folder(run.folder)}",
        "warnings": [*run.warnings, *report_warnings.of_model(one)],
        "jobs": jobs,
        **counts,
        "by_bedrock": one.by_bedrock,
        "parts": parts,
    }


def of_dry_run(
    runs: Sequence[Run], estimate: Mapping[str, Any], records: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the report of a dry run; `records` are the first of each model."""
    run = runs[0]
    return {
        "run_id": run.run_id,
        "status": "SUCCEEDED",
        "dry_run": True,
        "rows": estimate["rows"],
        "estimate": estimate,
        "warnings": list(dict.fromkeys([*report_warnings.of_plan(runs), *estimate.get("warnings", ())])),
        "model_id": run.models or run.model_id,
        "first_record": dict(zip(run.models, records, strict=True)) if run.models else records[0],
        "input": _input(run),
        **({"left_out": run.left_out} if run.left_out else {}),
    }


def of_nothing_sent(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the report of a stopped run that made no job: what it was planned to be."""
    run = runs[0]
    return {
        "run_id": run.run_id,
        "salvaged": True,
        "warnings": report_warnings.of_plan(runs),
        "model_id": run.models or run.model_id,
        "jobs": {},
        "input": _input(run),
        **({"left_out": run.left_out} if run.left_out else {}),
    }


def _input(run: Run) -> list[str]:
    return [f"s3://{source['bucket']}/{source['key']}" for source in run.sources]


def _cost(models: Sequence[ModelFindings]) -> dict[str, Any]:
    """Return the cost of these models together; None, and why, where that of one is not known."""
    costs = [_cost_of(one.run, one.totals) for one in models]
    unknown = [
        f"{one.run.label}: {cost}" if len(models) > 1 else cost
        for one, cost in zip(models, costs, strict=True)
        if isinstance(cost, str)
    ]
    if unknown:
        return {"cost_usd": None, "cost_unknown": "; ".join(unknown)}
    return {"cost_usd": round(sum(cost for cost in costs if not isinstance(cost, str)), 6)}


def _cost_of(run: Run, totals: Totals) -> float | str:
    """Return what a model's tokens cost at the run input's price, or why that is not known."""
    price = run.input.get("price")
    if not price:
        return "the run input has no price"
    counted = {"input_tokens"} if run.kind == "embedding" else {"input_tokens", "output_tokens"}
    if missing := sorted(counted - run.response.keys()):
        return f"the answers' tokens are not counted: response has no {' and no '.join(missing)}"
    return in_usd(price, totals.input_tokens, totals.output_tokens)

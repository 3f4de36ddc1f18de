"""Build `report.json`. First come the end of the run, its cost and the place of the table; the parts come last."""

from collections.abc import Mapping, Sequence
from typing import Any

from bedrock_batch.contracts.estimate import Estimate
from bedrock_batch.contracts.results import Joined
from bedrock_batch.contracts.run import Run
from bedrock_batch.contracts.state import End, Stopped
from bedrock_batch.contracts.version import CONTRACT
from bedrock_batch.run import report_jobs, report_settings, report_warnings, usage
from bedrock_batch.run.findings import Findings, ModelFindings
from bedrock_batch.run.reconcile import retried_counts


def document(found: Findings, *, ended: End, warnings: Sequence[str]) -> dict[str, Any]:
    """Return the report of a run that sent records. `ended` is how the run ended."""
    run, state, counts = found.run, found.state, found.totals.to_json()
    last = {"parts": counts.pop("parts")}
    if found.several:
        jobs = state.model_job_statuses or report_jobs.statuses_by_model(found.ended, run.models)
        last = {"models": [_section(one, jobs[one.run.model_id]) for one in found.models]}
        # Each row counts once for each model.
        counts = {"rows": state.rows, "rows_times_models": counts.pop("rows"), **counts}
    first = ("rows", "rows_times_models", "outcomes")
    rows: dict[str, Any] = {key: counts.pop(key) for key in first if key in counts}
    used = usage.total([(one.run, one.usage) for one in found.models])
    counts |= {key: used.pop(key) for key in ("input_tokens", "output_tokens")}
    return {
        "contract": CONTRACT,
        "run_id": run.run_id,
        **ended.to_json(),
        **({"salvaged": True} if state.salvage else {}),
        **rows,
        **used,
        "output": f"s3://{run.bucket}/{run.keys.output_folder()}",
        "warnings": warnings,
        "usage": usage.together([one.usage for one in found.models]),
        **({"over_budget": state.over_budget.to_json()} if state.over_budget else {}),
        "model_id": run.models if found.several else run.model_id,
        "jobs": state.job_statuses or report_jobs.statuses(found.ended),
        "failed_jobs": found.failed_jobs,
        "rounds": [report_jobs.round_counts(round_) for round_ in found.rounds],
        "on_demand": found.passes,
        **({"retried": retried_counts(found.joined.values())} if run.retry else {}),
        **counts,
        **({} if found.several else {"by_bedrock": found.models[0].by_bedrock}),
        "estimate": state.estimate.to_json() if state.estimate else None,
        **report_settings.of_run([one.run for one in found.models]),
        **last,
    }


def _section(one: ModelFindings, jobs: dict[str, int]) -> dict[str, Any]:
    """Return the report's section of one of several models."""
    run, counts = one.run, one.totals.to_json()
    parts = counts.pop("parts")
    used = usage.total([(run, one.usage)])
    counts |= {key: used.pop(key) for key in ("input_tokens", "output_tokens")}
    return {
        "model_id": run.model_id,
        **{key: counts.pop(key) for key in ("rows", "outcomes")},
        **used,
        "output": f"s3://{run.bucket}/{run.keys.output_folder(run.folder)}",
        "warnings": [*run.warnings, *report_warnings.of_model(one)],
        "usage": one.usage,
        "jobs": jobs,
        **counts,
        "by_bedrock": one.by_bedrock,
        "parts": parts,
    }


def of_dry_run(runs: Sequence[Run], estimate: Estimate, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the report of a dry run. `records` has the first record of each model."""
    run = runs[0]
    return {
        "contract": CONTRACT,
        "run_id": run.run_id,
        "status": "SUCCEEDED",
        "dry_run": True,
        "rows": estimate.rows,
        "estimate": estimate.to_json(),
        "warnings": list(dict.fromkeys([*report_warnings.of_plan(runs), *estimate.warnings])),
        "model_id": run.models or run.model_id,
        "first_record": dict(zip(run.models, records, strict=True)) if run.models else records[0],
        **report_settings.of_run(runs),
    }


def of_no_plan(event: Stopped, ended: End, *, expired: bool = False) -> dict[str, Any]:
    """Return the report of a run that ended before it was planned: how it ended is all that is known.

    Of one that is so old that its plan is not read any more (`expired`), it is not known whether it made jobs.
    """
    return {
        "contract": CONTRACT,
        "run_id": event.run_id,
        **ended.to_json(),
        "salvaged": True,
        "warnings": [],
        **({} if expired else {"jobs": {}}),
        **({"started_at": event.started_at} if event.started_at else {}),
        **report_settings.versions(event.functions),
    }


def of_no_job(runs: Sequence[Run], ended: End, joined: Sequence[Joined], estimate: Estimate | None) -> dict[str, Any]:
    """Return the report of a stopped run that made no job: what it was planned to be, and what its canary cost.

    `estimate` is that of Review run and `joined` are the joins of the canary's shards, if it came so far.
    """
    run = runs[0]
    models = [
        (one, usage.of_model(one, [join for join in joined if join.shard in one.numbers], None, ())) for one in runs
    ]
    used = usage.total(models) | {"usage": usage.together([one for _, one in models])} if joined else {}
    return {
        "contract": CONTRACT,
        "run_id": run.run_id,
        **ended.to_json(),
        "salvaged": True,
        **used,
        "warnings": report_warnings.of_plan(runs),
        "model_id": run.models or run.model_id,
        "jobs": {},
        **({"estimate": estimate.to_json()} if estimate else {}),
        **report_settings.of_run(runs),
    }

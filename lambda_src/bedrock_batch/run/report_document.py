"""The report of a run as a document: how it went, what it cost and where the table is come first, the parts last."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bedrock_batch import keys
from bedrock_batch.aws import causes
from bedrock_batch.contracts.lines import Joined
from bedrock_batch.contracts.run import Run
from bedrock_batch.run import remarks, report
from bedrock_batch.run.estimate import in_usd

_MOST_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class Found:
    """What a run left: its models' documents and counts, and how its jobs ended."""

    runs: Sequence[Run]
    state: Mapping[str, Any]
    joined: Mapping[int, Joined]
    totals: report.Report
    reports: Sequence[report.Report]
    rounds: Sequence[Sequence[Mapping[str, Any]]]
    passes: Sequence[Mapping[str, int]]
    failed_jobs: Sequence[Mapping[str, Any]]
    counted: Sequence[Mapping[str, Any] | None]
    """What Bedrock's manifests say, for each model."""

    @property
    def ended(self) -> list[Mapping[str, Any]]:
        return [result for round_ in self.rounds for result in round_]

    @property
    def several(self) -> bool:
        return len(self.runs) > 1


def warnings(found: Found) -> list[str]:
    """Return everything that a person should know of the run, each once."""
    warnings = [warning for run in found.runs for warning in run.warnings]
    estimate = found.state["estimate"]
    warnings += (estimate or {}).get("warnings", ())
    warnings += remarks.of_on_demand(estimate, found.passes)
    for number, run in enumerate(found.runs):
        start = f"{run.label}: " if run.label else ""
        warnings += [f"{start}{warning}" for warning in _own_warnings(found, number)]
    return list(dict.fromkeys(warnings))


def _own_warnings(found: Found, number: int) -> list[str]:
    """Return what is to be known of a model's answers."""
    told = remarks.of_answers(found.runs[number], found.reports[number])
    return [*told, *remarks.of_manifests(found.counted[number])]


def document(found: Found, *, ended: Mapping[str, Any], warnings: Sequence[str]) -> dict[str, Any]:
    """Return the report: how it went, what it cost and where the table is come first, the parts last."""
    run, state, counts = found.runs[0], found.state, found.totals.to_json()
    costs = [_cost(*one) for one in zip(found.runs, found.reports, strict=True)]
    parts = {"parts": counts.pop("parts")}
    if found.several:
        jobs = state.get("model_job_statuses") or report.statuses_by_model(found.ended, run.models)
        parts = {"models": [_section(found, number, jobs[one.model_id]) for number, one in enumerate(found.runs)]}
        # Each row is there once for each model.
        counts = {"rows": state["rows"], "rows_times_models": counts.pop("rows"), **counts}
    first = ("rows", "rows_times_models", "outcomes")
    rows: dict[str, Any] = {key: counts.pop(key) for key in first if key in counts}
    return {
        "run_id": run.run_id,
        **ended,
        **({"salvaged": True} if state.get("salvage") else {}),
        **rows,
        **_told_cost(costs, [one.label for one in found.runs]),
        "output": f"s3://{run.bucket}/{keys.output_prefix(run.run_id)}",
        "warnings": warnings,
        "model_id": run.models if found.several else run.model_id,
        "jobs": state.get("job_statuses") or report.statuses(found.ended),
        "failed_jobs": found.failed_jobs,
        "rounds": [report.round_counts(round_) for round_ in found.rounds],
        "on_demand": found.passes,
        **({"retried": report.retried_counts(found.joined.values())} if run.retry else {}),
        **counts,
        **({} if found.several else {"by_bedrock": found.counted[0]}),
        "estimate": state["estimate"],
        "input": [f"s3://{source['bucket']}/{source['key']}" for source in run.sources],
        **parts,
    }


def _section(found: Found, number: int, jobs: dict[str, int]) -> dict[str, Any]:
    """Return what the report says of one of several models."""
    run, counts = found.runs[number], found.reports[number].to_json()
    parts = counts.pop("parts")
    return {
        "model_id": run.model_id,
        **{key: counts.pop(key) for key in ("rows", "outcomes")},
        **_told_cost([_cost(run, found.reports[number])], [""]),
        "output": f"s3://{run.bucket}/{keys.output_prefix(run.run_id, run.folder)}",
        "warnings": [*run.warnings, *_own_warnings(found, number)],
        "jobs": jobs,
        **counts,
        "by_bedrock": found.counted[number],
        "parts": parts,
    }


def _cost(run: Run, counts: report.Report) -> float | str:
    """Return what the tokens come to at the run input's price, or why that is not known."""
    price = run.input.get("price")
    if not price:
        return "the run input has no price"
    counted = {"input_tokens"} if run.kind == "embedding" else {"input_tokens", "output_tokens"}
    if missing := sorted(counted - run.response.keys()):
        return f"the answers' tokens are not counted: response has no {' and no '.join(missing)}"
    return in_usd(price, counts.input_tokens, counts.output_tokens)


def _told_cost(costs: Sequence[float | str], labels: Sequence[str]) -> dict[str, Any]:
    """Return the cost of all models; None, and why, where one of them is not known."""
    unknown = [
        f"{label}: {cost}" if label else cost
        for label, cost in zip(labels, costs, strict=True)
        if isinstance(cost, str)
    ]
    if unknown:
        return {"cost_usd": None, "cost_unknown": "; ".join(unknown)}
    return {"cost_usd": round(sum(cost for cost in costs if not isinstance(cost, str)), 6)}


def first_message(failed_jobs: Iterable[Mapping[str, Any]]) -> str:
    """Return what Bedrock said of the first failed job that it said something of."""
    message = next((job["message"] for job in failed_jobs if job.get("message")), "")
    return f" Of the jobs that failed the first says: {causes.cut(message, _MOST_MESSAGE)}" if message else ""


def what_now(runs: Sequence[Run]) -> str:
    """Say what there is of a run that failed at its end, and what can be done with it."""
    run = runs[0]
    prefix = run.output["prefix"]
    output = f"s3://{run.bucket}/{keys.output_prefix(run.run_id)}"
    return (
        f"The table in {output} and the report are complete: {prefix}error_code and {prefix}error say why for "
        "each row. Use them, or start a new run over the failed rows. A redrive asks nothing again."
    )

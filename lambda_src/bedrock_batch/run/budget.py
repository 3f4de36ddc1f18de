"""Enforce `limits.budget_usd` after the first step, from the USD spent and the most that the next step could cost.

Both are computed from files on S3 each time, so a redrive decides the same.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

from bedrock_batch.contracts.results import JobCounts
from bedrock_batch.contracts.routes import BATCH, ON_DEMAND
from bedrock_batch.contracts.run import Run
from bedrock_batch.contracts.state import Next, OverBudget, RunState
from bedrock_batch.run import usage
from bedrock_batch.run.decide import Standing
from bedrock_batch.run.prices import KNOWN, in_usd, on_demand_route, rate

Models = Sequence[tuple[Run, Sequence[Standing]]]
"""Models of a run, each with some of its shards."""

_STEPS = {"run_jobs": "in batch jobs", "answer": "on demand"}


def excess(
    step: Next, models: Models, due: Models, manifests: Mapping[str, JobCounts], *, budget_usd: float
) -> OverBudget | None:
    """Return the numbers if a step could cost more than is left of the budget; None if it cannot.

    `models` has all shards of all models, `due` the shards that the step would send. `manifests` are Bedrock's counts
    by job.
    """
    routes = {run.number: _route(run, step, standings) for run, standings in models}
    spent = sum(_spent(run, standings, manifests) for run, standings in models)
    next_ = sum(_at_most(run, one, routes[run.number]) for run, shards in due for one in shards)
    if round(spent + next_, 6) <= budget_usd:
        return None
    return OverBudget(
        budget_usd=budget_usd,
        spent_usd=round(spent, 6),
        next_usd=round(next_, 6),
        next_step=step,
        records=sum(one.leftovers for _, shards in due for one in shards),
    )


def warnings(state: RunState) -> Iterator[str]:
    """Yield the warning of a run that stopped sending records because of its budget."""
    if over := state.over_budget:
        yield (
            f"limits.budget_usd is {over.budget_usd}: {over.spent_usd} USD are spent, and {over.records} more "
            f"records {_STEPS[over.next_step]} could cost up to {over.next_usd} USD. They were not sent, so their "
            "rows have no answer, or no better one"
        )


def _spent(run: Run, standings: Sequence[Standing], manifests: Mapping[str, JobCounts]) -> float:
    """Return the cost of a model's jobs and passes: from the answers or from Bedrock's counts, whichever is larger."""
    jobs = usage.by_job(one.joined for one in standings if one.joined)
    of_record, spent = _of_record(run, standings), 0.0
    for name, routes in jobs.items():
        in_rows = sum(_cost(run, of_record, route, counts) for route, counts in routes.items())
        if name not in manifests:
            spent += in_rows
        elif usage.uncounted(run):
            spent += _of_manifest(run, manifests[name])
        else:
            spent += max(in_rows, _of_manifest(run, manifests[name]))
    return spent


def _of_manifest(run: Run, counts: JobCounts) -> float:
    return in_usd(rate(run.input["price"], BATCH), counts.input_tokens, counts.output_tokens)


def _cost(run: Run, of_record: Mapping[str, float], route: str, counts: JobCounts) -> float:
    """Return the cost of answers. If they have no token counts, use the estimate's tokens for a record.

    A tier without a known price counts as the default tier.
    """
    tokens = {"input_tokens": float(counts.input_tokens), "output_tokens": float(counts.output_tokens)}
    for kind in usage.uncounted(run):
        tokens[kind] = counts.answered * of_record[kind]
    known = route if route in KNOWN else ON_DEMAND
    return in_usd(rate(run.input["price"], known), tokens["input_tokens"], tokens["output_tokens"])


def _of_record(run: Run, standings: Sequence[Standing]) -> dict[str, float]:
    """Return the estimated tokens of a record: the average of input tokens, and the most output tokens."""
    records = sum(one.records for one in standings)
    return {
        "input_tokens": sum(one.input_tokens for one in standings) / max(1, records),
        "output_tokens": max(_limits(run)),
    }


def _limits(run: Run) -> tuple[int, int]:
    """Return the most tokens of a first answer, and of the answer to a retry."""
    if run.kind == "embedding":
        return 0, 0
    limit = run.input["inference"]["max_tokens"]
    return limit, (run.retry or {}).get("max_tokens") or limit


def _at_most(run: Run, one: Standing, route: str) -> float:
    """Return the most that a shard's leftovers could cost.

    A retry that got no second answer is a leftover with the larger limit.
    """
    limit, larger = _limits(run)
    if any(end.leftovers_step is not None for end in one.ends):
        limit = larger
    output_tokens = (one.leftovers - one.retries) * limit + one.retries * larger
    input_tokens = math.ceil(one.input_tokens * one.leftover_bytes / max(1, one.bytes))
    return in_usd(rate(run.input["price"], route), input_tokens, output_tokens)


def _route(run: Run, step: str, standings: Sequence[Standing]) -> str:
    """Return the expected route of a step's records. It is not flex if flex was refused before."""
    if step == "run_jobs":
        return BATCH
    jobs = usage.by_job(one.joined for one in standings if one.joined)
    # Look only at answers: an error has no tier.
    dearer = any(routes[ON_DEMAND].answered for routes in jobs.values() if ON_DEMAND in routes)
    return ON_DEMAND if dearer else on_demand_route(run)

"""Count what a run used and what that costs, by route: `usage` in the report. Every answer in the raw output counts.

A record that was answered twice counts twice, because it was paid twice.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from bedrock_batch.contracts.results import JobCounts, Joined
from bedrock_batch.contracts.routes import BATCH
from bedrock_batch.contracts.run import Run
from bedrock_batch.keys import is_on_demand
from bedrock_batch.run.prices import KNOWN, in_usd, rate

Usage = Mapping[str, Mapping[str, Any]]
"""For each route: `records`, `input_tokens`, `output_tokens`, and `cost_usd` at `usd_per_million`. If the cost is None,
`cost_unknown` says why."""

JobRoutes = Mapping[str, JobCounts]
"""The counts of a job's raw output, by route."""

_NUMBERS = ("records", "input_tokens", "output_tokens")


def by_job(joined: Iterable[Joined]) -> dict[str, JobRoutes]:
    """Return the counts of the raw output of each job of these shards.

    All shards of a job read the same output, but it may have grown in between, so the largest counts are used.
    """
    found: dict[str, JobRoutes] = {}
    for one in joined:
        for name, counts in one.came.items():
            if name not in found or _records(counts) > _records(found[name]):
                found[name] = counts
    return found


def _records(counts: JobRoutes) -> int:
    return sum(one.records for one in counts.values())


def of_model(
    run: Run, joined: Iterable[Joined], counted: Mapping[str, Any] | None, manifests: Collection[str]
) -> Usage:
    """Return a model's usage. `counted` are the sums of Bedrock's manifests for its jobs, from `by_bedrock.compare`.

    `manifests` are the names of the jobs that have a manifest.
    """
    jobs = by_job(joined)
    routes = {route for counts in jobs.values() for route, one in counts.items() if one.answered}
    if counted and counted["answered"]:  # These answers are paid, even if none is in the output.
        routes.add(BATCH)
    usage = {
        route: _priced(run, route, sum((one[route] for one in jobs.values() if route in one), JobCounts()))
        for route in sorted(routes)
    }
    if counted and BATCH in usage:
        # A job without output was never created, or was refused as a whole, so it has no manifest.
        without = sum(
            bool(_records(counts)) and name not in manifests and not is_on_demand(name) for name, counts in jobs.items()
        )
        usage[BATCH]["by_manifest"] = _by_manifest(run, counted, without)
    return usage


def _priced(run: Run, route: str, counts: JobCounts) -> dict[str, Any]:
    numbers = (counts.answered, counts.input_tokens, counts.output_tokens)
    return dict(zip(_NUMBERS, numbers, strict=True)) | _cost(run, route, counts, in_rows=True)


def _by_manifest(run: Run, counted: Mapping[str, Any], without: int) -> dict[str, Any]:
    """Return the figures of manifests and rows. There is no cost if any job is `without` a manifest."""
    counts = JobCounts.from_json(counted)
    numbers = dict(zip(_NUMBERS, (counts.answered, counts.input_tokens, counts.output_tokens), strict=True))
    if without:
        jobs = counted["jobs"] + without
        return numbers | {"cost_usd": None, "cost_unknown": f"{without} of {jobs} jobs have no manifest"}
    return numbers | _cost(run, BATCH, counts, in_rows=False)


def _cost(run: Run, route: str, counts: JobCounts, *, in_rows: bool) -> dict[str, Any]:
    """Return the cost of counts, or None and the reason if it is not known."""
    unknown = _unknown(run, in_rows=in_rows)
    if not unknown and route not in KNOWN:
        unknown = f"the price of the service tier {route} is not known"
    if unknown:
        return {"cost_usd": None, "cost_unknown": unknown}
    price = rate(run.input["price"], route)
    cost = round(in_usd(price, counts.input_tokens, counts.output_tokens), 6)
    return {"cost_usd": cost, "usd_per_million": price}


def _unknown(run: Run, *, in_rows: bool) -> str:
    """Return why the cost of a model is not known. `in_rows` says that the tokens come from the answers."""
    if not run.input.get("price"):
        return "the run input has no price"
    missing = uncounted(run)
    if in_rows and missing:
        return f"the tokens of answers are not counted, because response has no {' and no '.join(missing)}"
    return ""


def uncounted(run: Run) -> list[str]:
    """Return the kinds of tokens that the answers of a model do not count."""
    counted = {"input_tokens"} if run.kind == "embedding" else {"input_tokens", "output_tokens"}
    return sorted(counted - run.response.keys())


def total(models: Sequence[tuple[Run, Usage]]) -> dict[str, Any]:
    """Return the sum of all models and routes: tokens, and the cost or the reason why it is not known."""
    sums = {name: sum(route[name] for _, usage in models for route in usage.values()) for name in _NUMBERS[1:]}
    unknown: list[str] = []
    for run, usage in models:
        reasons = [route["cost_unknown"] for route in usage.values() if route["cost_usd"] is None]
        if not usage:
            reasons = [reason for reason in [_unknown(run, in_rows=True)] if reason]
        unknown += [f"{run.label}: {reason}" if len(models) > 1 else reason for reason in reasons]
    if unknown:
        return sums | {"cost_usd": None, "cost_unknown": "; ".join(dict.fromkeys(unknown))}
    return sums | {"cost_usd": round(sum(route["cost_usd"] for _, usage in models for route in usage.values()), 6)}


def together(usages: Sequence[Usage]) -> Usage:
    """Return the usage of several models by route."""
    return {
        route: _sum([usage[route] for usage in usages if route in usage])
        for route in sorted({route for usage in usages for route in usage})
    }


def _sum(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Add up figures. The sum has a cost if all have one, a price if all have the same, manifests if all have them."""
    sums: dict[str, Any] = {name: sum(part[name] for part in parts) for name in _NUMBERS}
    if any(part["cost_usd"] is None for part in parts):
        sums["cost_usd"] = None
        sums["cost_unknown"] = "; ".join(
            dict.fromkeys(part["cost_unknown"] for part in parts if "cost_unknown" in part)
        )
    else:
        sums["cost_usd"] = round(sum(part["cost_usd"] for part in parts), 6)
    price = parts[0].get("usd_per_million")
    if price and all(part.get("usd_per_million") == price for part in parts):
        sums["usd_per_million"] = price
    counted = [part["by_manifest"] for part in parts if "by_manifest" in part]
    return sums | ({"by_manifest": _sum(counted)} if counted and len(counted) == len(parts) else {})

"""The `warnings` of the report: what a person should know although the run succeeded."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from bedrock_batch.contracts.routes import BATCH, FLEX, ON_DEMAND
from bedrock_batch.contracts.run import Run
from bedrock_batch.run import budget
from bedrock_batch.run.findings import Findings, ModelFindings
from bedrock_batch.run.prices import on_demand_words
from bedrock_batch.run.reconcile import Totals

_LEAST_SHARE = 0.01
"""The least share of truncated or invalid answers, or of differing tokens, that gives a warning."""


def of_run(found: Findings) -> list[str]:
    """Return the warnings of a run that sent records, each once."""
    estimate = found.state.estimate
    warnings = [*of_plan([one.run for one in found.models]), *(estimate.warnings if estimate else ())]
    warnings += _of_on_demand(found)
    warnings += budget.warnings(found.state)
    for one in found.models:
        start = f"{one.run.label}: " if one.run.label else ""
        warnings += [f"{start}{warning}" for warning in of_model(one)]
    return list(dict.fromkeys(warnings))


def of_plan(runs: Sequence[Run]) -> list[str]:
    """Return the warnings of all models' plans, each once."""
    return list(dict.fromkeys(chain.from_iterable(run.warnings for run in runs)))


def of_model(found: ModelFindings) -> list[str]:
    """Return the warnings about a model's answers."""
    return [*_of_answers(found.run, found.totals), *_of_tiers(found), *_of_manifests(found.by_bedrock)]


def _of_answers(run: Run, totals: Totals) -> Iterator[str]:
    """Yield a warning for each reason for which many answers are truncated or invalid."""
    cut, invalid = totals.outcomes["truncated"], totals.outcomes["invalid"]
    withheld = cut - totals.met_max_tokens
    limit = run.input.get("inference", {}).get("max_tokens")
    for count, what in (
        (totals.met_max_tokens, f"met max_tokens{f' ({limit})' if limit else ''}. Raise it, or use retry"),
        (withheld, "were cut or withheld by the model. The column bedrock_stop_reason has the reason"),
        (invalid, "do not match output.schema. The column bedrock_error has the reason"),
    ):
        if count and count >= _LEAST_SHARE * totals.answered:
            what = what.replace("bedrock_", run.output["prefix"])
            yield f"{count} of {totals.answered} answers {what}"


def _of_on_demand(found: Findings) -> Iterator[str]:
    """Yield a warning if more records were answered on demand than estimated."""
    foreseen = found.state.estimate.on_demand_records if found.state.estimate else 0
    more = sum(pass_["records"] for pass_ in found.passes) - foreseen
    if more > 0:
        taken = {route for one in found.models for route in one.usage} - {BATCH}
        yield f"{more} more records than estimated were {on_demand_words(taken)}"


def _of_tiers(found: ModelFindings) -> Iterator[str]:
    """Yield a warning if the run asked for the tier flex, but answers were given at the dearer tier."""
    dearer = found.usage.get(ON_DEMAND, {"records": 0})["records"]
    if dearer and found.run.limits.get("on_demand_tier") == FLEX:
        yield f"{dearer} answers on demand were not given at the requested tier flex, so they cost about twice as much"


def _of_manifests(counted: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield a warning for each difference between Bedrock's counts and its output."""
    if counted is None:
        return
    differing = counted["differing_jobs"]
    if differing:
        name, first = next(iter(differing.items()))
        lost = sum(one["counted"] - one["found"] for one in differing.values() if one["counted"] > one["found"])
        paid = f". {lost} were paid and lost; they are sent and paid again while rounds are left" if lost else ""
        yield (
            f"For {len(differing)} jobs, Bedrock's manifest and the output have different numbers of records "
            f"(the first: {name}, manifest {first['counted']}, output {first['found']}){paid}"
        )
    for kind in ("input_tokens", "output_tokens"):
        by_manifest, in_rows = counted[kind], counted["found"][kind]
        # Embeddings of some models have no token counts, and small differences are normal.
        if in_rows and abs(by_manifest - in_rows) > _LEAST_SHARE * max(by_manifest, in_rows):
            yield f"Bedrock's manifests count {by_manifest} {kind}, but the answers in its output have {in_rows}"

"""The prices of routes, from the run input's `price`: USD per million tokens."""

from collections.abc import Collection, Mapping
from typing import Any

from bedrock_batch.contracts.routes import BATCH, FLEX, ON_DEMAND
from bedrock_batch.contracts.run import Run
from bedrock_batch.models.catalogue import has_flex

Rate = Mapping[str, float]

_TIMES_BATCH = {BATCH: 1, FLEX: 1, ON_DEMAND: 2}
"""Prices of routes that `price` does not have, as multiples of the batch price. AWS sells batch and flex at half of the
price on demand."""


KNOWN = frozenset(_TIMES_BATCH)
"""The routes with a known price. The price of any other service tier is not known."""


def rate(price: Mapping[str, Any], route: str) -> Rate:
    """Return the price of one of the `KNOWN` routes."""
    if route in (FLEX, ON_DEMAND) and route in price:
        given: Rate = price[route]
        return given
    return {kind: price[kind] * _TIMES_BATCH[route] for kind in ("input", "output")}


def in_usd(price: Rate, input_tokens: float, output_tokens: float) -> float:
    """Return the cost of tokens in USD. It is not rounded, because many of these may be added up."""
    return (input_tokens * price["input"] + output_tokens * price["output"]) / 1e6


def on_demand_route(run: Run) -> str:
    """Return the expected route of a model's calls on demand.

    If the catalogue does not say that the model has flex, the model may refuse it, so expect the dearer price.
    """
    known = has_flex(run.model_behind or run.model_id)
    return FLEX if run.limits.get("on_demand_tier") == FLEX and known else ON_DEMAND


def on_demand_words(routes: Collection[str]) -> str:
    """Return words for a warning: the price at which records are answered on these routes. None of them is batch."""
    if set(routes) == {FLEX}:
        return "answered on demand at the tier flex, at about the batch price"
    if FLEX in routes:
        return "answered on demand, some at the tier flex, the others at about twice the batch price"
    return "answered on demand, at about twice the batch price"

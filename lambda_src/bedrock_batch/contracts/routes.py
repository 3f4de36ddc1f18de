"""The routes by which records are answered. Each has its own price."""

BATCH = "batch"
FLEX = "flex"
ON_DEMAND = "on_demand"
"""On demand at the default tier."""


def of_tier(tier: str | None) -> str:
    """Return the route of an answer on demand, from the service tier in the answer.

    An answer without a tier was given at the default tier. Another tier, such as `priority`, is its own route.
    """
    return ON_DEMAND if tier in (None, "", "default") else str(tier)

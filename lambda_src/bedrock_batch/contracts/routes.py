"""The routes on which records are answered. Each has a price of its own."""

BATCH = "batch"
FLEX = "flex"
ON_DEMAND = "on_demand"
"""On demand at the default tier."""


def of_tier(tier: str | None) -> str:
    """Return the route of an answer on demand, by the service tier that the answer names.

    An answer that names none was given at the default tier. Another tier, such as `priority`, is a route of its own.
    """
    return ON_DEMAND if tier in (None, "", "default") else str(tier)

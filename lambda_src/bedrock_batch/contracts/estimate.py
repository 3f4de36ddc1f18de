"""The estimate of a run: its jobs, tokens and cost."""

from dataclasses import dataclass, field

from bedrock_batch.contracts.shape import Sparse


@dataclass(frozen=True, slots=True)
class Estimate(Sparse):
    """The estimate of a run. Tokens are bytes of text / 4. Output tokens are the most that the answers may have.

    `jobs` are the jobs of the first round. `on_demand_records` are not in jobs: the canary, and records that are too
    few for a job. They have the price on demand, all others the batch price. All figures assume one answer for each
    record. `cost_with_retries_usd` is the cost if `retry` asked every record again, and None without `retry`.
    `cost_unknown` says why there is no cost. In a run of several models the figures are sums, and `models` has the
    figures of each model.
    """

    model_id: str = field(default="", kw_only=True)
    rows: int
    records: int
    skipped: int
    jobs: int
    on_demand_records: int
    input_bytes: int
    input_tokens: int
    output_tokens: int | None
    cost_usd: float | None
    cost_with_retries_usd: float | None = None
    cost_unknown: str = ""
    warnings: tuple[str, ...] = ()
    models: "tuple[Estimate, ...]" = ()

"""The estimate of a run: what it would send, and what that would cost."""

from dataclasses import dataclass, field

from bedrock_batch.contracts.shape import Sparse


@dataclass(frozen=True, slots=True)
class Estimate(Sparse):
    """What the run would send. Tokens are bytes of text / 4; output tokens are the most that may come back.

    `jobs` are those of the first round; `on_demand_records` are in none of them: the canary, and what is too few for
    a job. They cost the price on demand, all others that of batch. All of it is for one answer a record;
    `cost_with_retries_usd` is the cost if `retry` had every record sent twice, and None without `retry`.
    `cost_unknown` says why there is no cost. Of several models it is the sum, and `models` has each one's own.
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

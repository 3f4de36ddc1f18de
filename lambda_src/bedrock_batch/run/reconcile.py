"""Add up what the joins of a run counted: `outcomes`, tokens, `errors`, `retried`, `parts`. No row may be missing."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bedrock_batch.answers.outcome import OUTCOMES, most_frequent
from bedrock_batch.contracts.lines import Joined
from bedrock_batch.contracts.shape import Shape
from bedrock_batch.errors import JoinIncomplete

_NAMED = 10
"""The most shards that a message names; the rest is a number."""


@dataclass(frozen=True, slots=True)
class Totals(Shape):
    """The counts of a run, or of one of its models. `parts` are the output's parts in table order."""

    rows: int
    shards: int
    bytes: int
    outcomes: dict[str, int]
    leftovers: int
    input_tokens: int
    output_tokens: int
    errors: dict[str, int]
    error_messages: dict[str, str]
    met_max_tokens: int
    parts: list[dict[str, Any]]

    @property
    def sent(self) -> int:
        """The rows that were sent. Skipped rows were refused on purpose, and count neither way."""
        return self.rows - self.outcomes["skipped"]

    @property
    def answered(self) -> int:
        """The rows with an answer, even if it is truncated or invalid."""
        return self.sent - self.outcomes["failed"] - self.outcomes["missing"]


def reconcile(joined: Iterable[Joined], *, shards: int, rows: int, first: int = 0) -> Totals:
    """Add up what the joins of shards [first, first + shards) returned, in whatever order they came.

    Raises:
        JoinIncomplete: a shard is absent, there twice or foreign, or rows do not add up.
    """
    by_shard: dict[int, Joined] = {}
    problems: dict[str, list[int]] = {"without an output part": [], "joined twice": [], "whose rows do not add up": []}
    for one in joined:
        if one.shard in by_shard:
            problems["joined twice"].append(one.shard)
        if sum(one.outcomes.values()) != one.rows or not one.outcomes.keys() <= set(OUTCOMES):
            problems["whose rows do not add up"].append(one.shard)
        by_shard[one.shard] = one
    problems["without an output part"] = [number for number in range(first, first + shards) if number not in by_shard]
    problems["not of this run"] = [shard for shard in by_shard if not first <= shard < first + shards]
    found = [f"{_name_shards(numbers)} {what}" for what, numbers in problems.items() if numbers]
    total = sum(one.rows for one in by_shard.values())
    if not found and total != rows:
        found = [f"the parts have {total} rows together, the input has {rows}"]
    if found:
        raise JoinIncomplete(
            f"{'; '.join(found)}. All answers are kept in the run's folder raw/. The machine that stops runs now joins "
            "every shard again, and writes table and report. A redrive only counts again, and costs nothing."
        )

    parts = [by_shard[shard] for shard in sorted(by_shard)]
    outcomes, errors = Counter[str](), Counter[str]()
    messages: dict[str, str] = {}
    for one in parts:
        outcomes.update(one.outcomes)
        errors.update(one.errors)
        messages = one.messages | messages
    frequent = most_frequent(errors)
    return Totals(
        rows=rows,
        shards=shards,
        bytes=sum(one.bytes for one in parts),
        outcomes={outcome: outcomes[outcome] for outcome in OUTCOMES},
        leftovers=sum(one.leftovers for one in parts),
        input_tokens=sum(one.input_tokens for one in parts),
        output_tokens=sum(one.output_tokens for one in parts),
        errors=frequent,
        error_messages={code: messages[code] for code in frequent if code in messages},
        met_max_tokens=sum(one.met_max_tokens for one in parts),
        parts=[{"shard": one.shard, "key": one.output_key, "rows": one.rows, "bytes": one.bytes} for one in parts],
    )


def retried_counts(joined: Iterable[Joined]) -> dict[str, int]:
    """Return how many rows were sent once more, and the outcomes that these rows have now."""
    counts = Counter[str]()
    for one in joined:
        counts.update(one.retried)
    return {"records": counts.total(), **{outcome: counts[outcome] for outcome in OUTCOMES if counts[outcome]}}


def _name_shards(numbers: list[int]) -> str:
    listed = ", ".join(f"{number:05d}" for number in numbers[:_NAMED])
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    return f"shard{'s' if len(numbers) > 1 else ''} {listed}{more}"

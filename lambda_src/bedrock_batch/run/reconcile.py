"""Add up the counts of a run's joins: `outcomes`, tokens, `errors`, `retried`, `parts`. No row may be lost."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bedrock_batch.answers.outcome import OUTCOMES, most_frequent
from bedrock_batch.contracts.results import Joined
from bedrock_batch.contracts.shape import Shape
from bedrock_batch.errors import JoinIncomplete
from bedrock_batch.keys import shard_name

_NAMED = 10
"""Most shards that a message names. The others are only counted."""


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
        """The number of rows that were sent. Skipped rows were refused on purpose and do not count."""
        return self.rows - self.outcomes["skipped"]

    @property
    def answered(self) -> int:
        """The number of rows with an answer, even if it is truncated or invalid."""
        return self.sent - self.outcomes["failed"] - self.outcomes["missing"]


def reconcile(joined: Iterable[Joined], *, shards: int, rows: int, first: int = 0) -> Totals:
    """Add up the results of the joins of shards [first, first + shards), which may be in any order.

    Raises:
        JoinIncomplete: a shard is missing, occurs twice or is not of this run, or rows do not add up.
    """
    parts = sorted(joined, key=lambda one: one.shard)
    _check_complete(parts, range(first, first + shards), rows)
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


def _check_complete(joined: Sequence[Joined], numbers: range, rows: int) -> None:
    """Raise JoinIncomplete unless there is one join for each of the shards `numbers`, and rows add up to `rows`."""
    count = Counter(one.shard for one in joined)
    problems = {
        "without an output part": [number for number in numbers if number not in count],
        "joined twice": [shard for shard, times in count.items() if times > 1],
        "whose rows do not add up": [one.shard for one in joined if not _adds_up(one)],
        "not of this run": [shard for shard in count if shard not in numbers],
    }
    found = [f"{_name_shards(shards)} {what}" for what, shards in problems.items() if shards]
    total = sum(one.rows for one in joined)
    if not found and total != rows:
        found = [f"the parts together have {total} rows, but the input has {rows}"]
    if found:
        raise JoinIncomplete(
            f"{'; '.join(found)}. All answers are kept in the run's folder raw/. The stop-run machine now joins "
            "every shard again, and writes the table and the report. A redrive only counts again and costs nothing."
        )


def _adds_up(one: Joined) -> bool:
    return sum(one.outcomes.values()) == one.rows and one.outcomes.keys() <= set(OUTCOMES)


def retried_counts(joined: Iterable[Joined]) -> dict[str, int]:
    """Return how many rows were asked again, and the present outcomes of these rows."""
    counts = Counter[str]()
    for one in joined:
        counts.update(one.retried)
    return {"records": counts.total(), **{outcome: counts[outcome] for outcome in OUTCOMES if counts[outcome]}}


def _name_shards(numbers: list[int]) -> str:
    listed = ", ".join(shard_name(number) for number in numbers[:_NAMED])
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    return f"shard{'s' if len(numbers) > 1 else ''} {listed}{more}"

"""Add the shards of a run up, and judge the whole."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bedrock_batch.answers.outcome import OUTCOMES, most_frequent, named
from bedrock_batch.contracts.lines import Joined
from bedrock_batch.contracts.shape import Shape
from bedrock_batch.errors import JoinIncomplete, TooManyFailures, naming

_NAMED = 10
"""So many shards are named in a message; the rest is a number."""

FEW_ROWS = 50
"""Below so many rows sent a percentage says little: a run fails only when none of them has an answer."""


@dataclass(frozen=True, slots=True)
class Report(Shape):
    """The reconciled counts of a run. `parts` are the output's parts in table order."""

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
        """The rows that were sent: skipped ones were refused on purpose, and count neither way."""
        return self.rows - self.outcomes["skipped"]

    @property
    def answered(self) -> int:
        """The rows with an answer, be it cut or not of the schema."""
        return self.sent - self.outcomes["failed"] - self.outcomes["missing"]


def reconcile(joined: Iterable[Joined], *, shards: int, rows: int, first: int = 0) -> Report:
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
    return Report(
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


def statuses(ended: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return the number of jobs by status, from what their children returned."""
    return dict(sorted(Counter(result["status"] for result in ended).items()))


def statuses_by_model(ended: Collection[Mapping[str, Any]], models: Iterable[str]) -> dict[str, dict[str, int]]:
    """Return the same for each of several models; here each job has its `model_id`."""
    return {name: statuses(result for result in ended if result["model_id"] == name) for name in models}


def round_counts(ended: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a round's jobs by status and the records they had, from what their children returned."""
    return {"jobs": statuses(ended), "records": sum(result["records"] for result in ended)}


def pass_counts(answered: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return an on-demand pass's counts; `lost_chunks` ended with an error and are not among the records."""
    done = [result for result in answered if "error" not in result]
    return {
        "records": sum(result["records"] for result in done),
        "failed": sum(result["failed"] for result in done),
        "lost_chunks": len(answered) - len(done),
    }


def retried_counts(joined: Iterable[Joined]) -> dict[str, int]:
    """Return how many rows' records were sent once more, and the outcomes that these rows have now."""
    counts = Counter[str]()
    for one in joined:
        counts.update(one.retried)
    return {"records": counts.total(), **{outcome: counts[outcome] for outcome in OUTCOMES if counts[outcome]}}


def gate(report: Report, *, tolerated_failure_percentage: float) -> None:
    """Fail a run of which too little came back. Everything is written by then; nothing is lost.

    The percentage is of the rows sent, from `FEW_ROWS` on. A run without one answer fails whatever it tolerates.

    Raises:
        TooManyFailures: names the numbers and the most frequent errors.
    """
    sent, answered = report.sent, report.answered
    failures = sent - answered
    few = sent < FEW_ROWS
    if answered and (few or failures * 100 <= tolerated_failure_percentage * sent):
        return
    share = f"{failures} of {sent} rows sent have no answer"
    if answered:
        share += f" ({failures / sent:.1%}, tolerated are {tolerated_failure_percentage:g}%)"
    counts = ", ".join(f"{count} {name}" for name, count in report.outcomes.items() if count)
    codes = named(report.errors, report.error_messages)
    raise TooManyFailures(f"{share}: {counts}." + (f" Most frequent errors: {codes}." if codes else ""))


def gate_each(reports: Mapping[str, Report], *, tolerated_failure_percentage: float) -> list[str]:
    """Judge each model of a run by itself; `reports` are by the model's name, which is empty where it is the only one.

    Returns a warning for each model that failed where others did not.

    Raises:
        TooManyFailures: too little came back of every model; names all.
    """
    problems = []
    for model_id, report in reports.items():
        try:
            with naming(model_id):
                gate(report, tolerated_failure_percentage=tolerated_failure_percentage)
        except TooManyFailures as err:
            problems.append(str(err))
    if len(problems) == len(reports):
        raise TooManyFailures(" ".join(problems))
    return problems


def _name_shards(numbers: list[int]) -> str:
    listed = ", ".join(f"{number:05d}" for number in numbers[:_NAMED])
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    return f"shard{'s' if len(numbers) > 1 else ''} {listed}{more}"

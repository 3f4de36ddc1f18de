"""What a run may do under its faults: foretold from its schedule alone, and judged from what Bedrock really wrote.

The flow of a run is told here a second time, in its plainest form: jobs, leftovers, rounds, the tail on demand. For a
run that nobody stopped it is exact; a stopped one is judged by what is always true.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.soak.schedules import FORBIDDEN, MIN_RECORDS, Rule, Schedule

LEFTOVER_CODES = {"408", "429", "500", "503"}
FINAL_CODES = {"400", "403"}
MISSING, SUCCEEDED, SKIPPED = ("missing", None), ("succeeded", None), ("skipped", None)
REFUSED_TWICE = ("failed", "RefusedTwice")

Outcome = tuple[str, str | None]
"""An outcome, with its code where a record failed."""


@dataclass(slots=True)
class Foretold:
    """The end of a run: outcomes by record, jobs by status, rounds, records answered on demand."""

    outcomes: dict[str, Outcome]
    rounds: list[dict[str, int]] = field(default_factory=list)
    on_demand: int = 0
    dropped: int = 0
    """Answers that Bedrock made and lost: these alone may be paid again."""
    refusals: Counter[str] = field(default_factory=Counter)
    """How many jobs refused a record."""
    forbidden: set[int] = field(default_factory=set)
    """Rounds that lacked a permission: they do not count, and each costs a redrive."""

    @property
    def left(self) -> int:
        """The records that may still get an answer."""
        return sum(is_left(outcome) for outcome in self.outcomes.values())


def is_left(outcome: Outcome) -> bool:
    return outcome == MISSING or (outcome[0] == "failed" and outcome[1] in LEFTOVER_CODES)


def foretell(schedule: Schedule, rules: list[Rule], digest: str, shards: list[list[str]]) -> Foretold:
    """Return how the run ends; `shards` are the record ids of each shard, without skipped rows."""
    told = Foretold({record: MISSING for shard in shards for record in shard})
    sent: set[int] = set()
    answered_tail = False
    while told.left:
        unsent = {number for number, shard in enumerate(shards) if shard and number not in sent}
        if told.left >= MIN_RECORDS:
            if len(told.rounds) - len(told.forbidden) > schedule.max_rounds and not unsent:
                break
            _round(told, schedule, rules, digest, shards, unsent)
            sent |= {number for number in unsent if len(shards[number]) >= MIN_RECORDS or _pooled(shards, unsent)}
        elif schedule.on_demand_tail and not answered_tail:
            answered_tail = True
            left = [record for record, outcome in told.outcomes.items() if is_left(outcome)]
            told.outcomes |= dict.fromkeys(left, SUCCEEDED)
            told.on_demand = len(left)
        else:
            break
    return told


def _pooled(shards: list[list[str]], unsent: set[int]) -> bool:
    """Tell whether small shards that no job had yet are many enough for a pooled one. Larger ones have their own."""
    return sum(len(shards[n]) for n in unsent if len(shards[n]) < MIN_RECORDS) >= MIN_RECORDS


def _round(
    told: Foretold, schedule: Schedule, rules: list[Rule], digest: str, shards: list[list[str]], unsent: set[int]
) -> None:
    whole = [number for number in sorted(unsent) if len(shards[number]) >= MIN_RECORDS]
    jobs = {number: shards[number] for number in whole}
    rest = [
        record
        for number, shard in enumerate(shards)
        if number not in whole
        for record in shard
        if is_left(told.outcomes[record])
    ]
    count = min(-(-len(rest) // schedule.records_per_job), len(rest) // MIN_RECORDS)
    for number in range(count):
        records = rest[len(rest) * number // count : len(rest) * (number + 1) // count]
        jobs[number + (len(shards) if whole else 0)] = records
    statuses: Counter[str] = Counter()
    for number, records in jobs.items():
        statuses[_job(told, rules, f"-{digest}-r{len(told.rounds)}-{number:05d}", records)] += 1
    told.rounds.append(dict(statuses))


def _job(told: Foretold, rules: list[Rule], name: str, records: list[str]) -> str:
    """Let a job do what its faults say; return its status."""

    def fault(kind: str) -> Any:
        fitting = (rule[kind] for rule in rules if kind in rule and rule["job_name_contains"] in name)
        return next(fitting, None)

    if fault("refuse_create"):
        _refuse(told, records)
        return "NotCreated"
    share, message, expired = fault("partial"), fault("fail_job"), fault("expire")
    status = "Failed" if message else "Expired" if expired else "Completed" if share is None else "PartiallyCompleted"
    processed = len(records) if share is None else int(len(records) * share)
    if share is None and status != "Completed":
        processed = 0
    if message == FORBIDDEN:
        told.forbidden.add(len(told.rounds))
    elif message and not processed:
        _refuse(told, records)
    errors = fault("record_errors")
    for number, record in enumerate(records[:processed], 1):
        failed = errors is not None and number % errors["every"] == 0
        if number <= (fault("drop_records") or 0):
            told.dropped += not failed
        elif failed:
            told.outcomes[record] = ("failed", str(errors["code"]))
        else:
            told.outcomes[record] = SUCCEEDED
    return status


def _refuse(told: Foretold, records: list[str]) -> None:
    """Let a job do nothing with its records: those that two jobs refused have their end."""
    told.refusals.update(records)
    told.outcomes |= {record: REFUSED_TWICE for record in records if told.refusals[record] == 2}


# --- From what Bedrock wrote ---


@dataclass(slots=True)
class Evidence:
    """All that came back for a record, in the order of rounds: model outputs and error codes."""

    answers: list[tuple[int, Any]] = field(default_factory=list)
    codes: list[tuple[int, str]] = field(default_factory=list)

    def allows(self, outcome: Outcome) -> bool:
        """Tell whether that is what a row's outcome must be: an answer if there is one, else an error, else missing."""
        if self.answers:
            return outcome == SUCCEEDED
        if outcome == REFUSED_TWICE:  # of which Bedrock writes nothing
            return True
        if self.codes:
            last = max(round_ for round_, _ in self.codes)
            return outcome in {("failed", code) for round_, code in self.codes if round_ == last}
        return outcome == MISSING

    def settled_before(self, round_: int) -> bool:
        """Tell whether an earlier round answered the record, or refused it for good: then it must not be sent again."""
        answered = any(at < round_ for at, _ in self.answers)
        return answered or any(at < round_ and code not in LEFTOVER_CODES for at, code in self.codes)


def read_evidence(lines: list[tuple[int, dict[str, Any]]]) -> dict[str, Evidence]:
    """Return what the output lines, each with its round, say of each record."""
    evidence: dict[str, Evidence] = {}
    for round_, line in lines:
        found = evidence.setdefault(line["recordId"], Evidence())
        if "error" in line:
            found.codes.append((round_, str(line["error"]["errorCode"])))
        else:
            found.answers.append((round_, line["modelOutput"]))
    return evidence

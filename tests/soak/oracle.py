"""Predict what a run does under its faults, from its schedule alone.

This is a second, simple implementation of a run's flow: jobs, leftovers, rounds, retries, the canary and the tail on
demand. For a run that nobody stopped, the prediction is exact. A stopped run is checked by what is always true.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.soak.schedules import FORBIDDEN, MIN_RECORDS, MOST_REFUSALS, REFUSED_CREATE, Answered, Rule, Schedule

LEFTOVER_CODES = {"408", "429", "500", "503"}
FINAL_CODES = {"400", "403"}
MISSING, SUCCEEDED, SKIPPED, TRUNCATED = ("missing", None), ("succeeded", None), ("skipped", None), ("truncated", None)
REFUSED_TWICE = ("failed", "RefusedTwice")

Outcome = tuple[str, str | None]
"""An outcome, with its code where a record failed."""

Key = tuple[int, str]
"""A record of a model: the number of the model, and the record's id."""

Call = tuple[int, str, bool]
"""A request to a model: the number of the model, the record's id, and whether it has the larger limit."""

Want = Literal["run_jobs", "answer", "nothing"]


@dataclass(slots=True)
class Record:
    """A record of a model, and its results."""

    key: Key
    answered: Answered
    outcome: Outcome = MISSING
    listed: bool = False
    """It was asked again, because its answer met the limit."""
    closed: bool = False
    """The model answered it the second time, or it was refused for good."""
    refusals: int = 0
    """The number of jobs that did nothing because the record is wrong."""

    @property
    def is_retry(self) -> bool:
        """Whether it is a retry: it is asked again, because its answer met the limit."""
        return self.outcome == TRUNCATED and not self.closed

    def refuse(self) -> None:
        """Note that a job did nothing with it. After the second such job it is not sent again."""
        self.refusals += 1
        if self.refusals == MOST_REFUSALS:
            if self.is_retry:
                self.closed = True
            else:
                self.outcome = REFUSED_TWICE


@dataclass(slots=True)
class Model:
    """One of the run's models, with its shards' records. `sent` are the shards with records in a job or a pass.

    `forbidden` are the rounds in which a job lacked a permission. They do not count, and each needs a redrive.
    """

    number: int
    shards: list[list[Record]]
    sent: set[int] = field(default_factory=set)
    forbidden: set[int] = field(default_factory=set)

    def firsts(self) -> list[Record]:
        """Return the records to ask again for the first time."""
        return [record for shard in self.shards for record in shard if record.is_retry and not record.listed]

    def left(self, without: Iterable[int] = ()) -> list[Record]:
        """Return all records that may be sent, in the order of their files, without the shards in `without`."""
        found = []
        for number, shard in enumerate(self.shards):
            if number not in without:
                found += [record for record in shard if record.is_retry and not record.listed]
                found += [record for record in shard if record.is_retry and record.listed]
                found += [record for record in shard if is_left(record.outcome)]
        return found

    def unsent(self) -> set[int]:
        return {number for number, shard in enumerate(self.shards) if shard and number not in self.sent}


@dataclass(slots=True)
class Foretold:
    """The end of a run: outcomes, jobs by status in each round, records in each pass, answers to second requests."""

    models: list[Model]
    rounds: list[dict[str, int]] = field(default_factory=list)
    passes: list[int] = field(default_factory=list)
    paid: Counter[Call] = field(default_factory=Counter)
    retried: Counter[str] = field(default_factory=Counter)

    @property
    def forbidden(self) -> set[int]:
        return {round_ for model in self.models for round_ in model.forbidden}

    @property
    def outcomes(self) -> dict[Key, Outcome]:
        return {record.key: record.outcome for model in self.models for shard in model.shards for record in shard}

    @property
    def paid_twice(self) -> dict[Call, int]:
        return {call: count - 1 for call, count in self.paid.items() if count > 1}

    def answer(self, record: Record, *, lost: bool = False) -> None:
        """Let the model answer. The answer is lost if Bedrock does not write it."""
        again = record.is_retry
        self.paid[*record.key, again] += 1
        if lost:
            return
        cut = record.answered == "cut always" or (record.answered == "cut once" and not again)
        record.outcome = TRUNCATED if cut else SUCCEEDED
        if again:
            record.closed = True
            self.retried[record.outcome[0]] += 1

    def send(self, model: Model, records: list[Record]) -> None:
        """Note that a job or a pass has these records."""
        keys = {record.key for record in records}
        model.sent |= {number for number, shard in enumerate(model.shards) if keys & {one.key for one in shard}}
        for record in records:
            record.listed |= record.is_retry


def is_left(outcome: Outcome) -> bool:
    return outcome == MISSING or (outcome[0] == "failed" and outcome[1] in LEFTOVER_CODES)


def foretell(schedule: Schedule, shards: list[list[tuple[str, Answered]]]) -> Foretold:
    """Return how the run ends; `shards` are the record ids of each shard, without skipped rows."""
    told = Foretold(
        [
            Model(number, [[Record((number, one), answered) for one, answered in shard] for shard in shards])
            for number in range(len(schedule.models))
        ]
    )
    canary = bool(schedule.canary and shards[0])
    if canary:
        _pass(told, [(model, model.shards[0]) for model in told.models])
    while True:
        wants = [_want(told, model, schedule, tail_done=len(told.passes) > canary) for model in told.models]
        step = next((step for step in ("run_jobs", "answer") if any(want == step for want, _ in wants)), None)
        due = [(model, left) for model, (want, left) in zip(told.models, wants, strict=True) if want == step]
        if step == "run_jobs":
            _round(told, schedule, due)
        elif step == "answer":
            _pass(told, due)
        else:
            return told


def _want(told: Foretold, model: Model, schedule: Schedule, *, tail_done: bool) -> tuple[Want, list[Record]]:
    left, firsts = model.left(), model.firsts()
    rounds = len(told.rounds) - len(model.forbidden)
    if len(left) >= MIN_RECORDS and (rounds <= schedule.max_rounds or model.unsent()):
        return "run_jobs", left
    if len(firsts) >= MIN_RECORDS:
        return "run_jobs", firsts
    if schedule.on_demand_tail and left and len(left) - len(firsts) < MIN_RECORDS and not tail_done:
        return "answer", left
    if schedule.on_demand_tail and firsts:
        return "answer", firsts
    return "nothing", []


def _pass(told: Foretold, due: list[tuple[Model, list[Record]]]) -> None:
    told.passes.append(sum(len(records) for _, records in due))
    for model, records in due:
        told.send(model, records)
        for record in records:
            told.answer(record)


def _round(told: Foretold, schedule: Schedule, due: list[tuple[Model, list[Record]]]) -> None:
    rules, statuses = schedule.bedrock_rules(), Counter[str]()
    for model, left in due:
        shards, several = len(model.shards), len(told.models)
        whole = [number for number in sorted(model.unsent()) if len(model.shards[number]) >= MIN_RECORDS]
        jobs = {model.number * shards + number: model.shards[number] for number in whole}
        of_whole = {record.key for number in whole for record in model.shards[number]}
        rest = [record for record in left if record.key not in of_whole]
        count = min(-(-len(rest) // schedule.records_per_job), len(rest) // MIN_RECORDS)
        start = (shards if whole else 0) if several == 1 else several * shards + model.number
        for number in range(count):
            jobs[start + number * several] = rest[len(rest) * number // count : len(rest) * (number + 1) // count]
        for number, records in jobs.items():
            told.send(model, records)
            name = f"{schedule.jobs}…-r{len(told.rounds)}-{number:05d}"
            statuses[_job(told, rules, name, records)] += 1
            if lacks_permission(rules, name):
                model.forbidden.add(len(told.rounds))
    told.rounds.append(dict(statuses))


def fault(rules: Iterable[Rule], job_name: str, kind: str) -> Any:
    """Return the value of a fault in the first rule for a job."""
    of_jobs = (rule for rule in rules if kind in rule and "job_name_contains" in rule)
    return next((rule[kind] for rule in of_jobs if all(text in job_name for text in rule["job_name_contains"])), None)


def lacks_permission(rules: list[Rule], job_name: str) -> bool:
    create = fault(rules, job_name, "refuse_create")
    return bool(create["error"] != REFUSED_CREATE if create else fault(rules, job_name, "fail_job") == FORBIDDEN)


def does_nothing(rules: list[Rule], job_name: str, records: int) -> bool:
    """Return whether a job refuses its records because they or its request are wrong."""
    if lacks_permission(rules, job_name):
        return False
    if fault(rules, job_name, "refuse_create"):
        return True
    share = fault(rules, job_name, "partial")
    return bool(fault(rules, job_name, "fail_job")) and not int(records * (share or 0))


def _job(told: Foretold, rules: list[Rule], name: str, records: list[Record]) -> str:
    """Run a job with its faults; return its status."""
    if does_nothing(rules, name, len(records)):
        for record in records:
            record.refuse()
    if fault(rules, name, "refuse_create"):
        return "NotCreated"
    share, message, expired = (fault(rules, name, kind) for kind in ("partial", "fail_job", "expire"))
    status = "Failed" if message else "Expired" if expired else "Completed" if share is None else "PartiallyCompleted"
    processed = len(records) if share is None else int(len(records) * share)
    if share is None and status != "Completed":
        processed = 0
    errors, dropped = fault(rules, name, "record_errors"), fault(rules, name, "drop_records") or 0
    for number, record in enumerate(records[:processed], 1):
        lost = number <= dropped
        if errors is None or number % errors["every"]:
            told.answer(record, lost=lost)
        elif not lost and record.is_retry:
            record.closed = str(errors["code"]) in FINAL_CODES
        elif not lost:
            record.outcome = ("failed", str(errors["code"]))
    return status

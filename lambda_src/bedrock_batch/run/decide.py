"""Decide what happens to the records that have no answer yet, and pool them into legal jobs.

Only this module decides what a run does next. Each step joins shards that changed, starts a round, answers on demand or
finishes. A run always ends: rounds and on-demand passes are limited, and a joined shard is not joined again until one
of its jobs ends.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any

from bedrock_batch.answers.outcome import ANSWERED, named
from bedrock_batch.contracts.lines import JobEnd, LeftoverLines
from bedrock_batch.contracts.results import Joined
from bedrock_batch.contracts.state import Next
from bedrock_batch.errors import CanaryFailed, PermissionMissing

MAX_POOLED_SHARDS = 2_000
"""Most shards of one pooled job: its line must fit into the 256 KB of a state machine's payload."""

_MARGIN = 0.9
"""The part of the file quota that a pooled file may fill by estimate, which is rough if two jobs share a shard."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The progress of a shard: its prepared records, its ended jobs, and the result of its last join.

    `ends` are the jobs' ends in the order of time. An on-demand pass counts as a job.
    """

    shard: int
    records: int
    bytes: int
    ends: tuple[JobEnd, ...] = ()
    joined: Joined | None = None
    input_tokens: int = 0
    """Estimated input tokens of its prepared records."""

    @property
    def stale(self) -> bool:
        """Whether a job has ended since the last join."""
        return len(self.ends) > (self.joined.jobs if self.joined else 0)

    @property
    def unsent(self) -> bool:
        """Whether no job has had its records yet."""
        return bool(self.records) and not self.ends

    @property
    def leftovers(self) -> int:
        """The number of records that may still get an answer, or a better one, according to the last join."""
        return self.joined.leftovers + self.joined.retries if self.joined else self.records

    @property
    def retries(self) -> int:
        """The number of leftovers that are retries: they have an answer and are asked again for a better one."""
        return self.joined.retries if self.joined else 0

    @property
    def leftover_bytes(self) -> int:
        return self.bytes if self.leftovers_step is None else self.joined.leftover_bytes if self.joined else 0

    @property
    def leftovers_step(self) -> int | None:
        return self.joined.leftovers_step if self.joined else None

    def retries_alone(self) -> "Standing":
        """Return the standing with its retries as the only leftovers. They are the first lines of the file."""
        if self.joined is None:
            raise ValueError(f"shard {self.shard} was never joined, so its retries are not known")
        size = self.leftover_bytes * self.retries // max(1, self.leftovers)
        return replace(self, joined=replace(self.joined, leftovers=0, leftover_bytes=size))


def decide(
    standings: Sequence[Standing], *, rounds: int, tail_done: bool, min_records: int, limits: Mapping[str, Any]
) -> tuple[Next, Sequence[Standing]]:
    """Return what a run does next, and the shards whose leftovers it sends.

    `rounds` is the number of rounds so far, including round 0. A round that lacked a permission does not count, because
    a redrive repeats it.

    `max_rounds` limits repetitions. It does not limit two kinds of records. A record that no job has had yet gets its
    round in any case. So does a retry, if necessary in a round of retries alone: a join counts a record as a retry only
    once. If the retry gets no second answer, it is an ordinary leftover, which `max_rounds` limits.
    """
    if any(standing.stale for standing in standings):
        return "join", standings
    left = sum(standing.leftovers for standing in standings)
    again = [standing.retries_alone() for standing in standings if standing.retries]
    retries = sum(standing.retries for standing in again)
    rounds_left = rounds <= limits["max_rounds"] or any(standing.unsent for standing in standings)
    if left >= min_records and rounds_left:
        return "run_jobs", standings
    if retries >= min_records:
        return "run_jobs", again
    if left and limits["on_demand_tail"]:
        if left - retries < min_records and not tail_done:
            return "answer", standings
        if retries:
            return "answer", again
    return ("join" if any(standing.joined is None for standing in standings) else "finish"), standings


def first_of(wants: Collection[Next], *, stale: bool) -> Next:
    """Return what a run of several models does next; `wants` has the result of `decide` for each model.

    Rounds come first, then the on-demand passes of all models together. Round and pass counters are kept per run, not
    per model. That is safe: leftovers only become fewer, so a model never skips a round and then wants one, and a model
    that waits still wants the same later. Retries may appear late, but no counter limits the first time of a retry.
    """
    if stale:
        return "join"
    order: tuple[Next, ...] = ("run_jobs", "answer", "join")
    return next((step for step in order if step in wants), "finish")


def whole_shards(standings: Sequence[Standing], *, min_records: int) -> list[int]:
    """Return the shards that get their own job: no job has had them yet, and they are large enough for one."""
    return [standing.shard for standing in standings if standing.unsent and standing.records >= min_records]


def pool(
    standings: Sequence[Standing], *, min_records: int, max_records: int, max_bytes: int
) -> list[list[LeftoverLines]]:
    """Return the records of each pooled job: all leftovers, each once, in order, in a few jobs of equal size.

    There is no job if the leftovers are too few for one. A job exceeds `max_records` or `max_bytes` only if more jobs
    would have fewer than `min_records` each.
    """
    left = [standing for standing in standings if standing.leftovers]
    total = sum(standing.leftovers for standing in left)
    highest = total // min_records
    if not highest:
        return []
    sizes = {standing.shard: standing.leftover_bytes / standing.leftovers for standing in left}
    count = min(-(-total // max_records), highest)
    while True:
        jobs = slices(left, [total * number // count for number in range(count + 1)])
        if count == highest or all(_fits(job, sizes, max_bytes * _MARGIN) for job in jobs):
            return jobs
        count = min(highest, count + 1 + count // 8)


def _fits(job: Sequence[LeftoverLines], sizes: Mapping[int, float], max_bytes: float) -> bool:
    size = sum(one.records * sizes[one.shard] for one in job)
    return size <= max_bytes and len(job) <= MAX_POOLED_SHARDS


def chunks(standings: Sequence[Standing], *, records: int) -> list[list[LeftoverLines]]:
    """Return all leftovers in order, in chunks of `records` records to answer on demand."""
    total = sum(standing.leftovers for standing in standings)
    return slices(standings, [*range(0, total, records), total])


def slices(standings: Sequence[Standing], edges: Sequence[int]) -> list[list[LeftoverLines]]:
    """Return the leftovers between neighbouring edges. An edge is an index into the leftovers of all shards."""
    starts = [0, *accumulate(standing.leftovers for standing in standings)]
    found: list[list[LeftoverLines]] = []
    at = 0
    for low, high in pairwise(edges):
        own: list[LeftoverLines] = []
        while low < high:
            while starts[at + 1] <= low:
                at += 1
            stop = min(high, starts[at + 1])
            one = standings[at]
            own.append(LeftoverLines(one.shard, low - starts[at], stop - starts[at], one.leftovers_step))
            low = stop
        found.append(own)
    return found


def check_permissions(models: Mapping[str, tuple[Sequence[Standing], Mapping[int, str]]]) -> None:
    """Refuse to go on while records wait for a missing permission: their next job would be refused too.

    `models` has each model's standings, and the shards whose last job lacked a permission, with Bedrock's messages.

    Raises:
        PermissionMissing: the message has Bedrock's words and what to do.
    """
    refused = []
    for label, (standings, messages) in models.items():
        waiting = [one for one in standings if one.shard in messages and one.joined and one.joined.leftovers]
        if waiting:
            about = f"{label}: " if label else ""
            left = sum(one.joined.leftovers for one in waiting if one.joined)
            refused.append(f"{about}{messages[waiting[0].shard]} ({left} records have no answer)")
    if refused:
        raise PermissionMissing(
            "A permission is missing: Bedrock refused a job because a role, bucket, key or model may not be used. "
            f"Bedrock says: {'; '.join(refused)}. No answer is lost. Grant the permission, wait until the stop-run "
            "machine has ended, then redrive the execution: it sends only the records without an answer again."
        )


def check_canary(canary: Standing, *, canary_failure_percentage: float) -> None:
    """Refuse to go on if the canary shows that the other rows would fail. Leftovers of the canary do not count.

    This check is stricter than the one at the end of a run, because the other rows are not paid yet: an answer that
    cannot be used counts as no answer.

    Raises:
        CanaryFailed: the message has the numbers and the most frequent errors.
    """
    if canary.joined is None or not canary.records:
        return
    joined = canary.joined
    answered = sum(joined.outcomes.get(outcome, 0) for outcome in ANSWERED)
    failures = canary.records - answered - joined.leftovers
    if answered and failures * 100 <= canary_failure_percentage * canary.records:
        return
    raise CanaryFailed(
        f"Only {answered} of the first {canary.records} records were answered, so no batch job was started. "
        f"Their errors are in {joined.output_key}: {named(joined.errors, joined.messages)}. Only these records were "
        "paid. Correct the request and start a new run. A redrive would not help: it sends nothing again."
    )

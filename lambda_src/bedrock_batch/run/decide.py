"""Decide what happens to the records that have no answer yet, and pool them into legal jobs.

This is the only place that decides how a run goes on. Every turn joins what changed, starts a round, answers on
demand or finishes; rounds and on-demand passes are bounded and a join makes its shard known, so it always ends.
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
"""The most shards that feed one pooled job: its line must fit the 256 KB that a state machine carries."""

_MARGIN = 0.9
"""How full a pooled file may be by estimate: of a shard that two jobs share, only the whole size is known."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a shard is: its prepared records, the jobs that have ended, and what its last join said.

    `ends` are in the order of time; an on-demand pass counts as a job.
    """

    shard: int
    records: int
    bytes: int
    ends: tuple[JobEnd, ...] = ()
    joined: Joined | None = None
    input_tokens: int = 0
    """The estimate of its prepared records."""

    @property
    def stale(self) -> bool:
        """Whether a job has ended since the last join."""
        return len(self.ends) > (self.joined.jobs if self.joined else 0)

    @property
    def unsent(self) -> bool:
        """Whether no job had its records yet."""
        return bool(self.records) and not self.ends

    @property
    def leftovers(self) -> int:
        """How many records may still get an answer, or a better one, as far as the last join knows."""
        return self.joined.leftovers + self.joined.retries if self.joined else self.records

    @property
    def retries(self) -> int:
        """How many of these have an answer, and are asked again for a better one."""
        return self.joined.retries if self.joined else 0

    @property
    def leftover_bytes(self) -> int:
        return self.bytes if self.leftovers_step is None else self.joined.leftover_bytes if self.joined else 0

    @property
    def leftovers_step(self) -> int | None:
        return self.joined.leftovers_step if self.joined else None

    def retries_alone(self) -> "Standing":
        """Return the standing as if its retries were all that is left; in their file they come first."""
        if self.joined is None:
            raise ValueError(f"shard {self.shard} was never joined, so nothing of it is known")
        size = self.leftover_bytes * self.retries // max(1, self.leftovers)
        return replace(self, joined=replace(self.joined, leftovers=0, leftover_bytes=size))


def decide(
    standings: Sequence[Standing], *, rounds: int, tail_done: bool, min_records: int, limits: Mapping[str, Any]
) -> tuple[Next, Sequence[Standing]]:
    """Return what a run does next, and with whose leftovers; `rounds` have been started so far, the first one counted.

    `rounds` does not count those that lacked a permission: a redrive of the run repeats them.

    `max_rounds` limits repetitions: a record that no job has had yet gets its round in any case. So does a record that
    is asked again for a better answer, if need be in a round of such records alone: a join counts a record among
    its retries once at most. If it gets no second answer then, it is a leftover like others, which `max_rounds` limits.
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
    """Return what a run of several models does next, when `decide` has said for each what it wants.

    No model overtakes another: rounds first, then the on-demand passes of all models at once. Rounds and passes are
    counted per run, not per model. That is safe: leftovers only become fewer, so a model never skips a round and then
    wants one, and a model that waits still wants the same later. Records that are asked again for a better answer
    may turn up late, but no count limits their first time.
    """
    if stale:
        return "join"
    order: tuple[Next, ...] = ("run_jobs", "answer", "join")
    return next((step for step in order if step in wants), "finish")


def whole_shards(standings: Sequence[Standing], *, min_records: int) -> list[int]:
    """Return the shards that get a job of their own: those that no job had yet, and large enough for one."""
    return [standing.shard for standing in standings if standing.unsent and standing.records >= min_records]


def pool(
    standings: Sequence[Standing], *, min_records: int, max_records: int, max_bytes: int
) -> list[list[LeftoverLines]]:
    """Return the records of each pooled job: all leftovers, each once, in order, in few jobs of equal size.

    None when they are too few for one job. A job has more than `max_records` or `max_bytes` only if more jobs
    would have less than `min_records` each.
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
    """Return all leftovers in order, cut into chunks of `records` to answer on demand."""
    total = sum(standing.leftovers for standing in standings)
    return slices(standings, [*range(0, total, records), total])


def slices(standings: Sequence[Standing], edges: Sequence[int]) -> list[list[LeftoverLines]]:
    """Return the leftovers between each two edges. Edges count the leftovers of all shards, from 0 to their number."""
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
    """Refuse to go on while records wait for a permission that their jobs lacked: sent again, they would meet the same.

    `models` has each model's standings, and the shards whose job of the last round lacked one, with Bedrock's message.

    Raises:
        PermissionMissing: with what Bedrock said, and what to do.
    """
    told = []
    for label, (standings, messages) in models.items():
        waiting = [one for one in standings if one.shard in messages and one.joined and one.joined.leftovers]
        if waiting:
            about = f"{label}: " if label else ""
            left = sum(one.joined.leftovers for one in waiting if one.joined)
            told.append(f"{about}{messages[waiting[0].shard]} ({left} records have no answer)")
    if told:
        raise PermissionMissing(
            "A permission is missing: a job was refused because a role, bucket, key or model may not be used. Bedrock "
            f"says: {'; '.join(told)}. No answer is lost. Repair the permission, wait until the stop-run machine has "
            "ended, then redrive the execution: it asks again for the records without an answer, and for no others."
        )


def check_canary(canary: Standing, *, canary_failure_percentage: float) -> None:
    """Refuse to go on when the first rows show that the rest would fail. Leftovers may still be answered.

    Stricter than the end of a run, as nothing of the rest is paid yet: an answer of no use counts as none.

    Raises:
        CanaryFailed: with the numbers and the most frequent errors.
    """
    if canary.joined is None or not canary.records:
        return
    joined = canary.joined
    answered = sum(joined.outcomes.get(outcome, 0) for outcome in ANSWERED)
    failures = canary.records - answered - joined.leftovers
    if answered and failures * 100 <= canary_failure_percentage * canary.records:
        return
    raise CanaryFailed(
        f"Of the first {canary.records} records {answered} were answered, so no batch job was started. "
        f"Their errors are in {joined.output_key}: {named(joined.errors, joined.messages)}. Only these records were "
        "paid. Mend the request and start a new run: a redrive asks nothing."
    )

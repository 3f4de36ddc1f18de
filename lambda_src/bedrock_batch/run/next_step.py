"""Decide what a run does next, and write the lines of the Map that does it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, count
from typing import Any

from bedrock_batch.aws.batch_jobs import active_jobs
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.run import Run
from bedrock_batch.contracts.state import Next, OverBudget, RunState
from bedrock_batch.errors import naming
from bedrock_batch.models.catalogue import jobs_quota
from bedrock_batch.run import budget, by_bedrock, decide, next_lines, progress
from bedrock_batch.run.budget import Models


def next_step(s3: S3, bedrock: Any, runs: Sequence[Run], state: RunState) -> RunState:
    """Return the state with `next` and the key of the lines that the next Map reads.

    `state` comes from `progress.collect`. `runs` are the run documents of its models.
    """
    found = progress.load(s3, state, runs)
    models = [(run, found.of(run)) for run in runs]
    canaries = [(run, standings[:1]) for run, standings in models if run.canary and standings[0].records]
    if canaries and not state.passes:
        return _answer(s3, state, canaries)
    decision, due = _decide(state, found, models, tail_done=state.passes > (1 if canaries else 0))
    if decision == "run_jobs" and not state.rounds:
        _check_canaries(canaries)
    if over := _over_budget(s3, state, decision, models, due):
        state = replace(state, over_budget=over)
        decision = "join" if any(one.joined is None for one in found.standings) else "finish"
    if decision == "run_jobs":
        return _run_jobs(s3, bedrock, state, found, due)
    if decision == "answer":
        return _answer(s3, state, due)
    if decision == "join":
        return _join(s3, state, found, runs)
    return replace(state, next="finish")


def _decide(state: RunState, found: progress.Progress, models: Models, *, tail_done: bool) -> tuple[Next, Models]:
    """Return what the run does next, and the models that take part, each with its shards for that step."""
    denied = [found.without_permission(run) for run, _ in models]
    stale = any(one.stale for one in found.standings)
    if not stale:  # The last round is joined.
        _check_permissions(state, models, denied)
    wants = [
        decide.decide(
            standings,
            rounds=sum(not shards for shards in denied_shards),
            tail_done=tail_done,
            min_records=run.quotas["min_records"],
            limits=run.limits,
        )
        for (run, standings), denied_shards in zip(models, denied, strict=True)
    ]
    decision = decide.first_of([want for want, _ in wants], stale=stale)
    return decision, [(run, left) for (run, _), (want, left) in zip(models, wants, strict=True) if want == decision]


def _over_budget(s3: S3, state: RunState, decision: Next, models: Models, due: Models) -> OverBudget | None:
    """Return why the budget forbids the decision; None if it allows it. Review run has checked the first step."""
    limit = models[0][0].limits.get("budget_usd")
    if limit is None or decision not in ("run_jobs", "answer") or not (state.rounds or state.passes):
        return None
    manifests = by_bedrock.read_manifests(s3, models[0][0])
    return budget.excess(decision, models, due, manifests, budget_usd=limit)


def _check_permissions(state: RunState, models: Models, denied: Sequence[Sequence[Mapping[int, str]]]) -> None:
    """Refuse to go on after a round that lacked a permission, until the run is redriven.

    A redrive brings the same state with a higher count of redrives. So each redrive allows exactly one such round.
    """
    if state.rounds and state.redrives == state.round_redrives:
        last = {run.label: (own, shards[-1]) for (run, own), shards in zip(models, denied, strict=True)}
        decide.check_permissions(last)


def _check_canaries(canaries: Models) -> None:
    for run, (canary,) in canaries:
        tolerated = run.limits.get("canary_failure_percentage", 50)  # A run of an earlier version has no such limit.
        with naming(run.label):
            decide.check_canary(canary, canary_failure_percentage=tolerated)


def _run_jobs(s3: S3, bedrock: Any, state: RunState, found: progress.Progress, models: Models) -> RunState:
    round_ = state.rounds
    jobs_key = models[0][0].keys.jobs(round_)
    lines = next_lines.in_turn(
        next_lines.job_lines(run, progress.plan_of(s3, run), standings, found.skipped_keys, round_=round_)
        for run, standings in models
    )
    jobs = s3.put_lines(state.bucket, jobs_key, lines)
    return replace(
        state,
        next="run_jobs",
        rounds=round_ + 1,
        round_redrives=state.redrives,
        jobs=state.jobs + jobs,
        jobs_key=jobs_key,
        max_concurrent_jobs=min(models[0][0].limits["max_concurrent_jobs"], _free_jobs(bedrock, models)),
    )


def _free_jobs(bedrock: Any, models: Models) -> int:
    """Return how many jobs the models may start: at least one each, because a Create waits if the quota is full."""
    by_quota = {jobs_quota(run.model_id): run for run, _ in models}
    free = 0
    for quota, run in by_quota.items():
        others = active_jobs(bedrock, partial(_shares, quota), run_id=run.run_id, run_digest=run.digest)
        free += max(1, run.quotas["concurrent_jobs"] - others)
    return free


def _shares(quota: tuple[str, bool], model_id: str) -> bool:
    """Return whether the jobs of a model count towards a quota."""
    return jobs_quota(model_id) == quota


def _answer(s3: S3, state: RunState, models: Models) -> RunState:
    pass_ = state.passes
    answers_key = models[0][0].keys.answers(pass_)
    chunks = count()
    lines = (next_lines.answer_lines(run, standings, pass_=pass_, numbers=chunks) for run, standings in models)
    s3.put_lines(state.bucket, answers_key, chain.from_iterable(lines))
    return replace(state, next="answer", passes=pass_ + 1, answers_key=answers_key)


def _join(s3: S3, state: RunState, found: progress.Progress, runs: Sequence[Run]) -> RunState:
    joins_key = runs[0].keys.joins(state.step)
    shards = chain.from_iterable(progress.plan_of(s3, run) for run in runs)
    lines = next_lines.join_lines(shards, found.standings, found.skipped_keys, step=state.step)
    s3.put_lines(state.bucket, joins_key, lines)
    return replace(state, next="join", joins_key=joins_key)

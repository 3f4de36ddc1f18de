"""Gather leftovers: see which records have no answer yet, decide what is done about it, and write that down."""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain, count
from typing import Any

from bedrock_batch import keys
from bedrock_batch.aws import clients
from bedrock_batch.aws.batch_jobs import active_jobs
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.run import Run
from bedrock_batch.errors import after_spend, naming
from bedrock_batch.handlers.edge import at_edge
from bedrock_batch.models.catalogue import jobs_quota
from bedrock_batch.run import decide, next_lines, progress, salvage
from bedrock_batch.run.decide import Standing

Models = Sequence[tuple[Run, Sequence[Standing]]]
"""Models of a run, each with shards of it."""


@at_edge
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the run's state with `next`: run_jobs, answer, join or finish, and the key of the Map's items.

    With `salvage` the event has `run_id` and `bucket` of a run that was stopped, its `status`, and its `error` and
    `cause` if it has some; `next` is join or end.
    """
    s3, bedrock = S3(clients.s3()), clients.client("bedrock")
    raw = f"s3://{event['bucket']}/{keys.run_prefix(event['run_id'])}/raw/"
    with after_spend(
        f"All answers so far are kept in {raw}; a redrive goes on from here, and pays only for records without an "
        "answer."
    ):
        return salvage.gather(s3, bedrock, event) if event.get("salvage") else gather_leftovers(s3, bedrock, event)


def gather_leftovers(s3: S3, bedrock: Any, state: dict[str, Any]) -> dict[str, Any]:
    """Take the result of the Map that has run, and decide. The same state gives the same files and answer.

    `redrives` counts how often the execution was redriven.

    Raises:
        CanaryFailed: the first rows failed, before any job was made.
        PermissionMissing: jobs of the last round lacked a permission, and nobody has redriven the run since.
    """
    runs = progress.runs(s3, state["bucket"], state["run_id"])
    return next_step(s3, bedrock, runs, progress.collect(state) | {"step": state["step"] + 1})


def next_step(s3: S3, bedrock: Any, runs: Sequence[Run], state: dict[str, Any]) -> dict[str, Any]:
    """Decide what comes next and write the lines of its Map; `state` is collected, `runs` are its models' documents."""
    found = progress.load(s3, state, runs)
    models = [(run, found.of(run)) for run in runs]
    canaries = [(run, standings[:1]) for run, standings in models if run.canary and standings[0].records]
    if canaries and not state["passes"]:
        return _answer(s3, state, canaries)
    stale = any(one.stale for one in found.standings)
    denied = [found.without_permission(run) for run in runs]
    if not stale:  # all of the last round is joined
        _check_permissions(state, models, denied)
    wants = [
        decide.decide(
            standings,
            rounds=sum(not shards for shards in denied_shards),
            tail_done=state["passes"] > (1 if canaries else 0),
            min_records=run.quotas["min_records"],
            limits=run.limits,
        )
        for (run, standings), denied_shards in zip(models, denied, strict=True)
    ]
    decision = decide.first_of([want for want, _ in wants], stale=stale)
    due = [(run, left) for run, (want, left) in zip(runs, wants, strict=True) if want == decision]
    if decision == "run_jobs" and not state["rounds"]:
        for run, (canary,) in canaries:
            tolerated = run.limits.get("canary_failure_percentage", 50)  # a run of an earlier version has none
            with naming(run.label):
                decide.check_canary(canary, canary_failure_percentage=tolerated)
    if decision == "run_jobs":
        return _run_jobs(s3, bedrock, state, found, due)
    if decision == "answer":
        return _answer(s3, state, due)
    if decision == "join":
        return _join(s3, state, found, runs)
    return state | {"next": "finish"}


def _check_permissions(state: dict[str, Any], models: Models, denied: Sequence[Sequence[Mapping[int, str]]]) -> None:
    """Refuse to go on after a round that lacked a permission, until the run is redriven.

    A redrive comes back with the same state and a higher count. So each redrive gives one more such round, no more.
    """
    if state["rounds"] and state.get("redrives", 0) == state.get("round_redrives", 0):
        last = {run.label: (own, shards[-1]) for (run, own), shards in zip(models, denied, strict=True)}
        decide.check_permissions(last)


def _run_jobs(s3: S3, bedrock: Any, state: dict[str, Any], found: progress.Progress, models: Models) -> dict[str, Any]:
    round_ = state["rounds"]
    jobs_key = keys.jobs_key(state["run_id"], round_)
    lines = next_lines.in_turn(
        next_lines.job_lines(run, progress.plan_of(s3, run), standings, found.skipped_keys, round_=round_)
        for run, standings in models
    )
    jobs = s3.put_lines(state["bucket"], jobs_key, lines)
    return state | {
        "next": "run_jobs",
        "rounds": round_ + 1,
        "round_redrives": state.get("redrives", 0),
        "jobs": state["jobs"] + jobs,
        "jobs_key": jobs_key,
        "max_concurrent_jobs": min(models[0][0].limits["max_concurrent_jobs"], _free_jobs(bedrock, models)),
    }


def _free_jobs(bedrock: Any, models: Models) -> int:
    """Return how many jobs the models may start; one each at least: in a full account its Create waits."""
    by_quota = {jobs_quota(run.model_id): run for run, _ in models}
    free = 0
    for quota, run in by_quota.items():
        others = active_jobs(bedrock, partial(_shares, quota), run_digest=keys.run_digest(run.execution_arn))
        free += max(1, run.quotas["concurrent_jobs"] - others)
    return free


def _shares(quota: tuple[str, bool], model_id: str) -> bool:
    """Tell whether the jobs of a model count towards a quota."""
    return jobs_quota(model_id) == quota


def _answer(s3: S3, state: dict[str, Any], models: Models) -> dict[str, Any]:
    pass_ = state["passes"]
    answers_key = keys.answers_key(state["run_id"], pass_)
    chunks = count()
    lines = (next_lines.answer_lines(run, standings, pass_=pass_, numbers=chunks) for run, standings in models)
    s3.put_lines(state["bucket"], answers_key, chain.from_iterable(lines))
    return state | {"next": "answer", "passes": pass_ + 1, "answers_key": answers_key}


def _join(s3: S3, state: dict[str, Any], found: progress.Progress, runs: Sequence[Run]) -> dict[str, Any]:
    joins_key = keys.joins_key(state["run_id"], state["step"])
    shards = chain.from_iterable(progress.plan_of(s3, run) for run in runs)
    lines = next_lines.join_lines(shards, found.standings, found.skipped_keys, step=state["step"])
    s3.put_lines(state["bucket"], joins_key, lines)
    return state | {"next": "join", "joins_key": joins_key}

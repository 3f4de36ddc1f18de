"""Gather leftovers: see which records have no answer yet, decide what is done about it, and write that down."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bedrock_batch import ids, leftovers, rounds
from bedrock_batch.adapters import clients, progress, salvage
from bedrock_batch.adapters.bedrock import active_jobs
from bedrock_batch.adapters.s3 import S3
from bedrock_batch.contracts import Run, Shard


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the run's state with `next`: run_jobs, answer, join or finish, and the key of the Map's items.

    With `salvage` the event tells `run_id` and `bucket` of a run that was stopped, and `next` is join or end.
    """
    s3, bedrock = S3(clients.s3()), clients.client("bedrock")
    if event.get("salvage"):
        return salvage.gather(s3, bedrock, event)
    return gather_leftovers(s3, bedrock, event)


def gather_leftovers(s3: S3, bedrock: Any, state: dict[str, Any]) -> dict[str, Any]:
    """Take the result of the Map that has run, and decide. The same state gives the same files and answer.

    Raises:
        CanaryFailed: the first rows failed, before any job was made.
    """
    run = Run.from_json(s3.get_json(state["bucket"], state["run_key"]))
    return next_step(s3, bedrock, run, progress.collect(state) | {"step": state["step"] + 1})


def next_step(s3: S3, bedrock: Any, run: Run, state: dict[str, Any]) -> dict[str, Any]:
    """Decide what comes next and write the lines of its Map; `state` is collected."""
    found = progress.load(s3, state, canary=run.canary)
    standings = found.standings
    canary = standings[0] if run.canary and standings[0].records else None
    if canary and not state["passes"]:
        return _answer(s3, run, state, [canary])
    decision, due = leftovers.decide(
        standings,
        rounds=state["rounds"],
        tail_done=state["passes"] > (1 if canary else 0),
        min_records=run.quotas["min_records"],
        limits=run.limits,
    )
    if canary and decision == "run_jobs" and not state["rounds"]:
        tolerated = run.limits["tolerated_failure_percentage"]
        leftovers.check_canary(canary, tolerated_failure_percentage=tolerated)
    if decision == "run_jobs":
        return _run_jobs(s3, bedrock, run, state, replace(found, standings=due))
    if decision == "answer":
        return _answer(s3, run, state, due)
    if decision == "join":
        return _join(s3, state, found)
    return state | {"next": "finish"}


def _run_jobs(s3: S3, bedrock: Any, run: Run, state: dict[str, Any], found: progress.Progress) -> dict[str, Any]:
    round_ = state["rounds"]
    jobs_key = ids.jobs_key(run.run_id, round_)
    lines = rounds.job_lines(run, _plan(s3, state), found.standings, found.skipped_keys, round_=round_)
    jobs = s3.put_lines(run.bucket, jobs_key, lines)
    others = active_jobs(bedrock, run.model_id, run_digest=ids.run_digest(run.execution_arn))
    free = run.quotas["concurrent_jobs"] - others
    return state | {
        "next": "run_jobs",
        "rounds": round_ + 1,
        "jobs": state["jobs"] + jobs,
        "jobs_key": jobs_key,
        # One at least: in a full account its Create waits.
        "max_concurrent_jobs": max(1, min(run.limits["max_concurrent_jobs"], free)),
    }


def _answer(s3: S3, run: Run, state: dict[str, Any], standings: Sequence[leftovers.Standing]) -> dict[str, Any]:
    pass_ = state["passes"]
    answers_key = ids.answers_key(run.run_id, pass_)
    s3.put_lines(run.bucket, answers_key, rounds.answer_lines(run, standings, pass_=pass_))
    return state | {"next": "answer", "passes": pass_ + 1, "answers_key": answers_key}


def _join(s3: S3, state: dict[str, Any], found: progress.Progress) -> dict[str, Any]:
    joins_key = ids.joins_key(state["run_id"], state["step"])
    lines = rounds.join_lines(_plan(s3, state), found.standings, found.skipped_keys, step=state["step"])
    s3.put_lines(state["bucket"], joins_key, lines)
    return state | {"next": "join", "joins_key": joins_key}


def _plan(s3: S3, state: dict[str, Any]) -> Any:
    return map(Shard.from_json, s3.lines(state["bucket"], state["plan_key"]))

"""Save the results of a stopped run. All is read from S3, because the run's state was lost with its execution."""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bedrock_batch.aws import causes
from bedrock_batch.aws.batch_jobs import job_statuses
from bedrock_batch.aws.map_results import all_results, failed_children, write_results
from bedrock_batch.aws.run_documents import read_runs
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.estimate import Estimate
from bedrock_batch.contracts.lines import NOT_CREATED, JobEnd, JobLine
from bedrock_batch.contracts.results import JobResult, ShardJoined
from bedrock_batch.contracts.run import Run
from bedrock_batch.contracts.state import End, FailedChildren, MapResult, MapResults, RunState, Stopped
from bedrock_batch.errors import ContractMismatch, RunExpired
from bedrock_batch.keys import RunKeys
from bedrock_batch.run import next_lines, progress, report, report_jobs
from bedrock_batch.run.progress import Ends
from bedrock_batch.run.publish import publish, report_so_far

_MAP_FAILED = "States.ExceedToleratedFailureThreshold"
_STOPPED = "the run was stopped"
_WITHOUT_ERROR = {"ABORTED": "the execution was stopped", "TIMED_OUT": "the execution ran out of time"}
_ENDS = ("status", "error", "message", "failed_children")


def gather(s3: S3, bedrock: Any, event: Stopped) -> RunState:
    """Return the state that joins every shard of a stopped run; `next` is end if there is nothing to join.

    That is a run that made no job and answered nothing but its canary, and one that wrote its own report. Every
    shard is joined, as nobody knows which were. No leftovers are written: the run's own leftovers files stay as they
    are, for its redrive.

    `message` says how the run ended, and so does its report.

    That redrive may come at any moment. So parts and report replace only what is there now: what the run writes
    later knows more.
    """
    bucket, keys = event.bucket, event.keys
    ended = _how_it_ended(s3, event)
    state = RunState(
        contract=event.contract,
        bucket=bucket,
        root=event.root,
        run_id=event.run_id,
        prefix=keys.work,
        next="end",
        salvage=True,
        ended=ended,
        message=ended.message,
    )
    # Listed before the jobs are read: whoever has written a part by then knew no more about the jobs.
    folders = (f"{keys.work}/", keys.output_folder(), keys.reports_folder)
    found = {item.key: item.etag for folder in folders for item in s3.list(bucket, folder)}
    report_etag = found.get(keys.report, "")
    own = report_so_far(s3, bucket, keys) or {"salvaged": True}
    if keys.run() not in found:  # it failed in its plan; or its work is deleted, and what was known is in its report
        if "input" not in own:
            publish(s3, bucket, keys, report.of_no_plan(event, ended), replaces=report_etag)
        return state
    try:
        runs = read_runs(s3, bucket, keys.run())
    except RunExpired as err:
        if not report_etag:
            too_old = replace(ended, error=type(err).__name__, message=str(err))
            publish(s3, bucket, keys, report.of_no_plan(event, too_old, expired=True), replaces="")
        return replace(state, message=str(err))
    if not own.get("salvaged"):
        if (own.get("status"), own.get("error", "")) != (ended.status, ended.error):
            publish(s3, bucket, keys, _with_end(own, ended), runs, replaces=report_etag)
        return state
    return _joined(s3, bedrock, event, replace(state, replaces=report_etag), runs, found)


def _joined(
    s3: S3, bedrock: Any, event: Stopped, state: RunState, runs: Sequence[Run], found: Mapping[str, str]
) -> RunState:
    """Return the state that joins every shard of a planned run. If there is nothing to join, write the report.

    `found` are the ETags of the run's objects by key.
    """
    bucket, keys = state.bucket, state.keys
    if keys.estimate in found:
        state = replace(state, estimate=_estimate(s3, bucket, keys))
    made = list(_count_up(found, keys.jobs))
    passes = [progress.pass_ends(s3, runs[0], number, ()) for number in _count_up(found, keys.answers)]
    if made or len(passes) != progress.canary_passes(runs, passes):
        joins = _join_all(s3, bedrock, runs, found, made, passes, function=event.join_shard)
        return replace(state, **joins, next="join")
    assert state.ended is not None, "gather has set it"
    results = all_results(s3, bucket, f"{keys.results_folder}joins/")
    joined = [ShardJoined.from_json(result).joined for result in results]
    document = report.of_no_job(runs, state.ended, joined, state.estimate)
    publish(s3, bucket, keys, document, runs, replaces=state.replaces)
    return state


def _estimate(s3: S3, bucket: str, keys: RunKeys) -> Estimate | None:
    """Return the estimate of Review run; None if somebody has edited it so that it is none: only the report has it."""
    try:
        found = Estimate.from_json(s3.get_json(bucket, keys.estimate))
    except (ContractMismatch, TypeError, ValueError, RecursionError):
        return None
    return replace(found, model_id="")  # There it is that of the run.


def _join_all(
    s3: S3,
    bedrock: Any,
    runs: Sequence[Run],
    found: Mapping[str, str],
    made: list[int],
    passes: Sequence[Ends],
    *,
    function: str,
) -> dict[str, Any]:
    """Write the lines that join every shard, and return the fields of the state about them.

    `made` are the rounds that made jobs. `function` is the version of join_shard that the run began with: the Map's
    children know only their line.
    """
    run = runs[0]
    job_rounds = _ended(s3, bedrock, run, made)
    jobs_ended = {end.job_name: end for round_ in job_rounds for end in round_}
    rounds = [progress.round_ends(s3, run, number, jobs_ended) for number in made]
    ends = progress.by_shard(rounds, passes, canaries=progress.canary_passes(runs, passes))
    joins_key = run.keys.joins("salvage")
    shards = s3.put_lines(run.bucket, joins_key, _join_lines(s3, runs, ends, found, function))
    by_model = report_jobs.statuses_by_model(jobs_ended.values(), run.models)
    return {
        "joins_key": joins_key,
        "shards": shards,
        "rows": sum(shard.rows for shard in progress.plan_of(s3, run)),
        "jobs": len(jobs_ended),
        "results": MapResults(jobs=_write_ends(s3, run, job_rounds)),
        "job_statuses": report_jobs.statuses(jobs_ended.values()),
        "model_job_statuses": by_model,
    }


def _join_lines(
    s3: S3, runs: Sequence[Run], ends: Mapping[int, Sequence[JobEnd]], found: Mapping[str, str], function: str
) -> Iterator[dict[str, Any]]:
    """Yield the event that joins each shard."""
    for run in runs:
        for shard in progress.plan_of(s3, run):
            key = run.keys.skipped(run.rendered(shard.shard))
            event = next_lines.join_event(
                shard,
                skipped_key=key if key in found else None,
                jobs=ends.get(shard.shard, ()),
                step=None,
            )
            replaced = found.get(run.output_key(shard.shard), "")
            yield replace(event, replaces=replaced, function=function).to_json()


def _how_it_ended(s3: S3, event: Stopped) -> End:
    """Return how a run ended: the execution's own error, and the errors of a failed Map's children.

    The error of the Map itself says only that too many children failed.
    """
    message, children = causes.said_by(event.cause), list[FailedChildren]()
    if event.error == _MAP_FAILED:
        folder = event.keys.results_folder
        # Ignore the errors of an earlier salvage that failed.
        children = failed_children(s3, event.bucket, folder, but=f"{folder}salvage/")
        if children:
            first = children[0]
            where = f" ({first.first})" if first.first else ""
            message = f"{causes.sentence(first.error, first.message)}{where}"
    if not event.error and not message:
        message = _WITHOUT_ERROR.get(event.status, "")
    return End(event.status, failed_children=children, error=event.error, message=message)


def _with_end(own: Mapping[str, Any], ended: End) -> dict[str, Any]:
    """Return a run's own report, with the execution's real end in place of the one in the report."""
    first = {key: own[key] for key in ("contract", "run_id") if key in own}
    rest = {key: value for key, value in own.items() if key not in _ENDS}
    return first | ended.to_json() | rest


def _count_up(keys: Container[str], key: Callable[[int], str]) -> Iterator[int]:
    number = 0
    while key(number) in keys:
        yield number
        number += 1


def _ended(s3: S3, bedrock: Any, run: Run, made: Sequence[int]) -> list[list[JobResult]]:
    """Return for each round how its jobs ended, according to the run, or else to Bedrock's list of jobs."""
    results = all_results(s3, run.bucket, f"{run.keys.results_folder}jobs/")
    known_ends = {one.job_name: one for one in map(JobResult.from_json, results)}
    known = job_statuses(bedrock, run.digest)

    def end(line: JobLine) -> JobResult:
        name = line.job_name
        found = known_ends.get(name) or JobResult(name, line.records, known.get(name, NOT_CREATED), _STOPPED)
        return replace(found, model_id=line.model_id, joined=None)

    return [[end(line) for line in progress.job_lines(s3, run, number)] for number in made]


def _write_ends(s3: S3, run: Run, job_rounds: Sequence[Sequence[JobResult]]) -> list[MapResult]:
    """Write the ends of each round's jobs as their Maps do, for the report. Leave out jobs that were never created."""
    folder = f"{run.keys.results_folder}salvage/jobs"
    untried = (NOT_CREATED, _STOPPED)
    written = []
    for number, round_ in enumerate(job_rounds):
        tried = (replace(end, model_id="").to_json() for end in round_ if (end.status, end.message) != untried)
        written.append(write_results(s3, run.bucket, f"{folder}-{number}", tried))
    return written

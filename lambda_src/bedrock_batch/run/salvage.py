"""Save what a stopped run left behind. It is read from S3 alone: the run's state was lost with its execution."""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from bedrock_batch.aws import causes
from bedrock_batch.aws.batch_jobs import job_statuses
from bedrock_batch.aws.map_results import all_results, failed_children, write_results
from bedrock_batch.aws.run_documents import read_runs
from bedrock_batch.aws.s3 import S3
from bedrock_batch.aws.s3_upload import Overtaken
from bedrock_batch.contracts.lines import NOT_CREATED, JobEnd
from bedrock_batch.contracts.run import Run
from bedrock_batch.errors import RunExpired
from bedrock_batch.keys import RunKeys
from bedrock_batch.run import next_lines, progress, report, report_jobs
from bedrock_batch.run.progress import Ends

_MAP_FAILED = "States.ExceedToleratedFailureThreshold"
_STOPPED = "the run was stopped"
_WITHOUT_ERROR = {"ABORTED": "the execution was stopped", "TIMED_OUT": "the execution ran out of time"}
_ENDS = ("status", "error", "message", "failed_children")


def gather(s3: S3, bedrock: Any, event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state that joins every shard of a stopped run; `next` is end where there is nothing to join.

    That is a run that made no job and answered nothing but its canary, and one that wrote its own report. Every
    shard is joined, as nobody knows which were. No leftovers are written: the run's own leftovers files stay as they
    are, for its redrive.

    `message` says how the run ended, and so does its report, if it came further than its plan.

    That redrive may come at any moment. So parts and report replace only what is there now: what the run writes
    later knows more.
    """
    bucket, keys = event["bucket"], RunKeys(event["root"], event["run_id"])
    ended = _how_it_ended(s3, event)
    state = {key: event[key] for key in ("contract", "bucket", "root", "run_id", "status", "salvage")}
    state |= {"prefix": keys.work, "run_key": keys.run(), "ended": ended, "message": ended["message"]}
    # Listed before the jobs are read: whoever has written a part by then knew no more about the jobs.
    folders = (f"{keys.work}/", keys.output_folder(), keys.report)
    found = {item.key: item.etag for folder in folders for item in s3.list(bucket, folder)}
    if keys.run() not in found:
        return state | {"next": "end"}  # it failed in its plan
    report_etag = found.get(keys.report, "")
    own = s3.get_json(bucket, keys.report) if report_etag else {"salvaged": True}
    try:
        runs = read_runs(s3, bucket, keys.run())
    except RunExpired as err:
        return state | {"next": "end", "message": str(err)}
    if not own.get("salvaged"):
        if (own.get("status"), own.get("error")) != (ended["status"], ended.get("error")):
            _write_report(s3, runs[0], own, ended, replaces=report_etag)
        return state | {"next": "end"}
    made = list(_count_up(found, keys.jobs))
    passes = [progress.pass_ends(s3, runs[0], number, ()) for number in _count_up(found, keys.answers)]
    if not made and len(passes) == progress.canary_passes(runs, passes):
        _write_report(s3, runs[0], report.of_nothing_sent(runs), ended, replaces=report_etag)
        return state | {"next": "end"}
    joins = _join_all(s3, bedrock, runs, found, made, passes, function=event["join_shard"])
    return state | joins | {"replaces": report_etag}


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
    """Write the lines that join every shard, and return what the state says of them.

    `made` are the rounds that made jobs, `found` the ETags of the run's objects by key. `function` is the version of
    join_shard that the run began with: the Map's children know only their line.
    """
    run = runs[0]
    job_rounds = _ended(s3, bedrock, run, made)
    jobs_ended = {end["job_name"]: end for round_ in job_rounds for end in round_}
    rounds = [progress.round_ends(s3, run, number, jobs_ended) for number in made]
    ends = progress.by_shard(rounds, passes, canaries=progress.canary_passes(runs, passes))
    joins_key = run.keys.joins("salvage")
    lines = (line | {"function": function} for line in _join_lines(s3, runs, ends, found))
    shards = s3.put_lines(run.bucket, joins_key, lines)
    by_model = report_jobs.statuses_by_model(jobs_ended.values(), run.models)
    return {
        "next": "join",
        "joins_key": joins_key,
        "shards": shards,
        "rows": sum(shard.rows for shard in progress.plan_of(s3, run)),
        "estimate": None,
        "jobs": len(jobs_ended),
        "results": {"jobs": _write_ends(s3, run, job_rounds), "answers": [], "joins": []},
        "job_statuses": report_jobs.statuses(jobs_ended.values()),
        **({"model_job_statuses": by_model} if len(runs) > 1 else {}),
    }


def _join_lines(
    s3: S3, runs: Sequence[Run], ends: Mapping[int, Sequence[JobEnd]], found: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """Yield the event that joins each shard."""
    for run in runs:
        for shard in progress.plan_of(s3, run):
            key = run.keys.skipped(run.rendered(shard.shard))
            jobs = [end.to_json() for end in ends.get(shard.shard, ())]
            event = next_lines.join_event(shard, skipped_key=key if key in found else None, jobs=jobs, step=None)
            yield event | {"replaces": found.get(run.output_key(shard.shard), "")}


def _how_it_ended(s3: S3, event: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a report says of the end: the execution's own error, and those of the children of a Map that failed.

    The error of the Map itself says only that too many of them failed.
    """
    error, message = event.get("error", ""), causes.said_by(event.get("cause", ""))
    ended: dict[str, Any] = {"status": event["status"]}
    if error == _MAP_FAILED:
        folder = RunKeys(event["root"], event["run_id"]).results_folder
        # A salvage that failed itself left errors there too; they are not the run's.
        children = failed_children(s3, event["bucket"], folder, but=f"{folder}salvage/")
        if children:
            first = children[0]
            where = f" ({first['first']})" if first["first"] else ""
            message = f"{causes.sentence(first['error'], first['message'])}{where}"
            ended["failed_children"] = children
    if error:
        ended["error"] = error
    elif not message:
        message = _WITHOUT_ERROR.get(event["status"], "")
    return ended | {"message": message}


def _write_report(s3: S3, run: Run, report_: Mapping[str, Any], ended: Mapping[str, Any], *, replaces: str) -> None:
    """Write a report with how the run ended, unless somebody else has written one meanwhile."""
    rest = {key: value for key, value in report_.items() if key not in _ENDS}
    document = {"run_id": run.run_id, **ended, **rest}
    with suppress(Overtaken):  # the run was redriven
        s3.put_json(run.bucket, run.keys.report, document, replaces=replaces, indent=2)


def _count_up(keys: Container[str], key: Callable[[int], str]) -> Iterator[int]:
    number = 0
    while key(number) in keys:
        yield number
        number += 1


def _ended(s3: S3, bedrock: Any, run: Run, made: Sequence[int]) -> list[list[dict[str, Any]]]:
    """Return for each round how its jobs ended: as the run knew it, or else as Bedrock lists them."""
    told = {one["job_name"]: one for one in all_results(s3, run.bucket, f"{run.keys.results_folder}jobs/")}
    known = job_statuses(bedrock, run.digest)

    def end(line: Mapping[str, Any]) -> dict[str, Any]:
        name = line["job_name"]
        found = told.get(name, {"status": known.get(name, NOT_CREATED), "message": _STOPPED})
        about = {"job_name": name, "records": line["records"], "model_id": line["request"]["ModelId"]}
        return about | {key: found[key] for key in ("status", "message", "processed") if key in found}

    return [[end(line) for line in s3.lines(run.bucket, run.keys.jobs(number))] for number in made]


def _write_ends(s3: S3, run: Run, job_rounds: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, str]]:
    """Write the ends of each round's jobs as their Maps do, for the report: without those that nobody tried to make."""
    folder = f"{run.keys.results_folder}salvage/jobs"
    untried = (NOT_CREATED, _STOPPED)
    written = []
    for number, round_ in enumerate(job_rounds):
        tried = (end for end in round_ if (end["status"], end["message"]) != untried)
        lines = ({key: value for key, value in end.items() if key != "model_id"} for end in tried)
        written.append(write_results(s3, run.bucket, f"{folder}-{number}", lines))
    return written

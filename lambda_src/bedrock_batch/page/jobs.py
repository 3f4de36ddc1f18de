"""The sections of the page about jobs: their times, their ends, the slow jobs and the failed jobs."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from bedrock_batch.page import charts
from bedrock_batch.page.markup import Child, Html, code, own, tag
from bedrock_batch.page.parts import Head, Report, section, table
from bedrock_batch.page.words import count, counted, moment, parsed, span

_MOST_BARS = 24
_MOST_JOBS = 15
_MOST_MESSAGE = 800
_MOST_ROUNDS = 12
_LAYERS = {
    "ended": "ended",
    "running": "running",
    "queued": "queued at Bedrock",
    "start_unknown": "with Bedrock, not known to have begun to run",
    "waiting": "waiting for their turn in this run",
}
_AT_BEDROCK = ("running", "queued", "start_unknown")
_BARS = {
    "queued": "queued at Bedrock",
    "running": "running",
    "failed": "running, and then not Completed",
    "start_unknown": "with Bedrock, not known to have begun to run",
}


def over_time(report: Report) -> Html | None:
    """Return when the jobs were with Bedrock: a bar for each of a few jobs, layers over time for many."""
    timeline: Mapping[str, Any] = report.get("timeline") or {}
    if not timeline:
        why = "Bedrock did not list the times of the jobs." if report.get("jobs") else ""
        return section("Jobs over time", tag("p", why, class_="quiet") if why else None)
    few = timeline["jobs"] <= min(_MOST_BARS, len(report.get("slowest_jobs", ())))
    return section(
        "Jobs over time",
        _bars(report, timeline) if few else _layers(timeline),
        _rounds(report, timeline),
        note=_note(timeline),
    )


def _note(timeline: Mapping[str, Any]) -> str:
    seconds, queued = timeline["job_seconds"], timeline.get("queued_seconds")
    return (
        f"{counted(timeline['jobs'], 'job')} in {span(_between(timeline['begun_at'], timeline['ended_at']))}, from "
        f"{moment(timeline['begun_at'])} to {moment(timeline['ended_at'])}. From submission to end a job took "
        f"{_spread(seconds)}. "
        + (
            f"In Bedrock's queue it waited {_spread(queued)}."
            if queued
            else "When jobs began to run is not known: Bedrock lists only submission and end, and no event came."
        )
    )


def _spread(seconds: Mapping[str, float]) -> str:
    least, median, most = (span(seconds[name]) for name in ("least", "median", "most"))
    return most if least == most else f"{least} to {most}, half of them at most {median}"


def _between(first: str, last: str) -> float:
    begin, end = parsed(first), parsed(last)
    return (end - begin).total_seconds() if begin and end else 0.0


def _ends(timeline: Mapping[str, Any]) -> Html:
    return tag("p", tag("span", moment(timeline["begun_at"])), tag("span", moment(timeline["ended_at"])), class_="ends")


def _bars(report: Report, timeline: Mapping[str, Any]) -> Html:
    begin, whole = timeline["begun_at"], _between(timeline["begun_at"], timeline["ended_at"]) or 1.0
    rows, kinds = [], set[str]()
    for job in sorted(report["slowest_jobs"], key=lambda one: (one["round"], one["submitted_at"], one["job_name"])):
        parts = _parts(job)
        kinds |= parts.keys()
        times = {
            kind: (_between(begin, start) / whole, _between(begin, stop) / whole)
            for kind, (start, stop) in parts.items()
        }
        desc = "; ".join(
            f"{_BARS[kind]} from {moment(start)} to {moment(stop)}" for kind, (start, stop) in parts.items()
        )
        bar = charts.spans(times, title=job["job_name"], desc=desc)
        queued = span(_between(*parts["queued"])) if "queued" in parts else "not known"
        rows.append((code(job["job_name"]), job["status"], bar, queued, span(job["seconds"])))
    heads = [
        Head("Job", "name"),
        Head("Ended as", "word"),
        Head("From submission to end", "wide"),
        Head("Queued", "number"),
        Head("In all", "number"),
    ]
    return tag(
        "div",
        table("Every job, in the order of submission", heads, rows),
        charts.legend({kind: word for kind, word in _BARS.items() if kind in kinds}),
    )


def _parts(job: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return when a job was in each state, by the kind of the state's bar."""
    submitted, running, ended = job["submitted_at"], job.get("running_at"), job["ended_at"]
    if not running:
        return {"start_unknown": (submitted, ended)}
    return {"queued": (submitted, running), "running" if job["status"] == "Completed" else "failed": (running, ended)}


def _layers(timeline: Mapping[str, Any]) -> Html:
    layers = {kind: timeline[kind] for kind in _LAYERS if any(timeline[kind])}
    at_bedrock = [sum(one) for one in zip(*(timeline[kind] for kind in _AT_BEDROCK), strict=True)]
    whole = timeline["bin_seconds"] * len(timeline["ended"])
    marks = [_between(timeline["begun_at"], one["begun_at"]) / whole for one in timeline["rounds"][1:_MOST_ROUNDS]]
    lines = " A dashed line stands where a later round begins." if marks else ""
    desc = (
        f"Each step is {span(timeline['bin_seconds'])} long and shows the jobs at its end. Of "
        f"{count(timeline['jobs'])} jobs, {count(max(at_bedrock))} at most were with Bedrock then, and "
        f"{count(max(timeline['running']))} at most were running.{lines}"
    )
    return tag(
        "figure",
        charts.area(layers, marks=marks, title="Jobs over time", desc=desc),
        _ends(timeline),
        charts.legend({kind: _LAYERS[kind] for kind in layers}),
        tag("figcaption", desc, class_="note"),
    )


def _rounds(report: Report, timeline: Mapping[str, Any]) -> Html | None:
    known = {one["round"]: one for one in timeline["rounds"]}
    rounds: Sequence[Mapping[str, Any]] = report.get("rounds", ())
    if len(rounds) < 2:
        return None
    rows = []
    for number, one in enumerate(islice(rounds, _MOST_ROUNDS)):
        times = known.get(number)
        ended = [moment(times[name]) for name in ("begun_at", "ended_at")] if times else ["not known", "not known"]
        rows.append((f"Round {number}", _statuses(one["jobs"]), count(one["records"]), *ended))
    heads = [Head("Round"), Head("Jobs", "wide"), Head("Records", "number"), Head("First submission"), Head("Last end")]
    return table("Rounds", heads, rows, more=len(rounds) - _MOST_ROUNDS)


def _statuses(jobs: Mapping[str, int]) -> str:
    return ", ".join(f"{count(number)} {status}" for status, number in islice(jobs.items(), 10))


def ends(report: Report) -> Html | None:
    """Return how the jobs ended, the ones that did not complete, and the slowest ones."""
    jobs: Mapping[str, int] = report.get("jobs") or {}
    passes: Sequence[Mapping[str, int]] = report.get("on_demand", ())
    said: list[Child] = []
    if jobs:
        said.append(tag("p", "Jobs by status: ", own(_statuses(jobs)), "."))
    if passes:
        records, failed = (sum(one[name] for one in passes) for name in ("records", "failed"))
        said.append(
            tag("p", f"{counted(records, 'record')} answered on demand, {count(failed)} of them with an error.")
        )
    return section("Jobs", said, _failed(report), _slowest(report))


def _failed(report: Report) -> Html | None:
    failed: Sequence[Mapping[str, Any]] = report.get("failed_jobs", ())
    if not failed:
        return None
    rows = [
        (
            code(job["job_name"]),
            str(job["status"]),
            own(str(job.get("message", "")), _MOST_MESSAGE)
            if job.get("message")
            else tag("span", "no message", class_="quiet"),
            own(str(job["now"])),
        )
        for job in failed[:_MOST_JOBS]
    ]
    heads = [
        Head("Job", "name"),
        Head("Ended as", "word"),
        Head("What Bedrock says", "wide"),
        Head("Its records now", "wide"),
    ]
    caption = f"{counted(len(failed), 'job')} that did not complete"
    return table(caption, heads, rows, more=len(failed) - _MOST_JOBS)


def _slowest(report: Report) -> Html | None:
    timeline: Mapping[str, Any] = report.get("timeline") or {}
    slowest: Sequence[Mapping[str, Any]] = report.get("slowest_jobs", ())
    if timeline.get("jobs", 0) <= _MOST_BARS or not slowest:
        return None  # Each of them has a bar above.
    rows = [
        (code(job["job_name"]), str(job["status"]), count(job["round"]), count(job["records"]), span(job["seconds"]))
        for job in slowest[:_MOST_JOBS]
    ]
    heads = [
        Head("Job", "name"),
        Head("Ended as", "word"),
        Head("Round", "number"),
        Head("Records", "number"),
        Head("Time", "number"),
    ]
    return table("The slowest jobs", heads, rows, more=timeline["jobs"] - len(rows))

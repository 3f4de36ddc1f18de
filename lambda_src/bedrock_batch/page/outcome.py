"""The head of the page: how the run ended in a word, a sentence and four figures, and what to do next."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bedrock_batch.page import remedies
from bedrock_batch.page.markup import Child, Html, code, own, tag, together
from bedrock_batch.page.parts import Report, listed, sent_and_answered
from bedrock_batch.page.words import count, counted, moment, share, usd

_MOST_WARNINGS = 12
_MOST_WARNING = 1_000
_MOST_CHILDREN = 10
_MOST_MESSAGE = 3_000
_MOST_MODELS = 5

_QUOTED = re.compile(r"(\(\d+ rows\)): \".*", re.DOTALL)
"""Codes of rows in a message, from the first error that is quoted on: `400 (900 rows): "…"`."""

_ICONS = {
    "good": "M6.5 11.6 3.2 8.3l1.1-1.1 2.2 2.2 5.2-5.2 1.1 1.1z",
    "warn": "M7.2 3.5h1.6v6H7.2zM7.2 11h1.6v1.6H7.2z",
    "bad": "m4.9 3.8 3.1 3.1 3.1-3.1 1.1 1.1L9.1 8l3.1 3.1-1.1 1.1L8 9.1l-3.1 3.1-1.1-1.1L6.9 8 3.8 4.9z",
    "idle": "M4.5 4.5h7v7h-7z",
}


@dataclass(frozen=True, slots=True)
class _State:
    word: str
    tone: str


def _state(report: Report) -> _State:
    status = report.get("status")
    if report.get("dry_run"):
        return _State("Dry run: nothing was sent", "idle")
    if status == "SUCCEEDED":
        return _State("Succeeded, with warnings", "warn") if report.get("warnings") else _State("Succeeded", "good")
    words = {"FAILED": "Failed", "ABORTED": "Stopped", "TIMED_OUT": "Ran out of time"}
    return _State(words.get(str(status), str(status)), "idle" if status == "ABORTED" else "bad")


def header(report: Report) -> Html:
    """Return the name of the run, its end, and a sentence about the outcomes of its rows."""
    state = _state(report)
    icon = tag("svg", tag("path", d=_ICONS[state.tone], fill="currentColor"), viewBox="0 0 16 16", aria_hidden="true")
    return tag(
        "header",
        tag("p", "bedrock-batch, report of the run", class_="kicker"),
        tag("h1", own(str(report.get("run_id", "")))),
        tag("p", icon, state.word, class_=f"state {state.tone}"),
        tag("p", _lede(report), class_="lede"),
        tag("p", list(_about(report)), class_="about"),
    )


def _lede(report: Report) -> Child:
    outcomes, estimate = report.get("outcomes"), report.get("estimate")
    if outcomes:
        every = sum(outcomes.values())
        answered = every - sum(outcomes.get(name, 0) for name in ("failed", "skipped", "missing"))
        rest = [f"{count(outcomes[name])} {name}" for name in ("failed", "missing", "skipped") if outcomes.get(name)]
        rows = "rows have an answer" if every > 1 else "row has an answer"
        if report.get("models"):
            rows = "answers asked for are there"
        others = f" ({share(answered, every)}); {', '.join(rest)}" if rest else ""
        return f"{count(answered)} of {count(every)} {rows}{others}."
    if report.get("dry_run") and estimate:
        return f"{counted(estimate['records'], 'record')} would be sent in {counted(estimate['jobs'], 'job')}."
    if report.get("jobs") == {} and "input" not in report:
        return "The run ended before it was planned: no job was made, and nothing was spent."
    return "No batch job was made." if report.get("jobs") == {} else "What became of its rows is not known any more."


def _about(report: Report) -> Iterator[Child]:
    models = report.get("model_id")
    names = [models] if isinstance(models, str) else list(models or ())
    for number, name in enumerate(names[:_MOST_MODELS]):
        yield " · " if number else None
        yield code(str(name))
    if len(names) > _MOST_MODELS:
        yield f" and {counted(len(names) - _MOST_MODELS, 'more model')}"
    if report.get("started_at"):
        yield (" · " if names else "") + f"started {moment(str(report['started_at']))}"


# --- What to do next ---


def next_steps(report: Report, place: str) -> Html:
    """Return what went wrong and what to do about it, then the warnings, then the place of the table."""
    state = _state(report)
    return tag(
        "div",
        tag("h2", "What to do next"),
        list(_of_error(report, place)),
        list(_of_warnings(report)),
        list(_of_table(report, place)),
        class_=f"next {state.tone}",
    )


def _of_error(report: Report, place: str) -> Iterator[Child]:
    status = str(report.get("status", ""))
    if status == "SUCCEEDED":
        return
    error = str(report.get("error", ""))
    remedy = remedies.of_report(report)
    values = remedies.values(str(report.get("run_id", "")), place)
    if error:
        yield tag("p", tag("strong", code(error)), ": ", remedies.shown(remedy.what, values), ".")
    message = without_rows(report, str(report.get("message", "")))
    if message:
        yield tag("p", own(message, _MOST_MESSAGE), class_="said")
    yield tag("p", tag("strong", "Do this: "), remedies.shown(remedies.with_commands(remedy.do), values), ".")
    children = report.get("failed_children", ())
    if children:
        said = [
            together(
                counted(one["children"], "child", "children"),
                ", the first ",
                code(one["first"]),
                ": ",
                code(one["error"]),
                " ",
                own(without_rows(report, one["message"])),
            )
            for one in children
        ]
        yield listed(said, most=_MOST_CHILDREN)


def without_rows(report: Report, message: str) -> str:
    """Return a message without the errors of rows that it quotes, unless the run asked for examples.

    Such an error may repeat the row, and may say anything. So nothing is shown after the first quote begins.
    """
    return message if "examples" in report else _QUOTED.sub(r"\1 …", message)


def _of_warnings(report: Report) -> Iterator[Child]:
    warnings = report.get("warnings", ())
    if warnings:
        yield tag("p", f"Read {'this warning' if len(warnings) == 1 else 'these warnings'} before you use the table:")
        yield listed(
            [own(without_rows(report, str(warning)), _MOST_WARNING) for warning in warnings], most=_MOST_WARNINGS
        )


def _of_table(report: Report, place: str) -> Iterator[Child]:
    if report.get("dry_run"):
        yield tag("p", "To start the run, send the same input without ", code("dry_run"), ".")
        yield tag("p", "The first record, as it would be sent, is in ", code("report.json"), ".")
    elif report.get("output"):
        values = remedies.values(str(report.get("run_id", "")), place)
        reports = f"{place}/reports/{values['RUN']}/"
        yield tag("p", "The table: ", code(str(report["output"])))
        as_files = "As a file of each model: " if report.get("models") else "As one file: "
        yield tag("p", as_files, remedies.shown("`bedrock-batch fetch $RUN --name $NAME`", values))
        yield tag("p", "As a table of Amazon Athena: ", code(f"{reports}table.sql"))


# --- Figures ---


def figures(report: Report) -> Html | None:
    """Return the figures that most people look for first."""
    found = [
        tag("div", tag("dt", name), tag("dd", value, class_="large"), tag("dd", small, class_="small"))
        for name, value, small in _figures(report)
    ]
    return tag("dl", found, class_="figures") if found else None


def _figures(report: Report) -> Iterator[tuple[str, str, str]]:
    estimate: Mapping[str, Any] = report.get("estimate") or {}
    if "rows" in report:
        small = f"{counted(estimate['skipped'], 'row')} skipped" if report.get("dry_run") else ""
        if report.get("models"):
            small = f"for each of {counted(len(report['models']), 'model')}"
        yield "Rows", count(report["rows"]), small
    if "outcomes" in report:
        sent, answered = sent_and_answered(report["outcomes"])
        yield "Answered", share(answered, sent), f"of {count(sent)} sent"
    if report.get("jobs") or estimate:
        jobs = report.get("jobs") or {}
        bad = sum(number for status, number in jobs.items() if status != "Completed")
        if jobs:
            yield "Jobs", count(sum(jobs.values())), f"{count(bad)} did not complete" if bad else "all completed"
        elif "outcomes" in report:
            yield "Jobs", "0", "all records on demand"
        else:
            yield "Jobs", count(estimate.get("jobs", 0)), "estimated, first round"
    read, written = (report.get(name, estimate.get(name)) for name in ("input_tokens", "output_tokens"))
    if read is not None:
        out = "output not bounded" if written is None else f"and {counted(written, 'output token')}"
        yield "Input tokens", count(read), out if "input_tokens" in report else f"{out}, estimated"
    if "cost_usd" in report or estimate:
        actual = report.get("cost_usd")
        expected = f"estimate {usd(estimate['cost_usd'])}" if estimate.get("cost_usd") is not None else ""
        yield (
            ("Cost", usd(actual), expected)
            if "cost_usd" in report
            else ("Cost, at most", usd(estimate.get("cost_usd")), "estimated")
        )

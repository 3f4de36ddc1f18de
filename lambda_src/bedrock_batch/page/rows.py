"""The sections of the page about rows: by outcome, and the errors of those without an answer."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from bedrock_batch.page import charts, remedies
from bedrock_batch.page.markup import Child, Html, code, own, tag
from bedrock_batch.page.parts import Head, Report, more_models, section, table
from bedrock_batch.page.words import count, counted, share

OUTCOMES = {
    "succeeded": "has an answer",
    "truncated": "has an answer that was cut, by its limit or by a filter",
    "invalid": "has an answer that does not match output.schema",
    "failed": "was sent, and has no answer",
    "skipped": "was not sent, so it cost nothing",
    "missing": "no answer came back",
}

_MOST_CODES = 20
_MOST_MODELS = 3
_MOST_ANSWER = 700


def by_outcome(report: Report) -> Html | None:
    """Return the number of rows with each outcome, as a bar and as a table."""
    outcomes: Mapping[str, int] = report.get("outcomes", {})
    every = sum(outcomes.values())
    if not every:
        return section("Rows by outcome")
    shown = {name: outcomes[name] for name in OUTCOMES if outcomes.get(name)}
    desc = ", ".join(f"{count(number)} {name}" for name, number in shown.items())
    rows = [
        (
            [charts.key(name), name, tag("span", OUTCOMES[name], class_="small")],
            count(number),
            share(number, every),
        )
        for name, number in shown.items()
    ]
    heads = [Head("Outcome", "wide"), Head("Rows", "number"), Head("Share", "number")]
    return section(
        "Rows by outcome",
        tag("figure", charts.bar(shown, title="Rows by outcome", desc=desc)),
        table("", heads, rows, stacked=False),
        _retried(report),
    )


def _retried(report: Report) -> Html | None:
    retried = report.get("retried")
    if not retried:
        return None
    now = ", ".join(f"{count(number)} {name}" for name, number in retried.items() if name != "records")
    return tag(
        "p", f"{counted(retried['records'], 'row was', 'rows were')} asked again{f'; now {now}' if now else ''}."
    )


def errors(report: Report, place: str) -> Html | None:
    """Return the error codes of rows, each with its cause and its remedy."""
    codes: Sequence[tuple[str, int]] = list(report.get("errors", {}).items())
    values = remedies.values(str(report.get("run_id", "")), place)
    rows = [_error(report, name, rows, values) for name, rows in islice(codes, _MOST_CODES)]
    heads = [Head("Code", "name"), Head("Rows", "number"), Head("Cause", "wide"), Head("What to do", "wide")]
    if not rows:
        return section("Errors of rows")
    return section(
        "Errors of rows",
        table("", heads, rows, more=len(codes) - _MOST_CODES),
        note=[
            "Why rows have no answer that can be used, by the most frequent codes. Each message is in the column ",
            code("bedrock_error"),
            " of the table (another name with another ",
            code("output.prefix"),
            ").",
        ],
    )


def _error(report: Report, name: str, rows: int, values: Mapping[str, str]) -> tuple[Child, ...]:
    remedy = remedies.of_code(name)
    cause: list[Child] = [
        remedies.shown(remedy.what, values) if remedy else "a code that the documentation does not list"
    ]
    said = report.get("error_messages", {}).get(name)
    if said and "examples" in report:
        cause.append(tag("p", "The first row says: ", own(str(said)), class_="quiet"))
    return (
        code(name),
        count(rows),
        cause,
        remedies.shown(remedy.do, values) if remedy else "see the message of the row",
    )


def examples(report: Report) -> Iterator[Child]:
    """Yield the examples of rows, for a run that asked for them, by model."""
    found: Mapping[str, Any] = report.get("examples") or {}
    by_model = {"": found} if "rows" in found else dict(islice(found.items(), _MOST_MODELS))
    for model, one in by_model.items():
        if model:
            yield tag("h3", own(model))
        rows = [_example(row) for row in one["rows"][: 3 * len(OUTCOMES)]]
        if rows:
            heads = [Head("Row", "number"), Head("Outcome", "name"), Head("Answer or error", "wide")]
            yield table("Some rows of each outcome", heads, rows)
    yield from more_models(len(found) - _MOST_MODELS if "rows" not in found else 0)


def _example(row: Mapping[str, Any]) -> tuple[Child, ...]:
    said: list[Child] = []
    if row.get("response") is not None:
        said.append(tag("pre", own(str(row["response"]), _MOST_ANSWER)))
    if row.get("error_code"):
        said.append(tag("p", code(str(row["error_code"])), ": ", own(str(row.get("error", "")), _MOST_ANSWER)))
    name = str(row["outcome"])
    return count(row["row"]), tag("span", charts.key(name), name), said or "a vector"

"""The sections of the page about tokens and money, and about each of several models."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from bedrock_batch.page import charts
from bedrock_batch.page.markup import Child, Html, code, own, tag
from bedrock_batch.page.parts import Head, Report, section, sent_and_answered, table
from bedrock_batch.page.words import count, counted, share, usd

_MOST_MODELS = 40
_MOST_ROUTES = 12
_ROUTES = {"batch": "In batch jobs", "flex": "On demand, tier flex", "on_demand": "On demand, default tier"}


def tokens_and_cost(report: Report) -> Html | None:
    """Return the usage of each route, and the estimate beside it."""
    return section("Tokens and cost", _routes(report), _estimate(report), list(_remarks(report)))


def _routes(report: Report) -> Html | None:
    usage: Mapping[str, Mapping[str, Any]] = report.get("usage", {})
    if not usage:
        return None
    rows: list[tuple[Child, ...]] = [
        (
            _ROUTES.get(route) or code(route),
            count(one["records"]),
            count(one["input_tokens"]),
            count(one["output_tokens"]),
            usd(one["cost_usd"]),
        )
        for route, one in islice(usage.items(), _MOST_ROUTES)
    ]
    if len(usage) > 1:
        records = sum(one["records"] for one in usage.values())
        sums = (report["input_tokens"], report["output_tokens"])
        rows.append(("Together", count(records), *map(count, sums), usd(report["cost_usd"])))
    heads = [
        Head("Route", "name"),
        *(Head(word, "number") for word in ("Records", "Input tokens", "Output tokens", "Cost")),
    ]
    return table("Used, by route", heads, rows, more=len(usage) - _MOST_ROUTES)


def _estimate(report: Report) -> Html | None:
    """Return the estimate, and the usage beside it if anything was sent."""
    estimate: Mapping[str, Any] | None = report.get("estimate")
    if not estimate:
        return None
    figures = (
        ("Input tokens", "input_tokens", count, "not known"),
        ("Output tokens", "output_tokens", count, "not bounded"),
        ("Cost", "cost_usd", usd, "not known"),
    )
    sent = "usage" in report
    rows: list[Sequence[Child]] = []
    for word, name, shown, without in figures:
        expected, used = estimate.get(name), report.get(name)
        cells: list[Child] = [word, shown(expected) if expected is not None else without]
        if sent:
            cells += [shown(used) if used is not None else "not known", _beside(word, expected, used)]
        rows.append(cells)
    heads = [Head("Figure", "name"), Head("Estimate", "number")]
    if not sent:
        return table("The estimate", heads, rows, stacked=False)
    heads += [Head("Used", "number"), Head("Used of the estimate", "wide")]
    return table("The estimate beside what was used", heads, rows)


def _beside(word: str, expected: float | None, used: float | None) -> Child:
    if not expected or used is None:
        return tag("span", "nothing to compare", class_="quiet")
    desc = f"{share(used, expected)} of the estimate"
    kind = "running" if used <= expected else "failed"
    bar = charts.bar({kind: min(used, expected)}, whole=expected, title=f"{word} used", desc=desc, thin=True)
    return tag("div", bar, tag("span", share(used, expected)), class_="beside")


def _remarks(report: Report) -> Iterator[Child]:
    estimate: Mapping[str, Any] = report.get("estimate") or {}
    unknown = report.get("cost_unknown") or ("cost_usd" not in report and estimate.get("cost_unknown"))
    if unknown:
        yield tag("p", "The cost is not known: ", own(str(unknown)), ".", class_="note")
    over = report.get("over_budget")
    if over:
        yield tag(
            "p",
            f"The budget of {usd(over['budget_usd'])} ended the run: {usd(over['spent_usd'])} were spent, and "
            f"{counted(over['records'], 'more record')} could have cost up to {usd(over['next_usd'])}.",
        )
    if estimate.get("cost_with_retries_usd") is not None:
        yield tag(
            "p",
            f"With every record asked twice the estimate is {usd(estimate['cost_with_retries_usd'])}.",
            class_="note",
        )


def models(report: Report) -> Html | None:
    """Return a line for each of several models."""
    found: Sequence[Mapping[str, Any]] = report.get("models", ())
    rows = []
    for one in found[:_MOST_MODELS]:
        outcomes = one["outcomes"]
        sent, answered = sent_and_answered(outcomes)
        shown = {name: number for name, number in outcomes.items() if number}
        desc = ", ".join(f"{count(number)} {name}" for name, number in shown.items())
        bar = charts.bar(shown, title=str(one["model_id"]), desc=desc, thin=True)
        rows.append(
            (code(str(one["model_id"])), bar, share(answered, sent), count(len(one["warnings"])), usd(one["cost_usd"]))
        )
    heads = [
        Head("Model", "name"),
        Head("Rows by outcome", "wide"),
        *(Head(word, "number") for word in ("Answered", "Warnings", "Cost")),
    ]
    return section("Models", table("", heads, rows, more=len(found) - _MOST_MODELS) if rows else None)

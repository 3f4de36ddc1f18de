"""`report.html`: report.json as a page for people. It has only the report, no script, and loads nothing.

Its size is limited for runs of any size: texts are cut, and long lists end with the number of further items.
"""

from bedrock_batch.page import charts, cost, jobs, outcome, rows, settings
from bedrock_batch.page.markup import Html, document, style, tag, together
from bedrock_batch.page.parts import Report
from bedrock_batch.page.style import POLICY, RULES


def draw(report: Report, *, place: str) -> str:
    """Return the page of a report. `place` is the installation's root: `s3://bucket/root`."""
    main = tag(
        "main",
        outcome.next_steps(report, place),
        outcome.figures(report),
        rows.by_outcome(report),
        rows.errors(report, place),
        jobs.over_time(report),
        cost.tokens_and_cost(report),
        cost.models(report),
        jobs.ends(report),
        settings.details(report, place),
    )
    return _page(report, together(charts.patterns(), outcome.header(report), main, _footer()))


def draw_end(report: Report) -> str:
    """Return a page that says only how the run ended."""
    said = "This page could not be drawn. The file report.json beside it has everything."
    head = tag("h1", str(report.get("run_id", ""))), tag("p", str(report.get("status", "")))
    return _page(report, tag("main", *head, tag("p", said)))


def _page(report: Report, body: Html) -> str:
    head = together(
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"{report.get('run_id', '')}, {report.get('status', '')}: bedrock-batch"),
        tag("link", rel="icon", href="data:,"),
        style(RULES),
    )
    return document(head, body)


def _footer() -> Html:
    said = "Made from report.json, which lies beside this page and has every number. Prices are those of the run input."
    return tag("footer", tag("p", said))

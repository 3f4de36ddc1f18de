"""What people read about a run, as plain text: one home for the words, whatever shows them."""

import unicodedata
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from bedrock_batch_client.failures import Failures
from bedrock_batch_client.progress import QUEUED, Status

_LONGEST_LINE = 300


def clean(text: str) -> str:
    """Return a text as a terminal may show it: what would steer the terminal is shown as a place holder."""
    return "".join("�" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co") and c not in "\n\t" else c for c in text)


def lines_of_change(before: Status | None, now: Status) -> Iterator[str]:
    """Yield a line for everything that has changed."""
    if before is None or (now.status, now.state) != (before.status, before.state):
        yield now.status + (f" · {now.state}" if now.state else "")
    if now.jobs and (before is None or now.jobs != before.jobs):
        yield f"jobs: {jobs(now.jobs)}"
    for problem in now.problems:
        if before is None or problem not in before.problems:
            yield problem
    if now.records.processed and (before is None or now.records != before.records):
        left = time_left(now)
        yield " · ".join(part for part in (records(now), money(now), left and f"time left: {left}") if part)
    if now.ended:
        said = list(end(before)) if before and before.ended else []
        yield from (line for line in end(now) if line not in said)


def end(status: Status) -> Iterator[str]:
    """Yield what is to be said of a run that has ended."""
    if status.outcomes:
        yield f"rows: {outcomes(status)}"
    if status.spent and status.spent.actual and (spent := money(status)):
        yield spent
    for warning in status.warnings:
        yield f"warning: {clean(warning)}"
    if not status.good and status.why:
        yield clean(status.why)
    if status.what_to_do:
        yield f"do this: {clean(status.what_to_do)}"
    yield f"report: {report(status)}"


def report(status: Status) -> str:
    """Return where the page of a run is; as long as it is not there, how to find it later."""
    if status.page or not status.ended:
        return status.page
    return (
        "not written yet, because stop-run still works on it. "
        f"Later `bedrock-batch status {status.run}` shows where it is, and what to do."
    )


def jobs(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {clean(name)}" for name, count in counts.items())


def outcomes(status: Status) -> str:
    total = f"{status.rows:,}: " if status.rows is not None else ""
    if status.rows is not None and sum(status.outcomes.values()) > status.rows:
        total = f"{status.rows:,} for each model: "
    return total + ", ".join(f"{count:,} {clean(name)}" for name, count in status.outcomes.items())


def records(status: Status) -> str:
    """Return how many records are done."""
    counts = status.records
    of = f" of {counts.total:,}" if counts.total is not None else ""
    failed = f", {counts.failed:,} with an error" if counts.failed else ""
    return f"{counts.processed:,}{of} records{failed}"


def money(status: Status) -> str:
    """Return tokens and dollars; of a run that goes on, the estimate's, and said so."""
    spent = status.spent
    if spent is None:
        return ""
    about = "" if spent.actual else "about "
    cost = "" if spent.cost_usd is None else f"{about}{dollars(spent.cost_usd)}"
    read = "" if spent.input_tokens is None else f"{about}{spent.input_tokens:,} tokens read"
    most = "" if spent.actual else "at most "
    written = "" if spent.output_tokens is None else f"{most}{spent.output_tokens:,} written"
    text = ", ".join(part for part in (cost, read, written) if part)
    return f"{text} (estimated)" if text and not spent.actual else text


def dollars(amount: float) -> str:
    """Return an amount with two digits that count."""
    return f"${amount:,.2f}" if amount >= 1 or amount == 0 else f"${amount:.4f}"


def time_left(status: Status) -> str:
    """Return how long a run takes from now; nothing of one that has ended."""
    if status.ended or status.status == "STOPPING":
        return ""
    if status.seconds_left is not None:
        return f"about {duration(status.seconds_left)}"
    if any(status.jobs.get(name) for name in QUEUED):
        return "unknown: jobs wait for free capacity of Bedrock, which costs nothing"
    return "unknown"


def duration(seconds: float) -> str:
    """Return a time in its two largest units, or in seconds."""
    whole = timedelta(seconds=round(seconds))
    hours, minutes = divmod(whole.seconds // 60, 60)
    if whole.days:
        return f"{whole.days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{whole.seconds} s"


def elapsed(status: Status) -> str:
    if status.started_at is None:
        return ""
    return duration(((status.ended_at or status.seen_at) - status.started_at).total_seconds())


def estimate(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the rows of a table about a dry run: what, and how much."""
    found = report.get("estimate") or {}
    yield "rows", f"{report.get('rows', found.get('rows', 0)):,}"
    yield "records", f"{found['records']:,}" + (f" (skipped rows: {found['skipped']:,})" if found["skipped"] else "")
    yield "jobs", f"{found['jobs']:,}"
    if found["on_demand_records"]:
        yield "on demand", f"{found['on_demand_records']:,} records"
    yield "tokens read", f"about {found['input_tokens']:,}"
    most = found["output_tokens"]
    yield "tokens written", "unknown: set inference.max_tokens" if most is None else f"at most {most:,}"
    cost, why = found["cost_usd"], clean(found.get("cost_unknown", ""))
    yield "cost", f"unknown: {why}" if cost is None else f"at most {dollars(cost)}"
    if found.get("cost_with_retries_usd") is not None:
        yield "with retries", f"at most {dollars(found['cost_with_retries_usd'])}"


def failure_lines(found: Failures) -> Iterator[str]:
    """Yield the groups of rows without an answer, each with its examples."""
    missing = sum(group.rows for group in found.groups)
    yield f"{missing:,} of {found.rows:,} rows have no answer that can be used."
    for group in found.groups:
        of = f" · {clean(group.model)}" if group.model else ""
        yield ""
        yield f"{group.rows:,} {clean(group.outcome)}: {clean(group.code)}{of}"
        for example in group.examples:
            cells = ", ".join(f"{clean(str(name))}={clean(str(value))!r}" for name, value in example["cells"].items())
            yield f"  row {example['row']:,}: {one_line(example['error'])}"
            if cells:
                yield f"    {one_line(cells)}"


def one_line(text: str) -> str:
    """Return a text in one line, cut where it is long."""
    line = " ".join(clean(text).split())
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}…"

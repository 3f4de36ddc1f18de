"""What a terminal shows, with rich. The words are those of `show`."""

import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import click
from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from bedrock_batch_client import show
from bedrock_batch_client.cli import options
from bedrock_batch_client.progress import Status
from bedrock_batch_client.runs import Item

_STYLES = {
    "SUCCEEDED": "bold green",
    "SUCCEEDED_WITH_WARNINGS": "bold yellow",
    "RUNNING": "bold cyan",
    "STOPPING": "bold yellow",
}
_BAD = "bold red"
_BAR = 40
_WIDE = 10_000


def on_terminal() -> bool:
    """Return whether somebody looks at a terminal that can show a view. FORCE_COLOR, of many CIs, makes none."""
    return sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def _print(view: RenderableType, *, whole_lines: bool = False) -> None:
    """Print a view. Only a terminal needs short lines; a program gets each fact whole, on one line."""
    console = Console(highlight=False, force_terminal=on_terminal())
    if console.is_terminal and not whole_lines:
        console.print(view)
        return
    console.width = _WIDE
    with console.capture() as captured:
        console.print(view)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def print_status(status: Status, *, as_json: bool) -> None:
    if as_json:
        options.print_json(status.to_json())
    else:
        _print(_view(status, _head(status)))


def live_view(status: Status | None) -> RenderableType:
    """Return the view of a run that is watched: as long as it goes on, something moves."""
    if status is None:
        return _spinner(Text("Looking …"))
    head = _head(status)
    return _view(status, head if status.ended else _spinner(head))


def _spinner(text: Text) -> Spinner:
    # A new one begins with its first frame, so it is turned by the clock.
    spinner = Spinner("dots", text=text, style="cyan")
    spinner.start_time = 0
    return spinner


def _view(status: Status, head: RenderableType) -> RenderableType:
    """Return a head, then a line for everything that is known."""
    return Group(head, _grid(_facts(status)))


def _grid(rows: Iterable[tuple[str, RenderableType]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(name, value)
    return grid


def _head(status: Status) -> Text:
    return Text.assemble(
        (f"{status.run}  ", "bold"),
        (status.status, _STYLES.get(status.status, _BAD)),
        (f"  {show.elapsed(status)}", "dim"),
    )


def _facts(status: Status) -> list[tuple[str, RenderableType]]:
    facts: list[tuple[str, RenderableType]] = []
    if status.state:
        facts.append(("state", Text(show.clean(status.state))))
    if status.rows is not None:
        facts.append(("rows", Text(show.outcomes(status) if status.outcomes else f"{status.rows:,}")))
    if status.jobs:
        facts.append(("jobs", Text(show.jobs(status.jobs))))
    if not status.ended and status.records.part is not None:
        facts.append(("", ProgressBar(total=1.0, completed=status.records.part, width=_BAR)))
    if status.records.processed:
        facts.append(("records", Text(show.records(status))))
    if spent := show.money(status):
        facts.append(("cost", Text(spent)))
    if left := show.time_left(status):
        facts.append(("time left", Text(left)))
    facts += [("", Text(show.clean(problem), style="yellow")) for problem in status.problems]
    facts += map(_warning, status.warnings)
    if status.why:
        facts.append(("error", Text(show.clean(status.why), style="red")))
    if status.what_to_do:
        facts.append(("do this", Text(show.clean(status.what_to_do))))
    if page := show.report(status):
        facts.append(("report", Text(page)))
    return facts


def print_runs(items: Sequence[Item]) -> None:
    if not items:
        _print("There are no runs.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("RUN", "STATUS", "STARTED (UTC)", "TOOK"):
        table.add_column(name, no_wrap=True)
    table.add_column("ROWS", justify="right")
    for item in items:
        table.add_row(
            Text(item.run),
            Text(item.status, style=_STYLES.get(item.status, _BAD)),
            Text(item.started_at[:19].replace("T", " ")),
            Text(_took(item)),
            Text("" if item.rows is None else f"{item.rows:,}"),
        )
    _print(table, whole_lines=True)  # A narrow terminal folds them; rich would cut names off.


def _took(item: Item) -> str:
    if not item.started_at or (not item.ended_at and item.status not in ("RUNNING", "STOPPING")):
        return ""
    ended = datetime.fromisoformat(item.ended_at) if item.ended_at else datetime.now(UTC)
    return show.duration((ended - datetime.fromisoformat(item.started_at)).total_seconds())


def print_pairs(pairs: Sequence[tuple[str, str]], warnings: Sequence[str]) -> None:
    """Print a table of two columns, and warnings below it."""
    facts = [(name, Text(value)) for name, value in pairs] + [_warning(warning) for warning in warnings]
    _print(_grid(facts))


def _warning(text: str) -> tuple[str, Text]:
    return "warning", Text(show.clean(text), style="yellow")

"""Show a run until it ends: a view on a terminal, lines elsewhere."""

from collections.abc import Iterator
from datetime import UTC

from rich.console import Console
from rich.live import Live

from bedrock_batch_client import show
from bedrock_batch_client.api import Run
from bedrock_batch_client.cli import options, views
from bedrock_batch_client.follow import last_of
from bedrock_batch_client.progress import Status


def follow(run: Run, *, every: float, quiet: bool = False, console: Console | None = None) -> Status:
    """Show a run until it has ended, and return how it ended; `quiet` shows nothing."""
    console = console or Console(highlight=False)
    try:
        watched = run.watch(every=every)
        if quiet:
            return last_of(watched)
        return _live(watched, console) if console.is_terminal else _lines(watched, console)
    except KeyboardInterrupt:
        options.say(
            f"\nThe run {run.name!r} goes on. Follow it with `bedrock-batch watch {run.name}`, end it with `stop`."
        )
        raise


def follow_to_its_end(run: Run, *, every: float, as_json: bool) -> None:
    """Show a run until it has ended, or print only the document of its end. Raises RunEndedBadly."""
    last = follow(run, every=every, quiet=as_json)
    if as_json:
        options.print_json(last.to_json())
    options.ended(last, as_json=as_json)


def _live(watched: Iterator[Status], console: Console) -> Status:
    seen: list[Status] = []
    with Live(
        console=console, get_renderable=lambda: views.live_view(seen[-1] if seen else None), refresh_per_second=4
    ):
        for status in watched:
            seen[:] = [status]
    return seen[-1]


def _lines(watched: Iterator[Status], console: Console) -> Status:
    before = None
    for status in watched:
        for line in show.lines_of_change(before, status):
            console.print(f"{status.seen_at.astimezone(UTC):%H:%M:%S}  {line}", markup=False, soft_wrap=True)
        before = status
    assert before is not None
    return before

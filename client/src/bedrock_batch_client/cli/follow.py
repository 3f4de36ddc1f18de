"""Show a run until it ends: a view on a terminal, lines elsewhere."""

import os
import sys
from collections.abc import Iterator
from datetime import UTC

import click
from rich.console import Console
from rich.live import Live

from bedrock_batch_client import show
from bedrock_batch_client.api import Run
from bedrock_batch_client.cli import options, views
from bedrock_batch_client.follow import last_of
from bedrock_batch_client.progress import Status


def follow(run: Run, *, every: float, quiet: bool = False) -> Status:
    """Show a run until it has ended, and return how it ended; `quiet` shows nothing."""
    seen: list[Status] = []
    watched = _noted(run.watch(every=every), seen)
    try:
        if quiet:
            last_of(watched)
        elif views.on_terminal():
            _live(watched, seen)
        else:
            _lines(watched)
    except (KeyboardInterrupt, BrokenPipeError) as err:
        if isinstance(err, BrokenPipeError):  # the reader of the lines, such as `head`, has enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not seen or not seen[-1].ended:  # Else only its report was waited for.
            options.say(
                f"\nThe run {run.name!r} goes on. Follow it with `bedrock-batch watch {run.name}`, end it with `stop`."
            )
            raise KeyboardInterrupt from None
    return seen[-1]


def follow_to_its_end(run: Run, *, every: float, as_json: bool) -> None:
    """Show a run until it has ended, or print only the document of its end. Raises RunEndedBadly."""
    last = follow(run, every=every, quiet=as_json)
    if as_json:
        options.print_json(last.to_json())
    options.ended(last, as_json=as_json)


def _noted(watched: Iterator[Status], seen: list[Status]) -> Iterator[Status]:
    """Yield each status, and keep the last one in `seen`."""
    for status in watched:
        seen[:] = [status]
        yield status


def _live(watched: Iterator[Status], seen: list[Status]) -> None:
    with Live(
        console=Console(highlight=False),
        get_renderable=lambda: views.live_view(seen[-1] if seen else None),
        refresh_per_second=4,
    ):
        last_of(watched)


def _lines(watched: Iterator[Status]) -> None:
    before = None
    for status in watched:
        for line in show.lines_of_change(before, status):
            click.echo(f"{status.seen_at.astimezone(UTC):%H:%M:%S}  {line}")
        before = status

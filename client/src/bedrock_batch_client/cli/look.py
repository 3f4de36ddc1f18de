"""Commands that look: status, watch, list."""

import click

from bedrock_batch_client import runs
from bedrock_batch_client.api import Batch, Run
from bedrock_batch_client.cli import options, views
from bedrock_batch_client.cli.follow import follow_to_its_end


@click.command()
@options.run_argument
@options.installation
@options.as_json
def status(batch: Batch, run_name: str, as_json: bool) -> None:
    """Show how far a run is, once."""
    views.print_status(Run(batch, run_name).status(), as_json=as_json)


@click.command()
@options.run_argument
@options.installation
@options.every()
@click.option("--once", is_flag=True, help="Look once; the exit code says how the run ended, if it has.")
@options.as_json
def watch(batch: Batch, run_name: str, every: float, once: bool, as_json: bool) -> None:
    """Follow a run until it ends, whoever started it. Ctrl-C ends only the watching.

    On a terminal a view is kept up to date; elsewhere a line is printed for everything that changes. With --json one
    document is printed, at the end.
    """
    run = Run(batch, run_name)
    if not once:
        follow_to_its_end(run, every=every, as_json=as_json)
        return
    seen = run.status()
    views.print_status(seen, as_json=as_json)
    if seen.ended:
        options.ended(seen, as_json=as_json)


@click.command("list")
@options.installation
@click.option(
    "--limit", metavar="NUMBER", type=click.IntRange(1, 1000), default=20, show_default=True, help="Most runs to show."
)
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(runs.STATUSES),
    help="Only runs in this status; repeatable.",
)
@options.as_json
def list_(batch: Batch, limit: int, statuses: tuple[str, ...], as_json: bool) -> None:
    """List the latest runs, the latest start first."""
    found = runs.list_runs(batch.installation, statuses=statuses or runs.STATUSES, limit=limit)
    if as_json:
        options.print_json([one.to_json() for one in found])
    else:
        views.print_runs(found)

"""Commands that read a run's table: fetch, failures."""

import sys
from pathlib import Path

import click

from bedrock_batch_client import show, tables
from bedrock_batch_client.api import Batch, Run
from bedrock_batch_client.cli import options
from bedrock_batch_client.parts import FORMATS

model = click.option(
    "--model", metavar="ID", default="", help="Only the table of this model, where the run has several."
)


@click.command()
@options.run_argument
@click.option(
    "--out",
    "-o",
    metavar="FILE",
    help="File to write, or - for standard output. Default: RUN.FORMAT; of several models a folder.",
)
@click.option("--format", "form", type=click.Choice(FORMATS), help="Default: that of the file's name, or of the run.")
@model
@click.option(
    "--unanswered",
    is_flag=True,
    help="Only the rows without an answer, and only the columns of the input: the table of a new run. "
    "Default of --out: RUN-unanswered.FORMAT.",
)
@click.option("--overwrite", is_flag=True, help="Write over a file that is there.")
@options.installation
@options.as_json
def fetch(
    batch: Batch,
    run_name: str,
    out: str | None,
    form: str | None,
    model: str,
    unanswered: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Fetch the table of a run that has ended, as one file."""
    if out == "-":
        if as_json:
            raise click.UsageError("--json and --out - both want standard output: take one.")
        tables.fetch_to(batch.installation, run_name, sys.stdout.buffer, form=form, model=model, unanswered=unanswered)
        return
    written = Run(batch, run_name).fetch(
        Path(out) if out else None, form=form, model=model, unanswered=unanswered, overwrite=overwrite
    )
    if as_json:
        options.print_json([one.to_json() for one in written])
        return
    for one in written:
        click.echo(f"{one.path}  ({one.bytes:,} bytes from {one.parts:,} part{'s' if one.parts != 1 else ''})")


@click.command()
@options.run_argument
@click.option(
    "--examples",
    metavar="NUMBER",
    type=click.IntRange(0, 100),
    default=3,
    show_default=True,
    help="Rows to show of each code.",
)
@model
@options.installation
@options.as_json
def failures(batch: Batch, run_name: str, examples: int, model: str, as_json: bool) -> None:
    """Show the rows of a run without an answer, by their code.

    docs/operations.md has the cause and the remedy of every code. `fetch --unanswered` makes a table of these rows.
    """
    found = Run(batch, run_name).failures(model=model, examples=examples)
    if as_json:
        options.print_json(found.to_json())
        return
    for line in show.failure_lines(found):
        click.echo(line)

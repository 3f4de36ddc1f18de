"""Commands that act on runs: run, estimate, stop, redrive."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import click

from bedrock_batch_client import runs, show, uploads
from bedrock_batch_client.api import Batch, Run, good
from bedrock_batch_client.cli import options, views
from bedrock_batch_client.cli.follow import follow_to_its_end
from bedrock_batch_client.errors import Mistake
from bedrock_batch_client.follow import last_of, until_salvaged

Command = Callable[..., Any]


def _document_options(command: Command) -> Command:
    """Give a command what a run document is made from."""
    for option in reversed(
        [
            click.argument("document", type=click.File("r", encoding="utf-8"), required=False),
            click.option("--table", metavar="FILE_OR_URI", help="The table: a file, which is uploaded, or s3://…"),
            click.option("--model", "models", metavar="ID", multiple=True, help="Model id; repeatable."),
            click.option("--prompt", help="The prompt, with {column} places; @FILE reads it from a file."),
            click.option("--prompt-id", metavar="ID", help="A prompt of the installation."),
            click.option(
                "--output-format", type=click.Choice(["parquet", "csv", "jsonl"]), help="Format of the run's table."
            ),
            click.option(
                "--max-tokens", metavar="NUMBER", type=click.IntRange(min=1), help="Most tokens of one answer."
            ),
            click.option(
                "--limit", metavar="NUMBER", type=click.IntRange(min=1), help="Only the first rows of the table."
            ),
            click.option(
                "--upload-to",
                metavar="URI",
                help="Where a file goes, as s3://bucket/folder/; default: the installation's place.",
            ),
        ]
    ):
        command = option(command)
    return command


@click.command()
@_document_options
@click.option("--run-name", metavar="NAME", help="Name of the run, which is used once. Default: made from the time.")
@click.option("--wait", is_flag=True, help="Follow the run until it ends; the exit code says how.")
@options.every()
@options.installation
@options.as_json
def run(batch: Batch, run_name: str | None, wait: bool, every: float, as_json: bool, **given: Any) -> None:
    """Start a run.

    DOCUMENT is a run document (docs/run-input.md) as a JSON file, or - for standard input. An option replaces the
    document's key. With --table, --model and --prompt no document is needed.
    """
    if run_name is not None:  # A table may take long to upload.
        runs.check_free(batch.installation, run_name)
    started = batch.start(_document(batch, **given), name=run_name)
    if not as_json:
        click.echo(started.name)
    _goes_on(started, "Started.", wait=wait, every=every, as_json=as_json)


@click.command()
@_document_options
@click.option("--show-record", is_flag=True, help="Also print the first record, as it would be sent.")
@options.installation
@options.as_json
def estimate(batch: Batch, show_record: bool, as_json: bool, **given: Any) -> None:
    """Check the table, and say what a run would send and cost.

    It takes what `run` takes, and reads the whole table. Nothing is sent to a model.
    """
    started = batch.start(_document(batch, **given) | {"dry_run": True})
    options.say(f"Dry run {started.name}: the table is read and checked.")
    last = last_of(started.watch(every=1))
    if as_json and not last.good:
        options.print_json(last.to_json())
    good(last)
    report = started.report()
    if not show_record:
        report.pop("first_record", None)
    if as_json:
        options.print_json(report)
        return
    views.print_pairs(list(show.estimate(report)), report["warnings"])
    if show_record:
        click.echo(show.clean(json.dumps(report["first_record"], ensure_ascii=False, indent=2)))


@click.command()
@options.run_argument
@click.option("--wait", is_flag=True, help="Wait until its jobs have ended and its answers are joined.")
@options.installation
@options.every(5.0)
@options.as_json
def stop(batch: Batch, run_name: str, wait: bool, every: float, as_json: bool) -> None:
    """Stop a run. Its jobs are stopped, and the answers so far are kept and joined."""
    started = Run(batch, run_name)
    if not started.stop():
        options.say(f"The run {run_name!r} has ended already.")
    if wait:
        options.say("Its jobs are being stopped. Bedrock finishes the records that it has begun.")
        seen = until_salvaged(batch.installation, run_name, every=every)
    else:
        seen = started.status()
    views.print_status(seen, as_json=as_json)


@click.command()
@options.run_argument
@click.option("--wait", is_flag=True, help="Follow the run until it ends; the exit code says how.")
@options.every()
@options.installation
@options.as_json
def redrive(batch: Batch, run_name: str, wait: bool, every: float, as_json: bool) -> None:
    """Continue a run that failed or was stopped. What has been answered is not sent again."""
    started = Run(batch, run_name)
    started.redrive()
    _goes_on(started, f"The run {run_name!r} goes on.", wait=wait, every=every, as_json=as_json)


def _goes_on(started: Run, said: str, *, wait: bool, every: float, as_json: bool) -> None:
    if wait:
        follow_to_its_end(started, every=every, as_json=as_json)
    elif as_json:
        execution = started.batch.installation.execution_arn(started.name)
        options.print_json({"run": started.name, "execution": execution})
    else:
        options.say(f"{said} Follow it with `bedrock-batch watch {started.name}`.")


def _document(
    batch: Batch,
    *,
    document: TextIO | None,
    table: str | None,
    models: tuple[str, ...],
    prompt: str | None,
    prompt_id: str | None,
    output_format: str | None,
    max_tokens: int | None,
    limit: int | None,
    upload_to: str | None,
) -> dict[str, Any]:
    """Return the run document: that of the file, and the options over it."""
    made = _read(document) if document else {}
    if not document and not (table and models):
        raise click.UsageError("Give a run document, or --table and --model.")
    if prompt is not None and prompt_id is not None:
        raise click.UsageError("--prompt and --prompt-id are both given: take one.")
    if prompt is not None:
        made.pop("prompt_id", None)
        made["prompt"] = {"text": _text_of(prompt[1:]) if prompt.startswith("@") else prompt}
    if prompt_id is not None:
        made.pop("prompt", None)
        made["prompt_id"] = prompt_id
    if models:
        made["model_id"] = models[0] if len(models) == 1 else list(models)
    for section, key, value in (
        ("output", "format", output_format),
        ("inference", "max_tokens", max_tokens),
        ("input", "limit", limit),
    ):
        if value is not None:
            given = made.get(section) or {}
            if not isinstance(given, dict):
                example = json.dumps({key: value})
                raise Mistake(f"`{section}` of the run document is not a JSON object, such as {example}.")
            made[section] = {**given, key: value}
    if table is not None:
        made.pop("dataset_id", None)
        made["s3_uri"] = uploads.place(batch.installation, table, to=upload_to)
    return made


def _text_of(file: str) -> str:
    try:
        return Path(file).read_text("utf-8")
    except UnicodeDecodeError as err:
        raise Mistake(f"The prompt {file} is not text in UTF-8: {err}") from err


def _read(document: TextIO) -> dict[str, Any]:
    try:
        made = json.load(document)
    except (ValueError, RecursionError) as err:
        raise Mistake(f"The run document {document.name} is not JSON: {err}") from err
    if not isinstance(made, dict):
        raise Mistake(f'The run document {document.name} is not a JSON object, such as {{"s3_uri": …}}.')
    return made

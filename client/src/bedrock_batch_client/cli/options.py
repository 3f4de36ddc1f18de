"""Options that commands share."""

import functools
import json
import math
import sys
from collections.abc import Callable
from typing import Any

import click

from bedrock_batch_client.api import Batch, good
from bedrock_batch_client.errors import RunEndedBadly
from bedrock_batch_client.progress import Status

Command = Callable[..., Any]


def installation(command: Command) -> Command:
    """Give a command the options that name an installation, and the `Batch` of it as its first argument."""

    @click.option(
        "--name",
        metavar="NAME",
        envvar="BEDROCK_BATCH_NAME",
        required=True,
        help="Name of the installation: `name` of its module block.",
        show_envvar=True,
    )
    @click.option("--profile", metavar="PROFILE", help="Profile of the AWS configuration.")
    @click.option("--region", metavar="REGION", help="AWS Region. Default: AWS_REGION, or that of the profile.")
    @click.option("--endpoint-url", metavar="URL", help="Where AWS listens, if not at its own address.")
    @functools.wraps(command)
    def with_batch(
        *arguments: Any, name: str, profile: str | None, region: str | None, endpoint_url: str | None, **options: Any
    ) -> Any:
        batch = Batch(name, profile=profile, region=region, endpoint_url=endpoint_url)
        return command(batch, *arguments, **options)

    return with_batch


as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document; words go to standard error.")

run_argument = click.argument("run_name", metavar="RUN")


def _finite(_context: click.Context, _option: click.Parameter, seconds: float) -> float:
    if not math.isfinite(seconds):
        raise click.BadParameter(f"{seconds} is not a number of seconds.")
    return seconds


def every(seconds: float = 10.0) -> Callable[[Command], Command]:
    """Return the option that says how often a command looks."""
    return click.option(
        "--every",
        metavar="SECONDS",
        type=click.FloatRange(min=0.05),
        callback=_finite,
        default=seconds,
        show_default=True,
        help="Seconds between two looks.",
    )


def print_json(document: Any) -> None:
    """Print a document as the whole standard output."""
    utf8 = (getattr(sys.stdout, "encoding", None) or "").lower() in ("utf-8", "utf8")
    click.echo(json.dumps(document, ensure_ascii=not utf8, indent=2))


def ended(last: Status, *, as_json: bool) -> None:
    """End a command as the run ended. People have read why; who reads JSON finds it on standard error too."""
    if as_json:
        good(last)
    elif not last.good:
        raise RunEndedBadly(f"The run {last.run!r} ended {last.status}.")


def say(text: str) -> None:
    """Print words for people where they do not disturb a program that reads standard output."""
    click.echo(text, err=True)

"""All commands together, and how each of them ends."""

from collections.abc import Sequence

import click

from bedrock_batch_client import __version__
from bedrock_batch_client.cli import look, start, table
from bedrock_batch_client.errors import BatchError, Mistake
from bedrock_batch_client.show import clean

_STOPPED_BY_CTRL_C = 130

EXIT_CODES = {
    0: "it worked; a run that was waited for ended well, with warnings or without",
    1: "the run that was waited for failed, was stopped, or ran out of time",
    2: "a mistake in the command, or in what it was given",
    3: "no permission: AWS credentials or a permission are missing",
    4: "there is no such installation, run or table",
    5: "AWS or the network failed",
    _STOPPED_BY_CTRL_C: "stopped with Ctrl-C, or because nobody reads its lines any more; the run goes on",
}


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Every command needs the name of the installation: --name, or the variable BEDROCK_BATCH_NAME.",
)
@click.version_option(__version__, prog_name="bedrock-batch")
def cli() -> None:
    """Start, follow and stop runs of bedrock-batch, and fetch their tables."""


for command in (
    start.run,
    start.estimate,
    look.status,
    look.watch,
    look.list_,
    start.stop,
    start.redrive,
    table.fetch,
    table.failures,
):
    cli.add_command(command)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code. A mistake is a sentence, never a traceback."""
    try:
        cli.main(arguments, prog_name="bedrock-batch", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return _STOPPED_BY_CTRL_C
    except click.ClickException as err:
        err.show()
        return Mistake.exit_code
    except BatchError as err:
        click.echo(f"Error: {clean(str(err))}", err=True)
        return err.exit_code
    except SystemExit:  # so click ends when the reader of our output, such as `head`, has enough
        return 0
    except OSError as err:
        click.echo(f"Error: {err.strerror or err}: {err.filename or ''}".removesuffix(": "), err=True)
        return Mistake.exit_code
    return 0

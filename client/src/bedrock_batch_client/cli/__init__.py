"""The command `bedrock-batch`. It needs the extra `cli`."""

import io
import sys


def main() -> None:
    """Run the command line and end the program with its exit code."""
    try:
        import click
        import rich
    except ImportError:
        print('The command needs click and rich: pip install "bedrock-batch-client[cli]"', file=sys.stderr)
        sys.exit(2)
    del click, rich
    from bedrock_batch_client.cli.commands import run

    # What the encoding of the terminal or of a file name does not have is shown as its number.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run())

"""Write the reference of commands in docs/client.md, below its guide, from the commands themselves: `make docs`."""

import sys
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("client.md")
MARK = "<!-- `make docs` writes everything below from the commands. -->\n"


def page() -> str:
    """Return the whole page: the guide as it stands, and the reference anew."""
    guide = PAGE.read_text("utf-8").partition(MARK)[0]
    return guide + MARK + "\n" + "\n".join(reference()) + "\n"


def reference() -> list[str]:
    """Return the lines of the reference: exit codes, then every command with its options."""
    from bedrock_batch_client.cli.commands import EXIT_CODES, cli

    lines = ["## Exit codes", "", "| code | meaning |", "|---|---|"]
    lines += [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()]
    lines += ["", "## Commands"]
    for name, command in cli.commands.items():
        lines += ["", f"### {name}", "", "```text", f"bedrock-batch {name} {usage(command)}", "```", ""]
        lines += [" ".join(paragraph.split()) + "\n" for paragraph in command.help.split("\n\n")]
        lines += ["| option | default | meaning |", "|---|---|---|", *options(command)]
    return lines


def usage(command: Any) -> str:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    return " ".join(["[OPTIONS]", *(one.make_metavar(context(command)) for one in arguments)])


def options(command: Any) -> list[str]:
    """Return a line of a table for every option of a command."""
    lines = []
    for option in command.params:
        if option.param_type_name != "option":
            continue
        value = "" if option.is_flag else f" {metavar(option, command)}"
        names = " or ".join(f"`{name}{value}`" for name in option.opts)
        required = " (required)" if option.required else ""
        shown = f"`{option.default}`" if option.show_default else ""
        envvar = f" Variable: `{option.envvar}`." if option.envvar else ""
        lines.append(f"| {names}{required} | {shown} | {option.help}{envvar} |")
    return lines


def metavar(option: Any, command: Any) -> str:
    """Return what stands for the value of an option; of few choices, all of them."""
    return str(option.make_metavar(context(command))).replace("|", "\\|")


def context(command: Any) -> Any:
    import click

    return click.Context(command)


if __name__ == "__main__":
    sys.path.insert(0, str(PAGE.parents[1] / "client" / "src"))
    PAGE.write_text(page(), encoding="utf-8")

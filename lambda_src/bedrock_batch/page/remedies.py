"""What an error means and what to do about it, from `remedies.json`. docs/operations.md has its tables from there too.

The texts are Markdown with code, emphasis and links within a line.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from bedrock_batch.page.markup import Child, Html, tag, together

_NAME = re.compile(r"\b[A-Z]\w+(?:\.\w+|\.…)?")
_INLINE = re.compile(r"`(?P<code>[^`]+)`|\*\*(?P<strong>[^*]+)\*\*|\*(?P<em>[^*]+)\*|\[(?P<link>[^\]]+)\]\([^)]*\)")
_SERVER_ERROR = re.compile(r"5[0-9][0-9]")

_COMMANDS = {
    r"\*\*redrive\*\*": "`bedrock-batch redrive $RUN --name $NAME`",
    r"the rows without an answer": "`bedrock-batch fetch $RUN --name $NAME --unanswered`",
}
"""What a remedy says, as a regular expression, and the client's command for it."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """What happened, and what to do, in Markdown."""

    what: str
    do: str


@cache
def _tables() -> Mapping[str, list[dict[str, str]]]:
    found: Mapping[str, list[dict[str, str]]] = json.loads(
        files("bedrock_batch").joinpath("page/remedies.json").read_text("utf-8")
    )
    return found


def of_report(report: Mapping[str, Any]) -> Remedy:
    """Return the remedy of the error in a report. If children of a Map failed, that of the first child's error."""
    children = report.get("failed_children", ())
    return of_error(
        *(str(report.get(key, "")) for key in ("error", "status")), child=children[0]["error"] if children else ""
    )


def of_error(error: str, status: str, *, child: str = "") -> Remedy:
    """Return the remedy of a run's error; for an end without an error, the meaning of its status.

    The error of a `child` of a Map says more than that of the Map, if it is known.
    """
    *rows, unknown = _tables()["errors"]
    for name in (child, error or status):
        for wanted in (name, f"{name.partition('.')[0]}.…"):
            for row in rows:
                if wanted in _NAME.findall(row["error"].split(" (")[0]):
                    return Remedy(row["what"], row["do"])
    return Remedy(unknown["what"], unknown["do"])


def of_code(code: str) -> Remedy | None:
    """Return the remedy of an error code of rows; None if no table has the code."""
    wanted = "500" if _SERVER_ERROR.fullmatch(code) else code
    for row in _tables()["codes"]:
        if wanted in re.findall(r"`([^`]+)`", row["code"]):
            return Remedy(row["cause"], row["do"])
    return None


def values(run_id: str, place: str) -> dict[str, str]:
    """Return the values of what stands for them in a text. `place` is the installation's root: `s3://bucket/root`."""
    return {"ROOT": place, "RUN": run_id, "NAME": place.rpartition("/")[2]}


def with_commands(do: str) -> str:
    """Return what to do, with the client's commands where they are first spoken of."""
    for words, command in _COMMANDS.items():
        do = re.sub(words, rf"\g<0> ({command})", do, count=1, flags=re.IGNORECASE)
    return do


def shown(markdown: str, values: Mapping[str, str]) -> Html:
    """Return a text as HTML, with its `values`."""
    return together(list(_parts(_filled(markdown, values))))


def plain(markdown: str, values: Mapping[str, str]) -> str:
    """Return a text for a terminal, with its `values`: code stays in its quotes."""
    return _INLINE.sub(
        lambda found: found["strong"] or found["em"] or found["link"] or found[0], _filled(markdown, values)
    )


def _filled(markdown: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        markdown = markdown.replace(f"${name}", value)
    return markdown


def _parts(markdown: str) -> Iterator[Child]:
    at = 0
    for found in _INLINE.finditer(markdown):
        yield markdown[at : found.start()]
        kind: Any = found.lastgroup
        yield found["link"] if kind == "link" else tag(kind, found[kind])
        at = found.end()
    yield markdown[at:]

"""The parts of the page's sections: headings, tables with a limited number of rows, lists, folded texts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from bedrock_batch.page.markup import Child, Html, tag
from bedrock_batch.page.words import counted

Report = dict[str, Any]
"""The content of report.json."""


def sent_and_answered(outcomes: Mapping[str, int]) -> tuple[int, int]:
    """Return how many rows were sent, and how many of them have an answer."""
    sent = sum(outcomes.values()) - outcomes["skipped"]
    return sent, sent - outcomes["failed"] - outcomes["missing"]


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a column: its word, and the kind of its cells (`number`, `word`, `wide`, `name` or nothing)."""

    word: str
    kind: str = ""


def section(title: str, *content: Child, note: Child = None) -> Html | None:
    """Return a section; nothing if it has no content."""
    shown = [one for one in content if one]
    if not shown:
        return None
    return tag("section", tag("h2", title), tag("p", note, class_="note") if note else None, shown)


def table(
    caption: str, heads: Sequence[Head], rows: Iterable[Sequence[Child]], *, stacked: bool = True, more: int = 0
) -> Html:
    """Return a table whose first column names its rows. `more` is how many rows there are beside the ones given.

    On a phone a `stacked` table has a line for each cell; others must be narrow. `caption` may be empty.
    """
    head = _tag("tr", [_tag("th", one.word, stacked, one, scope="col") for one in heads], stacked)
    content = tag(
        "table",
        tag("caption", caption) if caption else None,
        _tag("thead", head, stacked),
        _tag("tbody", [_row(heads, row, stacked) for row in rows], stacked),
        class_="stack" if stacked else None,
        role="table" if stacked else None,
    )
    return tag("div", content, _and_more(more), class_="rows")


def _and_more(more: int) -> Html | None:
    return tag("p", f"… and {counted(more, 'more', 'more')}.", class_="quiet") if more > 0 else None


def _row(heads: Sequence[Head], row: Sequence[Child], stacked: bool) -> Html:
    first, *rest = row
    cells = [_tag("td", cell, stacked, head, data_label=head.word) for head, cell in zip(heads[1:], rest, strict=True)]
    return _tag("tr", [_tag("th", first, stacked, heads[0], scope="row"), *cells], stacked)


def _tag(name: str, content: Child, stacked: bool, head: Head | None = None, **attributes: str) -> Html:
    """Return an element of a table, with its role: the style may display it in another way than a table."""
    role = {"tr": "row", "td": "cell", "thead": "rowgroup", "tbody": "rowgroup"}.get(name)
    if name == "th":
        role = "columnheader" if attributes["scope"] == "col" else "rowheader"
    return tag(name, content, class_=(head and head.kind) or None, role=role if stacked else None, **attributes)


def listed(values: Sequence[Child], *, most: int) -> Html | None:
    """Return a list of the first values, and the number of further values."""
    if not values:
        return None
    more = len(values) - most
    items = [tag("li", value) for value in islice(values, most)]
    return tag(
        "ul",
        items,
        tag("li", f"… and {counted(more, 'more', 'more')}", class_="quiet") if more > 0 else None,
        class_="list",
    )


def more_models(more: int) -> Iterator[Html]:
    """Yield the words about further models, if there are any."""
    if more > 0:
        yield tag("p", f"report.json has {counted(more, 'more model')}.", class_="quiet")


def folded(summary: str, *content: Child) -> Html | None:
    """Return a part that a reader can unfold; nothing if it has no content."""
    shown = [one for one in content if one]
    return tag("details", tag("summary", summary), tag("div", shown)) if shown else None

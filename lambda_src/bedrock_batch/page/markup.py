"""Make HTML in which texts of others stay texts.

Everything on the page is made by `tag`. Only the results of `tag` are used unchanged; every other text is escaped and
cut. No other module makes an `Html`; a test checks this.
"""

import re
from collections.abc import Iterable
from typing import TypeAlias

MOST_TEXT = 400
"""Most bytes of an escaped text on the page. A longer one is cut, because a cell may have megabytes."""

MOST_NAME = 200
"""Most bytes of a name, key or path."""

_NOT_SHOWN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, but tab and line feed
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # these turn the direction of what stands beside them
    "\u00ad\u034f\u115f\u1160\u180e\u200b\u2028\u2029\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"  # not visible
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\U000e0000-\U000e007f]"  # no characters, or hidden ones
    # Joiners are not visible either. Between letters of some scripts, and in emoji, they are part of the writing.
    "|(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])"
)
_ESCAPED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}

_VOID = ("meta", "link", "br")


class Html(str):
    """Markup that `tag` made."""

    __slots__ = ()


Child: TypeAlias = "str | int | Iterable[Child] | None"
"""The content of an element: a text, a number, markup, nothing, or several of these."""


def tag(name: str, /, *children: Child, **attributes: Child) -> Html:
    """Return an element. The last underscore of an attribute's name is removed, for names such as `class_`."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{value if isinstance(value, Html) else text(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{_content(children)}</{name}>")


def together(*children: Child) -> Html:
    """Return markup and texts one after the other, without an element around them."""
    return Html(_content(children))


def style(rules: str) -> Html:
    """Return the element with the page's own style rules. They contain no text of others."""
    if "<" in rules:
        raise ValueError("The page's rules may not have a `<`.")
    return Html(f"<style>{rules}</style>")


def document(head: Html, body: Html) -> str:
    """Return the whole page."""
    return f'<!doctype html>\n<html lang="en">\n{tag("head", head)}\n{tag("body", body)}\n</html>\n'


def text(value: str, most: int = MOST_TEXT) -> Html:
    """Return a text as HTML that only shows it. It is safe within an attribute too.

    Characters that are invisible, or that would change their surroundings, are shown by their numbers. The result has
    at most `most` bytes of UTF-8, and an ellipsis if it was cut.
    """
    found: list[str] = []
    size = 0
    for place, character in enumerate(value):
        shown = _ESCAPED.get(character) or (_named(character) if _NOT_SHOWN.match(value, place) else character)
        size += len(shown.encode())
        if size > most - 3:
            return Html("".join(found) + "…")
        found.append(shown)
    return Html("".join(found))


def own(value: str, most: int = MOST_TEXT) -> Html:
    """Return a text of others for a sentence of ours. Its writing direction does not affect the rest of it."""
    return tag("bdi", text(value, most))


def code(value: str) -> Html:
    """Return a name, key or path of others."""
    return tag("code", own(value, MOST_NAME))


def outline(points: Iterable[tuple[float, float]]) -> Html:
    """Return the outline of a shape, for the attribute `d` of a path. It may be longer than a text."""
    return Html("M" + "L".join(f"{number(x)} {number(y)}" for x, y in points) + "Z")


def number(value: float) -> str:
    """Return a number of a drawing, as short as it can be."""
    return f"{value:.1f}".removesuffix(".0")


def _named(character: str) -> str:
    return f"⟨U+{ord(character):04X}⟩"


def _content(children: Child) -> str:
    if children is None:
        return ""
    if isinstance(children, Html):
        return children
    if isinstance(children, str):
        return text(children)
    if isinstance(children, Iterable):
        return "".join(map(_content, children))
    return text(str(children))

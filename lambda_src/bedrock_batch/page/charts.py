"""Draw the charts as SVG. They have only shapes, stretched to the available width. Their words are in HTML beside them.

Kinds differ in their patterns, not only in colour.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate

from bedrock_batch.page.markup import Child, Html, number, outline, tag

_WIDTH = 1000.0
_HATCHES = {
    "truncated": "M0 6 6 0",
    "invalid": "M0 3H6M3 0V6",
    "failed": "M0 0 6 6M0 6 6 0",
    "missing": "M0 3H6",
    "queued": "M0 0 6 6",
    "start_unknown": "M0 6 6 0",
    "waiting": "M3 0V6",
}
"""Lines over the colour of a kind, in a square of 6 by 6; kinds without any are plain."""


def patterns() -> Html:
    """Return the patterns that all charts of the page share."""
    defined = [
        tag(
            "pattern",
            tag("rect", width=6, height=6, class_=f"f-{kind}"),
            tag("path", d=lines, class_="hatch"),
            id=f"p-{kind}",
            width=6,
            height=6,
            patternUnits="userSpaceOnUse",
        )
        for kind, lines in _HATCHES.items()
    ]
    return tag("svg", tag("defs", *defined), width=0, height=0, aria_hidden="true", focusable="false")


def key(kind: str) -> Html:
    """Return the small square beside the word of a kind."""
    square = tag("rect", width=12, height=12, rx=2, **_fill(kind))
    return tag("svg", square, class_="key", viewBox="0 0 12 12", aria_hidden="true", focusable="false")


def legend(kinds: Mapping[str, str]) -> Html:
    """Return the words of the kinds of a chart."""
    return tag("ul", [tag("li", key(kind), word) for kind, word in kinds.items()], class_="legend")


def bar(parts: Mapping[str, float], *, title: str, desc: str, whole: float = 0, thin: bool = False) -> Html:
    """Return a bar of the parts, one after the other. `whole` is the value of the full width; 0: the parts' sum."""
    whole = whole or sum(parts.values()) or 1
    shown = {kind: value for kind, value in parts.items() if value > 0}
    starts = accumulate((value / whole * _WIDTH for value in shown.values()), initial=0.0)
    rects = [
        tag("rect", x=number(start), y=0, width=number(max(value / whole * _WIDTH, 1.5)), height=28, **_fill(kind))
        for (kind, value), start in zip(shown.items(), starts, strict=False)
    ]
    return _svg("thin" if thin else "bar", 28, title, desc, rects)


def spans(times: Mapping[str, tuple[float, float]], *, title: str, desc: str) -> Html:
    """Return a bar for each kind, from its start to its stop, which are shares of the whole width."""
    rects = [
        tag(
            "rect",
            x=number(start * _WIDTH),
            y=0,
            width=number(max((stop - start) * _WIDTH, 3)),
            height=28,
            **_fill(kind),
        )
        for kind, (start, stop) in times.items()
    ]
    return _svg("thin", 28, title, desc, rects)


def area(layers: Mapping[str, Sequence[int]], *, marks: Sequence[float] = (), title: str, desc: str) -> Html:
    """Return layers with the same number of values, one above the other, as steps over time.

    `marks` are shares of the width at which to draw a line.
    """
    steps = max((len(values) for values in layers.values()), default=0)
    most = max((sum(values) for values in zip(*layers.values(), strict=True)), default=0) or 1
    below = [0] * steps
    shapes: list[Child] = []
    for kind, values in layers.items():
        above = [low + value for low, value in zip(below, values, strict=True)]
        if any(values):
            shapes.append(tag("path", d=_band(below, above, most), **_fill(kind)))
        below = above
    shapes += [tag("line", x1=number(at * _WIDTH), x2=number(at * _WIDTH), y1=0, y2=200, class_="mark") for at in marks]
    return _svg("area", 200, title, desc, shapes)


def _band(below: Sequence[int], above: Sequence[int], most: int) -> Html:
    """Return the outline of a layer: its upper edge from left to right, its lower edge back."""
    width = _WIDTH / len(above)
    edges = [(step * width, (step + 1) * width) for step in range(len(above))]
    upper = [(x, 200 - 200 * high / most) for pair, high in zip(edges, above, strict=True) for x in pair]
    lower = [(x, 200 - 200 * low / most) for pair, low in zip(edges, below, strict=True) for x in pair]
    return outline([*upper, *reversed(lower)])


def _svg(class_: str, height: int, title: str, desc: str, shapes: Sequence[Child]) -> Html:
    return tag(
        "svg",
        tag("title", title),
        tag("desc", desc) if desc else None,
        shapes,
        class_=class_,
        role="img",
        aria_label=f"{title}. {desc}" if desc else title,
        viewBox=f"0 0 {_WIDTH:.0f} {height}",
        preserveAspectRatio="none",
    )


def _fill(kind: str) -> dict[str, str]:
    return {"fill": f"url(#p-{kind})"} if kind in _HATCHES else {"class_": f"f-{kind}"}

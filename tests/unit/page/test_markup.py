"""Texts stay texts: whatever they hold, they can neither be markup nor change what stands beside them."""

import ast
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bedrock_batch.page import markup
from bedrock_batch.page.markup import Html, code, own, style, tag, text, together

PAGE = Path(markup.__file__).parent

any_text = st.text(st.characters(categories=None), max_size=200)
"""Of all characters, lone surrogates and NUL among them."""

HOSTILE = [
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='x",
    "&lt;b&gt;",
    "\u202eevil\u2066",
    "a\x00b\x1b[31m",
    "\ud800 and \udfff",
    "<!--",
    "]]>",
    "javascript:alert(1)",
]


class Seen(HTMLParser):
    """What a browser would find: elements with their attributes, and the text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def seen(html: str) -> Seen:
    found = Seen()
    found.feed(html)
    found.close()
    return found


@given(any_text)
@example(HOSTILE[0])
@example(HOSTILE[7])
def test_a_text_is_shown_and_nothing_else(value: str) -> None:
    found = seen(tag("p", value, title=value))
    assert [name for name, _ in found.elements] == ["p"]
    shown = "".join(_shown(value, place) for place in range(len(value)))
    assert (found.text, found.elements[0][1]) == (shown, {"title": shown})


def _shown(value: str, place: int) -> str:
    hidden = markup._NOT_SHOWN.match(value, place)
    return f"⟨U+{ord(value[place]):04X}⟩" if hidden else value[place]


@pytest.mark.parametrize("hidden", [*"\u00ad\u034f\u115f\u180e\u200b\u200c\u200d\u2060\u206a\u3164\ufeff\uffa0"])
def test_a_character_that_nobody_sees_is_shown_by_its_number(hidden: str) -> None:
    assert text(f"id{hidden}") == f"id⟨U+{ord(hidden):04X}⟩"
    assert text(f"{hidden}id") == f"⟨U+{ord(hidden):04X}⟩id"


@pytest.mark.parametrize("written", ["می\u200cشد", "क्\u200dष", "👩\u200d🚀"])
def test_joiners_that_are_part_of_the_writing_stay(written: str) -> None:
    assert text(written) == written


@given(any_text)
def test_a_text_can_be_written_as_utf_8_and_turns_nothing_around(value: str) -> None:
    found = text(value)
    found.encode()
    assert not set(found) & set("\x00<>\"'\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")


@given(any_text, st.integers(10, 60))
def test_a_text_is_cut_by_its_size_as_it_is_written(value: str, most: int) -> None:
    found = text(value, most)
    assert len(found.encode()) <= most
    assert found == text(value, 10_000) or found.endswith("…")


def test_a_megabyte_is_cut_before_it_is_read() -> None:
    assert len(tag("p", "\u202e" * 1_000_000)) < markup.MOST_TEXT + 50


@pytest.mark.parametrize("value", HOSTILE)
def test_a_text_of_somebody_else_stands_apart(value: str) -> None:
    assert [name for name, _ in seen(together(own(value), code(value))).elements] == ["bdi", "code", "bdi"]


def test_what_tag_made_is_taken_as_it_is() -> None:
    assert tag("ul", [tag("li", 1), None, ["a", tag("li", "<")]]) == "<ul><li>1</li>a<li>&lt;</li></ul>"
    assert tag("p", "x", class_="a", aria_label="b", hidden=None) == '<p class="a" aria-label="b">x</p>'
    assert tag("meta", name="a") == '<meta name="a">'


def test_rules_with_a_tag_are_refused() -> None:
    with pytest.raises(ValueError):
        style("</style><script>")


def test_no_other_module_makes_markup() -> None:
    """Else a text could get onto the page as it is."""
    for path in PAGE.glob("*.py"):
        if path.name == "markup.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            called = isinstance(node, ast.Call) and ast.unparse(node.func) in ("Html", "markup.Html")
            assert not called, f"{path.name}, line {getattr(node, 'lineno', 0)}"
        assert "<" + "p>" not in path.read_text("utf-8")
    assert issubclass(Html, str)

"""Print the progress of a long program: one changing line on a terminal, plain lines everywhere else."""

import contextlib
import itertools
import os
import shutil
import sys
import threading
import time
import unicodedata
from collections.abc import Iterator, Sequence

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_SECONDS_BETWEEN_LINES = 10.0  # without a terminal
_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34"}


class Screen:
    """Standard output. `live` says whether it is a terminal, on which a line can be overwritten."""

    def __init__(self) -> None:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="replace", line_buffering=True)
        self.live = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._colours = self.live and not os.environ.get("NO_COLOR")
        self.width = min(shutil.get_terminal_size((100, 24)).columns, 120)

    def style(self, text: str, *names: str) -> str:
        """Return a text in colours, if the output has any."""
        codes = ";".join(_STYLES[name] for name in names)
        return f"\033[{codes}m{text}\033[0m" if self._colours else text

    def line(self, text: str = "") -> None:
        """Print a line that stays."""
        print(f"\r\033[K{text}" if self.live else text, flush=True)

    @contextlib.contextmanager
    def step(self, text: str) -> "Iterator[Step]":
        """Show a step until it is done."""
        step = Step(self, text)
        step.start()
        try:
            yield step
        except BaseException:
            step.stop()
            self.line(f"{self.style('✗', 'red')} {text}")
            raise
        step.stop()
        took = self.style(f"{step.seconds:.1f} s", "dim")
        self.line(f"{self.style('✓', 'green')} {text}{step.detail and f': {step.detail}'}  {took}")


class Step:
    """A step in progress; `detail` is its progress and may change at any time."""

    def __init__(self, screen: Screen, text: str) -> None:
        self.detail = ""
        self._screen = screen
        self._text = text
        self._began = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._show, daemon=True)

    @property
    def seconds(self) -> float:
        """The seconds since the step began."""
        return time.monotonic() - self._began

    def start(self) -> None:
        """Begin to show the step."""
        if not self._screen.live:
            self._screen.line(f"  {self._text} …")
        self._thread.start()

    def stop(self) -> None:
        """Stop showing the step."""
        self._done.set()
        self._thread.join()

    def _show(self) -> None:
        if not self._screen.live:
            while not self._done.wait(_SECONDS_BETWEEN_LINES):
                self._screen.line(f"    {self.seconds:.0f} s  {self.detail}".rstrip())
            return
        for frame in itertools.cycle(_FRAMES):
            text = clip(f"{self._text}{self.detail and f': {self.detail}'}", self._screen.width - 12)
            shown = f"{self._screen.style(frame, 'blue')} {text}  {self._screen.style(f'{self.seconds:.0f} s', 'dim')}"
            print(f"\r\033[K{shown}", end="", flush=True)
            if self._done.wait(0.1):
                return


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def clip(text: str, most: int) -> str:
    """Return a text on one line, cut to that many columns."""
    text = " ".join(text.split())
    if columns(text) <= most:
        return text
    while columns(text) >= most:
        text = text[:-1]
    return f"{text.rstrip()}…"


def table(heads: Sequence[Sequence[str]], rows: Sequence[Sequence[str]], *, width: int, wide: int) -> list[str]:
    """Return the lines of a table at most `width` wide: heads, a rule, rows. If needed, column `wide` is cut."""
    everything = [*heads, *rows]
    widths = [max(columns(row[i]) for row in everything) for i in range(len(heads[0]))]
    others = sum(size + 2 for i, size in enumerate(widths) if i != wide)
    widths[wide] = max(10, min(widths[wide], width - others))

    def shown(row: Sequence[str]) -> str:
        cells = [clip(cell, size) for cell, size in zip(row, widths, strict=True)]
        return "  ".join(cell + " " * (size - columns(cell)) for cell, size in zip(cells, widths, strict=True)).rstrip()

    return [*map(shown, heads), "  ".join("─" * size for size in widths), *map(shown, rows)]

"""The output of the demo: lines that fit, on a terminal and without one, and answers that match the reviews."""

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from local import demo, screen
from local.bedrock.replies import author
from local.provision import ROOT
from local.sample import write_reviews


def test_every_review_gets_an_answer_of_the_schema_that_fits_its_stars(tmp_path: Path) -> None:
    write_reviews(tmp_path / "reviews.csv", rows=500)
    write = author(demo.ANSWERS)
    moods = {1: {"negative"}, 2: {"negative"}, 3: {"negative", "mixed"}, 4: {"positive"}, 5: {"positive"}}
    seen = set()
    for row in csv.DictReader(io.StringIO((tmp_path / "reviews.csv").read_text("utf-8"))):
        answer = json.loads(write(demo.PROMPT.format(**row), demo.MODEL).text)
        assert list(Draft202012Validator(demo.SCHEMA).iter_errors(answer)) == []
        stars = int(row["review"].rpartition(" of 5")[0][-1])
        assert answer["sentiment"] in moods[stars], row
        seen.add(answer["topic"])
    assert len(seen) == 5


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_table_fits_and_its_columns_stand_under_each_other(width: int) -> None:
    rows = [["1", "他说 it smells,\nof toast " * 9, "good"], ["22", "short", "bad"], ["3", "again 👍", ""]]
    lines = screen.table([["id", "review", "mood"]], rows, width=width, wide=1)
    assert all(screen.columns(line) <= width for line in lines)
    at = lines[0].index("mood")
    assert [screen.columns(line[: line.index(word)]) for line, word in ((lines[2], "good"), (lines[3], "bad"))] == [
        at
    ] * 2
    assert lines[2].split()[0] == "1" and "…" in lines[2]


def test_without_a_terminal_there_are_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    shown = screen.Screen()
    with shown.step("Do it") as step:
        step.detail = "2 of 3"
        shown.line("    something happened")
    with pytest.raises(ValueError, match="no"), shown.step("Fail"):
        raise ValueError("no")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0:2] == ["  Do it …", "    something happened"]
    assert lines[2].startswith("✓ Do it: 2 of 3  0.")
    assert lines[3:] == ["  Fail …", "✗ Fail"]


def test_on_a_terminal_one_line_moves() -> None:
    """The changing line is overwritten: at the end, only the lines that stay can be seen."""
    program = """if True:
        import time
        from local.screen import Screen
        shown = Screen()
        with shown.step("Do it") as step:
            step.detail = "x" * 500
            time.sleep(0.3)
            shown.line("happened")
            step.detail = "all"
    """
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "60", "LINES": "24"}
    done = subprocess.run([sys.executable, "-c", program], stdout=theirs, cwd=ROOT, env=environment)
    os.close(theirs)
    text = os.read(ours, 65_536).decode()
    os.close(ours)
    assert done.returncode == 0
    assert "Do it: xxx" in text
    assert all(screen.columns(part.replace("\033[K", "")) <= 60 for part in text.replace("\n", "\r").split("\r"))
    stays = [line.rstrip("\r").rpartition("\r\033[K")[2] for line in text.split("\n") if line.strip()]
    assert stays[0] == "happened"
    assert stays[1].startswith("✓ Do it: all")

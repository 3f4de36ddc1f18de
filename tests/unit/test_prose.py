"""Plain words: phrases that readers had to read twice stand nowhere in the repository."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = (".github", "asl", "bench", "client", "docs", "lambda_src", "local", "release", "terraform", "tests")
SUFFIXES = {".css", ".hcl", ".html", ".json", ".md", ".py", ".sh", ".tf", ".toml", ".yml"}
NOT_OURS = {
    "tests/unit/answers/json_schema_test_suite",  # published by others
    "tests/long/state_0_1.json",  # recorded with the words of version 0.1
    "local/terraform/tf_resources.json",  # what a run of the tests applied
    "tests/unit/test_prose.py",
}
PHRASES = {
    r"(?:is|are|was|were|be|been) told": "says, publishes, returns; or name who reads it",
    r"tells?(?! me| a joke|\()": "says, shows, returns",
    r"(?:is|are|be|not) of (?:the|a|its) schema": "matches the schema",
    r"what (?:is|are|was|were) no": "not a …",
    r"makes? of": "makes from, gets from; or what it decides",
    r"go(?:es)? by": "follows, depends on",
    r"asked (?:for )?once more": "sent a second time, retried",
    r"by (?:itself|themselves)": "leave it out, or say who or what does it",
    r"so many": "many, this many; or the number",
    r"whose every": "all of whose; or two sentences",
}
"""Phrases that are not plain, as regular expressions between word boundaries, and what to write in their place."""


def files() -> Iterator[Path]:
    """Yield the texts of the repository, without what is installed, built or not ours."""
    for path in sorted([*ROOT.iterdir(), *(path for name in FOLDERS for path in (ROOT / name).rglob("*"))]):
        place = path.relative_to(ROOT)
        hidden = any((part.startswith(".") and part != ".github") or part == "__pycache__" for part in place.parts)
        if hidden or (path.suffix not in SUFFIXES and path.name != "Makefile") or not path.is_file():
            continue
        if place.name != "package-lock.json" and not any(str(place).startswith(name) for name in NOT_OURS):
            yield path


def found(phrase: str) -> list[str]:
    """Return the lines that have a phrase, with their places. A phrase may go on in the next line."""
    words = phrase.replace(" ", r"[\s#]+")
    pattern = re.compile(rf"\b(?:{words})(?!\w)", re.IGNORECASE)
    lines = []
    for path in TEXTS:
        for match in pattern.finditer(TEXTS[path]):
            number = TEXTS[path].count("\n", 0, match.start()) + 1
            lines.append(f"{path.relative_to(ROOT)}:{number}: {' '.join(match[0].split())}")
    return lines


TEXTS = {path: path.read_text("utf-8") for path in files()}


def test_the_search_sees_code_documents_terraform_and_machines() -> None:
    names = {str(path.relative_to(ROOT)) for path in TEXTS}
    assert {"README.md", "terraform/variables.tf", "asl/run.asl.json", "local/needs.sh"} <= names
    assert len(names) > 300


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_phrase_that_is_not_plain_stands_nowhere(phrase: str) -> None:
    assert found(phrase) == [], f"Write instead: {PHRASES[phrase]}"

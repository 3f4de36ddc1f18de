"""What the documents claim is what the code has."""

import json
import re
import runpy
from pathlib import Path

from bedrock_batch import errors
from bedrock_batch.answers.outcome import OUTCOMES
from bedrock_batch.run_input import validate

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def test_the_run_input_page_is_written_from_the_schema() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "run_input_table.py"))["page"]()
    assert (ROOT / "docs" / "run-input.md").read_text("utf-8") == page, "run `make docs`"


def test_the_readmes_run_inputs_are_valid() -> None:
    documents = re.findall(r"<<END\n(\{.*?\})\nEND\n", README, re.DOTALL)
    assert documents
    for document in documents:
        validate.validate(json.loads(document.replace("$BUCKET", "runs-bucket")))
    # The keys that the table of keys shows with a value.
    examples = re.findall(r"^\| `(\S+)` \| `([\[{].*?)`", README, re.MULTILINE)
    assert {key for key, _ in examples} >= {"inference", "limits", "input.csv.null_values"}
    for key, text in examples:
        value = json.loads(text)
        for name in reversed(key.split(".")):
            value = {name: value}
        validate.validate({"s3_uri": "s3://bucket/t.csv", "model_id": "a.b", "prompt_id": "p"} | value)


def test_the_readmes_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", README)) <= targets


def test_the_readmes_links_lead_somewhere() -> None:
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text("utf-8")):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_readme_names_every_outcome() -> None:
    assert [outcome for outcome in OUTCOMES if f"`{outcome}`" not in README] == []


def test_the_operators_page_names_every_error_that_a_person_must_act_on() -> None:
    """Errors of the input say themselves what to do; the others need a page."""
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    names = {error.__name__ for error in errors.RunError.__subclasses__()}
    assert sorted(name for name in names if not re.search(rf"\b{name}\b", text)) == []

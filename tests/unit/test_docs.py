"""The documents agree with the code."""

import json
import re
import runpy
from pathlib import Path

import pytest

from bedrock_batch.answers.outcome import OUTCOMES
from bedrock_batch.run_input import validate
from tests.unit.run_input.test_validate import SAMPLE_DOCUMENTS

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "lambda_src" / "bedrock_batch"
README = (ROOT / "README.md").read_text("utf-8")
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "local/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "terraform").rglob("README.md")),
]
MAPS = [ROOT / "CONTRIBUTING.md", ROOT / "docs" / "architecture.md"]
"""What names files so that a reader finds them."""

UNDESCRIBED = {"retention.runs_days"}  # of version 0.1, and refused
"""Attributes of inputs that the lists of the descriptions do not have."""

# A file or a folder of the repository. Keys on S3 have other folders, or a placeholder such as <run>.
PATH = re.compile(
    r"`((?:asl|bench|docs|lambda_src|local|requirements|terraform|tests)/[\w./-]*|[\w./-]+\.(?:py|tf|toml))`"
)


def test_the_run_input_page_is_written_from_the_schema() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "run_input_table.py"))["page"]()
    assert (ROOT / "docs" / "run-input.md").read_text("utf-8") == page, "run `make docs`"


def test_the_page_of_the_module_is_written_from_its_files() -> None:
    tables = runpy.run_path(str(ROOT / "docs" / "module_tables.py"))
    page = (ROOT / "docs" / "module.md").read_text("utf-8")
    assert page == tables["page"](), "run `make docs`"
    files = "".join(path.read_text("utf-8") for path in sorted((ROOT / "terraform").glob("*.tf")))
    listed = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert listed == re.findall(r'^variable "(\w+)"', files, re.M) + re.findall(r'^output "(\w+)"', files, re.M)
    assert not re.search(r"\| +\|$", page, re.MULTILINE), "an input, an attribute or an output has no description"


def test_the_descriptions_of_inputs_name_all_attributes() -> None:
    tables = runpy.run_path(str(ROOT / "docs" / "module_tables.py"))
    page = (ROOT / "docs" / "module.md").read_text("utf-8")
    paths = [
        one.path
        for name, body in tables["blocks"]("variable")
        for one in tables["attributes"](name, tables["values"](body)["type"])
    ]
    assert len(paths) > 15
    assert {path for path in paths if f"| `{path}` |" not in page} == UNDESCRIBED


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


def test_the_guide_from_the_sample_shows_one_of_its_documents() -> None:
    guide = (ROOT / "docs" / "from-the-aws-sample.md").read_text("utf-8")
    (document,) = re.findall(r"^```json\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    buckets = re.sub(r"batch-inference-bucket-\d{12}", "batch-inference-bucket", document)
    assert json.loads(buckets) in SAMPLE_DOCUMENTS


def test_the_make_targets_that_documents_name_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for document in DOCUMENTS:
        named = set(re.findall(r"`make ([a-z-]+)", document.read_text("utf-8")))
        assert named <= targets, document.name


def test_every_make_target_has_its_time_in_contributing() -> None:
    listed = set(re.findall(r"^([a-z-]+):.* ## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)) - {"help"}
    assert set(re.findall(r"^\| `make ([a-z-]+)` \|", MAPS[0].read_text("utf-8"), re.MULTILINE)) == listed


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8")):
        if target.startswith("https://"):
            continue
        name, _, heading = target.partition("#")
        file = document.parent / name if name else document
        assert file.exists(), f"{document.name} links to {target}"
        assert not heading or heading in anchors(file), f"{document.name} links to {target}"


def anchors(document: Path) -> set[str]:
    """Return what `#…` may name: headings as GitHub writes them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", MAPS, ids=lambda path: path.name)
def test_paths_that_the_maps_name_exist(document: Path) -> None:
    paths = set(PATH.findall(document.read_text("utf-8"))) | rooms_files(document)
    assert len(paths) > 30
    assert sorted(path for path in paths if not exists(path)) == []


def rooms_files(document: Path) -> set[str]:
    """Return the files that a document names in a folder of the package, with any suffix."""
    rooms = "|".join(sorted(path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"))
    return set(re.findall(rf"`((?:{rooms})/[\w./-]*)`", document.read_text("utf-8")))


def exists(path: str) -> bool:
    return (ROOT / path).exists() or (PACKAGE / path).exists()


def test_documents_name_no_module_that_is_gone() -> None:
    names = {
        path.name
        for folder in (PACKAGE, ROOT / "local", ROOT / "tests", ROOT / "docs")
        for path in folder.rglob("*.py")
    }
    names |= {path.name for path in (ROOT / "lambda_src").glob("*.py")}
    gone = {
        f"{document.name}: {path}"
        for document in DOCUMENTS
        for path in re.findall(r"`([\w./-]+\.py)", document.read_text("utf-8"))
        if not exists(path) and ("/" in path or path not in names) and not (ROOT / "local" / path).exists()
    }
    assert gone == set()


def test_the_architecture_page_knows_every_room_and_every_function() -> None:
    page = MAPS[1].read_text("utf-8")
    functions = re.findall(
        r"^ +(\w+) += \{ memory_mb", (ROOT / "terraform" / "functions.tf").read_text("utf-8"), re.MULTILINE
    )
    assert len(functions) >= 8
    assert sorted(name for name in functions if f"/{name}.py`" not in page) == []
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert sorted(room for room in rooms if f"<b>{room}</b>" not in page) == []


def test_words_of_the_glossary_are_in_the_glossary_once() -> None:
    words = re.findall(r"^\| \*\*([\w ]+)\*\* \|", (ROOT / "docs" / "glossary.md").read_text("utf-8"), re.MULTILINE)
    assert len(words) == len(set(words)) > 20


def test_the_readme_names_every_outcome() -> None:
    assert [outcome for outcome in OUTCOMES if f"`{outcome}`" not in README] == []

"""What the client is made of: boto3 alone, plain files, nothing of what runs in Lambda."""

import ast
import json
import re
import runpy
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

from bedrock_batch_client import __version__

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "client" / "src" / "bedrock_batch_client"
FILES = sorted(SOURCE.rglob("*.py"))
ALLOWED = {"boto3", "botocore", "bedrock_batch_client"}
EXTRAS = {"cli": {"click", "rich"}, "data": {"pyarrow", "pandas"}}


def imports(path: Path, *, at_import: bool) -> set[str]:
    """Return what a file imports from outside the standard library: all of it, or what importing it needs."""
    tree = ast.parse(path.read_text("utf-8"))
    nodes = tree.body if at_import else list(ast.walk(tree))
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_a_file_needs_boto3_alone(path: Path) -> None:
    in_cli = path.parent.name == "cli" and path.name != "__init__.py"
    assert imports(path, at_import=True) <= ALLOWED | (EXTRAS["cli"] if in_cli else set())
    assert imports(path, at_import=False) <= ALLOWED | EXTRAS["data"] | EXTRAS["cli"]


def test_what_is_declared_is_what_is_imported() -> None:
    project = tomllib.loads((ROOT / "client" / "pyproject.toml").read_text("utf-8"))["project"]
    names = {
        extra: {re.split(r"\W", need)[0] for need in needs} for extra, needs in project["optional-dependencies"].items()
    }
    assert [re.split(r"\W", need)[0] for need in project["dependencies"]] == ["boto3"]
    assert names == {"cli": {"click", "rich"}, "data": {"pyarrow"}}


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert __version__ == project["version"]


def test_the_functions_know_nothing_of_the_client() -> None:
    files = [*(ROOT / "lambda_src").rglob("*.py")]
    assert len(files) > 100
    assert [path.name for path in files if "bedrock_batch_client" in path.read_text("utf-8")] == []


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the client's wheel, and of other libraries boto3 and what it needs; its Python."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT / "client", check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    python = folder / "venv" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    ours = Path(sys.modules["pytest"].__file__ or "").parents[1]
    for name in ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six.py", "urllib3"):
        (site / name).symlink_to(ours / name)
    return python


def test_the_wheel_works_in_a_clean_environment(clean: Path) -> None:
    look = "import json, sys, bedrock_batch_client as c; print(json.dumps([c.__version__, c.__file__, [*sys.modules]]))"
    done = subprocess.run([clean, "-I", "-c", look], capture_output=True, text=True, check=True)
    version, file, loaded = json.loads(done.stdout)
    assert version == __version__ and str(clean.parents[1]) in file
    assert not {"pyarrow", "click", "rich", "bedrock_batch"} & set(loaded)


def test_the_command_of_the_wheel_says_what_it_lacks(clean: Path) -> None:
    command = clean.with_name("bedrock-batch")
    done = subprocess.run([command, "list", "--name", "x"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == 'The command needs click and rich: pip install "bedrock-batch-client[cli]"\n'
    (site,) = clean.parents[1].glob("lib/python*/site-packages")
    ours = Path(sys.modules["pytest"].__file__ or "").parents[1]
    for name in ("click", "rich", "pygments", "markdown_it", "mdurl"):
        if not (site / name).exists():
            (site / name).symlink_to(ours / name)
    done = subprocess.run([command, "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()[-1]) == (0, __version__), done.stderr


def test_the_reference_is_written_from_the_commands() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "client_reference.py"))["page"]()
    assert (ROOT / "docs" / "client.md").read_text("utf-8") == page, "run `make docs`"


PANDAS = ROOT / ".venv-bench" / "bin" / "python"
"""`make test` makes this environment for the bench; it has pandas."""

WITH_PANDAS = """
import pandas, pyarrow.parquet
from bedrock_batch_client import api, uploads
frame = pandas.DataFrame({"id": ["a", "b", "c"], "n": [1, 2, 3]}, index=[7, 8, 9])[1:]
with uploads._as_file(frame) as path:
    table = pyarrow.parquet.read_table(path)
print(table.column_names, table.to_pylist())
run = api.Run(None, "monday")
run.to_arrow = lambda model: table
print(type(run.to_pandas()).__name__, run.to_pandas()["n"].tolist())
"""


@pytest.mark.skipif(not PANDAS.exists(), reason="make test makes .venv-bench")
def test_a_data_frame_of_pandas_goes_out_and_comes_back() -> None:
    done = subprocess.run(
        [PANDAS, "-c", WITH_PANDAS], capture_output=True, text=True, env={"PYTHONPATH": str(ROOT / "client" / "src")}
    )
    assert done.returncode == 0, done.stderr
    table, frame = done.stdout.splitlines()
    assert table == "['id', 'n'] [{'id': 'b', 'n': 2}, {'id': 'c', 'n': 3}]"
    assert frame == "DataFrame [2, 3]"

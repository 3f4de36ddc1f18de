"""The house: arrows point one way, and the light functions stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "lambda_src" / "bedrock_batch"
CORE = sorted(PACKAGE.glob("*.py"))
LIGHT = ("review_run", "gather_leftovers", "pool_leftovers", "answer_on_demand", "finish_run")
HEAVY_LIBRARIES = ("pyarrow", "numpy", "jsonschema", "msgspec", "simdjson", "orjson")
"""What is in the libraries layer, which the light functions do not have."""


def imports(path: Path) -> set[str]:
    """Return the full names of everything a module imports, at whatever depth."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: imports are written in full here"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_core_knows_neither_aws_nor_environment(path: Path) -> None:
    wrong = {
        name
        for name in imports(path)
        if name.split(".")[0] in ("boto3", "botocore", "os")
        or name.startswith(("bedrock_batch.adapters", "bedrock_batch.handlers"))
    }
    assert wrong == set()


@pytest.mark.parametrize("path", sorted((PACKAGE / "adapters").glob("*.py")), ids=lambda path: path.stem)
def test_adapters_do_not_know_handlers(path: Path) -> None:
    assert not {name for name in imports(path) if name.startswith("bedrock_batch.handlers")}


@pytest.mark.parametrize("name", LIGHT)
def test_light_functions_run_without_the_libraries_layer(name: str) -> None:
    script = (
        f"import sys; sys.modules.update(dict.fromkeys({HEAVY_LIBRARIES!r})); "
        f"import bedrock_batch.handlers.{name} as module; assert module.handler"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=PACKAGE.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_files_fit_a_reader() -> None:
    long = {path.name: count for path in PACKAGE.rglob("*.py") if (count := len(path.read_text().splitlines())) > 320}
    assert long == {}

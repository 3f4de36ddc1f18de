"""Rules of the code that import-linter's contracts in pyproject.toml cannot express."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = {
    contract["id"]: contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
}
LIGHT = [name.rpartition(".")[2] for name in CONTRACTS["light"]["source_modules"]]
"""The handlers of the functions that run without the libraries layer."""


def test_the_contract_knows_the_functions_that_get_no_layer() -> None:
    functions = (ROOT / "terraform" / "functions.tf").read_text("utf-8")
    libraries = dict(re.findall(r"^ +(\w+) += \{.*\blibraries = (true|false)\b", functions, re.MULTILINE))
    assert libraries
    assert sorted(LIGHT) == sorted(name for name, needed in libraries.items() if needed == "false")


@pytest.mark.parametrize("folder", ["lambda_src", "local", "release", "client"])
def test_files_fit_a_reader(folder: str) -> None:
    lines = {path: len(path.read_text("utf-8").splitlines()) for path in (ROOT / folder).rglob("*.py")}
    assert {str(path.relative_to(ROOT)): count for path, count in lines.items() if count > 300} == {}

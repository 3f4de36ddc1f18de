"""The module's own tests, with a mocked provider, and what Terraform's tools say of its files."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from local.provision import ROOT, terraform_environment

MODULE = ROOT / "terraform"


def terraform(*arguments: str, data: Path) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in terraform_environment().items() if not name.startswith("TF_VAR_")}
    environment = inherited | {"TF_DATA_DIR": str(data), "AWS_REGION": "us-east-1"}
    return subprocess.run(["terraform", *arguments], cwd=MODULE, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of an initialised module."""
    directory = tmp_path_factory.mktemp("terraform")
    done = terraform("init", "-backend=false", "-input=false", data=directory)
    assert done.returncode == 0, done.stderr
    return directory


def test_terraform_test(data: Path) -> None:
    done = terraform("test", "-no-color", data=data)
    assert done.returncode == 0, done.stdout + done.stderr
    written = sum(
        len(re.findall(r"^run \"", path.read_text(), re.MULTILINE)) for path in MODULE.glob("tests/*.tftest.hcl")
    )
    ran = re.search(r"(\d+) passed, 0 failed", done.stdout)
    assert ran is not None
    assert int(ran[1]) == written > 10


def test_terraform_validate(data: Path) -> None:
    done = terraform("validate", "-no-color", data=data)
    assert done.returncode == 0, done.stdout + done.stderr


def test_terraform_fmt() -> None:
    done = subprocess.run(
        ["terraform", "fmt", "-check", "-recursive", str(ROOT)], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stdout

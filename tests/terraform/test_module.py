"""The module's own tests, with a mocked provider, and what Terraform's tools say of its files."""

import os
import re
import shutil
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


def test_the_readmes_module_block_is_valid(tmp_path: Path) -> None:
    """It stands beside a checkout of this repository in which the zips were built, as the README says."""
    text = (ROOT / "README.md").read_text("utf-8")
    variables, block = re.findall(r"^```hcl\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "main.tf").write_text(block)
    (tmp_path / "my.tfvars").write_text(variables)
    checkout = tmp_path / "bedrock-batch"
    for folder in ("terraform", "asl"):
        shutil.copytree(ROOT / folder, checkout / folder, ignore=shutil.ignore_patterns(".terraform*"))
    (checkout / "build").mkdir()
    for name in ("code.zip", "layer.zip"):
        shutil.copy(MODULE / "tests" / "fixtures" / "package.zip", checkout / "build" / name)
    for command in (["init", "-backend=false", "-input=false"], ["validate", "-no-color"], ["fmt", "-check"]):
        done = terraform(f"-chdir={tmp_path}", *command, data=tmp_path / "data")
        assert done.returncode == 0, done.stdout + done.stderr
    example = (MODULE / "examples" / "minimal" / "variables.tf").read_text("utf-8")
    assert set(re.findall(r"^(\w+) +=", variables, re.MULTILINE)) <= set(
        re.findall(r'^variable "(\w+)"', example, re.M)
    )


@pytest.mark.parametrize("root", ["README.md", "terraform/examples/minimal/outputs.tf", "local/terraform/outputs.tf"])
def test_the_documented_commands_find_their_outputs(root: str) -> None:
    pages = "".join((ROOT / page).read_text("utf-8") for page in ("README.md", "docs/operations.md"))
    asked = set(re.findall(r"terraform output -raw (\w+)", pages))
    assert len(asked) == 5
    assert asked <= set(re.findall(r'^output "(\w+)"', (ROOT / root).read_text("utf-8"), re.MULTILINE))

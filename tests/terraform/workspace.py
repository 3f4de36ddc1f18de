"""Terraform as these tests call it, and copies of the module to call it in."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local.provision import ROOT, terraform_environment

MODULE = ROOT / "terraform"


def terraform(*arguments: str, data: Path, root: Path = MODULE) -> subprocess.CompletedProcess[str]:
    """Run Terraform in a root, with its data elsewhere and without variables of this shell."""
    inherited = {name: value for name, value in terraform_environment().items() if not name.startswith("TF_VAR_")}
    environment = inherited | {"TF_DATA_DIR": str(data), "AWS_REGION": "us-east-1"}
    return subprocess.run(["terraform", *arguments], cwd=root, env=environment, capture_output=True, text=True)


def copy_module(folder: Path) -> Path:
    """Copy the module without its tests, with the machines and two zips as in a checkout; return its folder."""
    shutil.copytree(MODULE, folder / "terraform", ignore=shutil.ignore_patterns(".terraform*", "tests"))
    shutil.copytree(ROOT / "asl", folder / "asl")
    (folder / "build").mkdir()
    for name in ("code.zip", "layer.zip"):
        shutil.copy(MODULE / "tests" / "fixtures" / "package.zip", folder / "build" / name)
    return folder / "terraform"


def run_tests(root: Path, data: Path) -> Iterator[dict[str, Any]]:
    """Init a root and run its tests; yield what Terraform says, message by message, plans and states with it."""
    done = terraform("init", "-backend=false", "-input=false", data=data, root=root)
    assert done.returncode == 0, done.stdout + done.stderr
    for line in terraform("test", "-verbose", "-json", data=data, root=root).stdout.splitlines():
        yield json.loads(line)

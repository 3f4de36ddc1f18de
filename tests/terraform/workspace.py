"""Call Terraform for these tests, in copies of the module."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local.provision import ROOT, terraform_environment
from release import manifest

MODULE = ROOT / "terraform"


def terraform(*arguments: str, data: Path, root: Path = MODULE) -> subprocess.CompletedProcess[str]:
    """Run Terraform in a root, with its data elsewhere and without variables of this shell."""
    inherited = {name: value for name, value in terraform_environment().items() if not name.startswith("TF_VAR_")}
    environment = inherited | {"TF_DATA_DIR": str(data), "AWS_REGION": "us-east-1"}
    return subprocess.run(["terraform", *arguments], cwd=root, env=environment, capture_output=True, text=True)


def copy_module(folder: Path) -> Path:
    """Copy the module without its tests, with the machines and labelled zips as in a checkout; return its folder."""
    shutil.copytree(MODULE, folder / "terraform", ignore=shutil.ignore_patterns(".terraform*", "tests"))
    shutil.copytree(ROOT / "asl", folder / "asl")
    (folder / "build").mkdir()
    for name in ("code.zip", "layer.zip", "code.json", "layer.json"):
        shutil.copy(MODULE / "tests" / "fixtures" / f"package{Path(name).suffix}", folder / "build" / name)
    return folder / "terraform"


def run_tests(root: Path, data: Path) -> Iterator[dict[str, Any]]:
    """Init a root and run its tests; yield Terraform's messages one by one, including plans and states."""
    done = terraform("init", "-backend=false", "-input=false", data=data, root=root)
    assert done.returncode == 0, done.stdout + done.stderr
    for line in terraform("test", "-verbose", "-json", data=data, root=root).stdout.splitlines():
        yield json.loads(line)


def released_zips(folder: Path) -> dict[str, manifest.Zip]:
    """Return the zips of a release's manifest. They are made up, because a plan only asks S3 for names."""
    found = {}
    for name in ("code", "layer-arm64", "layer-x86_64"):
        path = folder / f"{name.replace('-', f'-{manifest.version()}-', 1)}.zip"
        path.write_bytes(name.encode())
        found[name] = manifest.describe(path)
    return found


def published(zips: dict[str, manifest.Zip]) -> str:
    """Return a mock of the bucket in which `make publish PREFIX=bedrock-batch/` has put zips."""
    keys = ", ".join(f'"bedrock-batch/{one.key}"' for one in zips.values())
    return f'mock_data "aws_s3_objects" {{ defaults = {{ keys = [{keys}] }} }}\n'

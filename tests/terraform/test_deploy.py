"""`make deploy`, with programs in place of Terraform and the AWS CLI that note their arguments."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from local.provision import ROOT

TERRAFORM = """#!/bin/sh
[ "$*" = version ] && echo "Terraform v1.9.0" && exit
echo "terraform $*" >> "$ASKED"
case "$*" in
  *"output -raw runs_bucket_name") printf reviews-runs ;;
  *"output -raw run_state_machine_arn") printf arn:of:run ;;
esac
"""
AWS = """#!/bin/sh
for argument; do printf '%s\\n' "$argument"; done >> "$ASKED"
"""
PYTHON = """#!/bin/sh
# Says its version, and builds no zips.
case "$*" in -c*) echo 3.13.0 ;; esac
"""


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """An environment in which both programs are found first."""
    for name, text in (("terraform", TERRAFORM), ("aws", AWS), ("python", PYTHON)):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    return os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "ASKED": str(tmp_path / "asked")}


def make(shell: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", "deploy", "PYTHON=python", *arguments]
    return subprocess.run(command, cwd=ROOT, env=shell, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [([], "VARS is not set: make deploy VARS="), (["VARS=none.tfvars"], "VARS=none.tfvars: there is no such file.")],
)
def test_without_a_file_of_variables_nothing_is_done(shell: dict[str, str], arguments: list[str], said: str) -> None:
    done = make(shell, *arguments)
    assert done.returncode == 2
    assert done.stdout.startswith(said)
    assert not Path(shell["ASKED"]).exists()


def test_the_commands_that_it_prints_at_the_end_start_a_run(shell: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "my.tfvars").touch()
    done = make(shell, f"VARS={tmp_path / 'my.tfvars'}")
    assert done.returncode == 0, done.stderr
    asked = Path(shell["ASKED"])
    assert asked.read_text().splitlines()[-1].endswith(f"apply -var-file={tmp_path / 'my.tfvars'}")
    asked.unlink()

    commands = done.stdout[done.stdout.index("\naws s3 cp") :]
    subprocess.run(["sh", "-e", "-c", commands], cwd=ROOT, env=shell, check=True)
    said = [line for line in asked.read_text().splitlines() if not line.startswith("terraform ")]
    assert said[:4] == ["s3", "cp", "reviews.csv", "s3://reviews-runs/datasets/"]
    assert said[4:10] == [
        "stepfunctions",
        "start-execution",
        "--name",
        "first-run",
        "--state-machine-arn",
        "arn:of:run",
    ]
    assert said[10] == "--input"
    assert json.loads(said[11])["s3_uri"] == "s3://reviews-runs/datasets/reviews.csv"

"""The output of `make`: a missing program gives a sentence, and set-up prints one line for each step."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_TOOLS = ("make", "sh", "cat", "date", "head", "mktemp", "rm", "sed", "sleep", "touch")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the Makefile and its scripts, nothing set up yet, and a `bin` with what every machine has."""
    (tmp_path / "local").mkdir()
    (tmp_path / "bin").mkdir()
    for name in ("Makefile", "local/needs.sh", "local/quietly.sh"):
        shutil.copy(ROOT / name, tmp_path / name)
    for lock in ("dev", "engine", "bench", "checkov"):
        (tmp_path / "requirements").mkdir(exist_ok=True)
        (tmp_path / "requirements" / f"{lock}.lock").touch()
    (tmp_path / "package-lock.json").touch()
    for tool in _TOOLS:
        if path := shutil.which(tool):
            (tmp_path / "bin" / tool).symlink_to(path)
    return tmp_path


def program(folder: Path, name: str, says: str) -> None:
    """Put a program on the PATH that always prints the same text."""
    path = folder / "bin" / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(folder / "bin" / "make"), *arguments],
        cwd=folder,
        env={"PATH": str(folder / "bin"), "HOME": str(folder)},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def complete(folder: Path) -> Path:
    program(folder, "python3", "3.11.0")
    program(folder, "terraform", "Terraform v1.11.0")
    program(folder, "node", "v20.16.0")
    program(folder, "npm", "10.0.0")
    program(folder, "git", "git version 2.39.5")
    return folder


@pytest.mark.parametrize(
    ("target", "name", "says", "sentence"),
    [
        ("demo", "terraform", "", "Terraform 1.9 or newer is needed, and there is no 'terraform' on the PATH."),
        ("demo", "terraform", "Terraform v1.8.5", "Terraform 1.9 or newer is needed, and 'terraform' is 1.8.5."),
        ("demo", "terraform", "OpenTofu v1.9.0", "and 'terraform' is of an unknown version."),
        ("demo", "python3", "", "Python 3.11 or newer is needed, and there is no 'python3' on the PATH."),
        ("demo", "python3", "3.9.18", "Python 3.11 or newer is needed, and 'python3' is 3.9.18."),
        ("setup", "python3", "3.10.2", "or name another: make PYTHON=/path/to/python3"),
        ("package", "python3", "3.9.18", "Python 3.11 or newer is needed, and 'python3' is 3.9.18."),
        ("soak", "terraform", "", "Terraform 1.9 or newer is needed"),
        ("check-long", "terraform", "", "Terraform 1.9 or newer is needed"),
        ("test", "terraform", "", "Terraform 1.11 or newer is needed"),
        ("test", "terraform", "Terraform v1.10.5", "Terraform 1.11 or newer is needed"),
        ("test", "python3", "", "Python 3.11 or newer is needed"),
        ("test", "node", "", "Node.js 20.16 or newer is needed, and there is no 'node' on the PATH."),
        ("test", "node", "v18.19.0", "Node.js 20.16 or newer is needed, and 'node' is 18.19.0."),
        ("test", "npm", "", "npm is needed, and is not on the PATH."),
        ("test", "git", "", "git is needed, and is not on the PATH."),
        ("release", "python3", "", "Python 3.11 or newer is needed, and there is no 'python3' on the PATH."),
        ("publish BUCKET=artifacts", "python3", "3.10.2", "Python 3.11 or newer is needed, and 'python3' is 3.10.2."),
        ("deploy VARS=Makefile", "python3", "", "Python 3.11 or newer is needed"),
        ("deploy VARS=Makefile", "terraform", "", "Terraform 1.9 or newer is needed"),
    ],
)
def test_what_is_missing_or_too_old_is_a_sentence(
    complete: Path, target: str, name: str, says: str, sentence: str
) -> None:
    (complete / "bin" / name).unlink()
    if says:
        program(complete, name, says)
    done = make(complete, *target.split())
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "https://" in done.stderr, "and where to get it"
    assert done.stdout == ""  # Nothing was started.
    assert len([line for line in done.stderr.splitlines() if "***" not in line]) == 1


def test_all_that_is_missing_is_told_at_once(complete: Path) -> None:
    for name in ("python3", "terraform", "node", "npm", "git"):
        (complete / "bin" / name).unlink()
    told = make(complete, "test").stderr
    assert [line.split()[1] for line in told.splitlines() if line.startswith("✗")] == [
        "Python",
        "Terraform",
        "Node.js",
        "npm",
        "git",
    ]


def test_without_a_bucket_nothing_is_published(complete: Path) -> None:
    done = make(complete, "publish")
    assert done.returncode == 2
    assert done.stdout == "BUCKET is not set: make publish BUCKET=my-artifacts PREFIX=bedrock-batch/\n"


def test_newer_versions_will_do(complete: Path) -> None:
    program(complete, "python3", "4.0.1")
    program(complete, "terraform", "Terraform v2.0.0-rc1")
    program(complete, "node", "v22.1.0")
    assert make(complete, "needs-all").returncode == 0


def test_set_up_says_what_it_does_and_nothing_else(complete: Path) -> None:
    """This environment's pip prints much text."""
    program(complete, "python3", "3.11.0")
    for venv in (".venv", ".venv-engine"):
        (complete / venv / "bin").mkdir(parents=True)
        (complete / venv / "bin" / "python").write_text("#!/bin/sh\necho Collecting this and that\n")
        (complete / venv / "bin" / "python").chmod(0o755)
    done = make(complete, "setup")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert [line.partition(" (")[0] for line in lines] == [
        "  Install the tools and libraries ...",
        "✓ Install the tools and libraries",
        "  Install the local AWS ...",
        "✓ Install the local AWS",
    ]
    assert (complete / ".venv" / ".ready").exists()
    assert make(complete, "setup").stdout.startswith("make: Nothing to be done")


def test_what_failed_shows_its_own_words(complete: Path) -> None:
    (complete / ".venv" / "bin").mkdir(parents=True)
    (complete / ".venv" / "bin" / "python").write_text("#!/bin/sh\necho no such version; exit 1\n")
    (complete / ".venv" / "bin" / "python").chmod(0o755)
    done = make(complete, "setup")
    assert done.returncode == 2
    assert "no such version" in done.stderr
    assert "✗ Install the tools and libraries: failed" in done.stderr
    assert not (complete / ".venv" / ".ready").exists()


def test_the_python_that_runs_these_tests_will_do() -> None:
    done = subprocess.run([ROOT / "local" / "needs.sh", sys.executable], env=os.environ, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")

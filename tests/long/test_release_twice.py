"""A release has the same bytes wherever it is built."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local.provision import ROOT

pytestmark = pytest.mark.long

SOURCES = ("lambda_src", "release", "pyproject.toml", "terraform/release.json", "CHANGELOG.md", "README.md")


def build(folder: Path, umask: int, **environment: str) -> dict[str, bytes]:
    """Build a release of a copy of the sources; return its files by path."""
    for name in SOURCES:
        source, copy = ROOT / name, folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, copy)
    for path in folder.rglob("*.py"):
        os.utime(path, (umask * 1e6, umask * 1e6))
    command = [sys.executable, "-m", "release.build"]
    before = os.umask(umask)
    try:
        done = subprocess.run(command, cwd=folder, env=os.environ | environment, capture_output=True, text=True)
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stderr
    paths = [folder / "terraform" / "release.json", *sorted((folder / "dist").iterdir())]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_another_folder_time_zone_and_umask_change_nothing(tmp_path: Path) -> None:
    first = build(tmp_path / "a", 0o022, TZ="UTC", LC_ALL="C.UTF-8")
    second = build(tmp_path / "deeper" / "b", 0o077, TZ="Asia/Tokyo", LC_ALL="C", PYTHONHASHSEED="1")
    assert len(first) == 6  # the manifest, three zips, the bill of materials and the checksums
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []

"""The validator that knows the language's own schema, on each file alone and on the machines as they are deployed."""

import json
import subprocess
from pathlib import Path

import pytest

from .machines import FILES, MACHINES, ROOT, Json, filled_in, rendered

VALIDATOR = ROOT / "node_modules/.bin/asl-validator"


def validate(path: Path) -> "subprocess.CompletedProcess[str]":
    if not VALIDATOR.exists():
        pytest.fail(f"There is no {VALIDATOR.relative_to(ROOT)}: run make test", pytrace=False)
    return subprocess.run([VALIDATOR, "--json-path", path], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("name", FILES)
def test_file_alone_is_valid(name: str, tmp_path: Path) -> None:
    expect_valid(filled_in(name), tmp_path)


@pytest.mark.parametrize("name", MACHINES)
def test_machine_is_valid(name: str, tmp_path: Path) -> None:
    expect_valid(rendered(name), tmp_path)


def expect_valid(machine: Json, folder: Path) -> None:
    path = folder / "machine.json"
    path.write_text(json.dumps(machine))
    answer = validate(path)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_validator_finds_what_is_wrong(tmp_path: Path) -> None:
    machine = json.loads(json.dumps(rendered("run")))
    machine["States"]["Plan run"]["Next"] = "Nowhere"
    path = tmp_path / "machine.json"
    path.write_text(json.dumps(machine))
    assert validate(path).returncode != 0

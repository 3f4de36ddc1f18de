"""The validator that knows the language's own schema, on the machines as they are deployed."""

import json
import subprocess
from pathlib import Path

import pytest

from .machines import FILES, ROOT, rendered

VALIDATOR = ROOT / "node_modules/.bin/asl-validator"


def validate(path: Path) -> "subprocess.CompletedProcess[str]":
    if not VALIDATOR.exists():
        pytest.fail(f"There is no {VALIDATOR.relative_to(ROOT)}: run make test", pytrace=False)
    return subprocess.run([VALIDATOR, "--json-path", path], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("name", FILES)
def test_machine_is_valid(name: str, tmp_path: Path) -> None:
    path = tmp_path / "machine.json"
    path.write_text(json.dumps(rendered(name)))
    answer = validate(path)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_validator_finds_what_is_wrong(tmp_path: Path) -> None:
    machine = json.loads(json.dumps(rendered("run")))
    machine["States"]["Plan run"]["Next"] = "Nowhere"
    path = tmp_path / "machine.json"
    path.write_text(json.dumps(machine))
    assert validate(path).returncode != 0

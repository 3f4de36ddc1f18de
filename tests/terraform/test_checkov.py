"""checkov's results for the module and its examples: no check fails, and every skipped check has its reason."""

import json
import os
import re
import subprocess
from typing import Any

import pytest

from local.provision import ROOT

CHECKOV = ROOT / ".venv-checkov" / "bin" / "checkov"
SUPPRESSED = re.compile(r"^ *#checkov:skip=(\w*)(.*)$", re.MULTILINE)


@pytest.fixture(scope="module")
def report() -> Any:
    """The report of a scan as `.checkov.yaml` asks for it."""
    if not CHECKOV.exists():
        pytest.fail(f"There is no {CHECKOV}: run make test, which installs it.", pytrace=False)
    command = [str(CHECKOV), "--config-file", str(ROOT / ".checkov.yaml"), "--output", "json"]
    # Whoever has an account with its makers has no part in this.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("BC_", "CKV_", "PRISMA_"))}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def test_no_check_fails(report: Any) -> None:
    failed = [
        f"{check['check_id']} {check['resource']}: {check['check_name']}"
        for check in report["results"]["failed_checks"]
    ]
    assert failed == []
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 300


def test_the_scan_sees_the_examples_and_no_fixtures(report: Any) -> None:
    files = {check["file_path"] for check in report["results"]["passed_checks"]}
    assert "/storage.tf" in files
    assert "/examples/complete/surroundings.tf" in files
    assert [file for file in files if file.startswith("/tests/")] == []


def test_every_suppression_is_needed_and_has_its_reason(report: Any) -> None:
    written = {
        (f"/{path.relative_to(ROOT / 'terraform')}", check): reason
        for path in sorted((ROOT / "terraform").rglob("*.tf"))
        for check, reason in SUPPRESSED.findall(path.read_text("utf-8"))
    }
    assert [one for one, reason in written.items() if not re.fullmatch(r":[^ ].{20,}\.", reason)] == []
    used = {(check["file_path"], check["check_id"]) for check in report["results"]["skipped_checks"]}
    assert used == set(written)

"""The workflows call the targets of the Makefile, with pinned actions and no more rights than they need."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = {
    path.name: yaml.load(path.read_text("utf-8"), yaml.BaseLoader) for path in (ROOT / ".github/workflows").glob("*")
}
STEPS = [(name, step) for name, one in WORKFLOWS.items() for job in one["jobs"].values() for step in job["steps"]]


def test_there_is_one_for_every_purpose() -> None:
    commands = {
        name: [step["run"].split(" --")[0] for _, step in STEPS if _ == name and "run" in step] for name in WORKFLOWS
    }
    assert commands == {
        "test.yml": ["make test"],
        "long.yml": ["make check-long", "make soak"],
        "release.yml": ['make release TAG="$GITHUB_REF_NAME"', 'gh release create "$GITHUB_REF_NAME" dist/*'],
    }


def test_every_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    called = {target for _, step in STEPS for target in re.findall(r"\bmake ([a-z-]+)", step.get("run", ""))}
    assert called
    assert called <= targets


def test_every_action_is_pinned_by_its_whole_digest() -> None:
    used = [step["uses"] for _, step in STEPS if "uses" in step]
    assert used
    assert [one for one in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", one)] == []
    # One digest for an action, and its version beside it, in a comment.
    text = "".join((ROOT / ".github/workflows" / name).read_text("utf-8") for name in WORKFLOWS)
    pins = set(re.findall(r"uses: (\S+)@(\w+) # (v\d+\.\d+\.\d+)$", text, re.MULTILINE))
    assert len(pins) == len({one.partition("@")[0] for one in used})


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_read_and_nothing_more(name: str) -> None:
    workflow: dict[str, Any] = WORKFLOWS[name]
    assert workflow["permissions"] == {"contents": "read"}
    more = {job.get("permissions", {}).get("contents") for job in workflow["jobs"].values()}
    assert more == ({"write"} if name == "release.yml" else {None})
    assert "pull_request_target" not in workflow["on"]


def test_no_step_but_the_one_that_makes_the_release_has_a_token() -> None:
    for _, step in STEPS:
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] == "false"
        assert ("github.token" in str(step)) == step.get("run", "").startswith("gh release create")
        assert "secrets." not in str(step)


def test_text_of_others_is_no_part_of_a_command() -> None:
    assert [step["run"] for _, step in STEPS if "${{" in step.get("run", "")] == []

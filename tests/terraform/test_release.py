"""A release of the module as people take it: from git, by its tag, its zips from S3. With a mocked provider.

The release is made from the working tree. The zips in its manifest need not exist: a plan only asks S3 for names.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from local.provision import ROOT
from release import manifest
from tests.terraform.workspace import MODULE, published, released_zips, terraform

pytestmark = pytest.mark.usefixtures("provider")

README = (ROOT / "README.md").read_text("utf-8")
ADDRESS = "https://git.example.com/"
"""The repository's address in the README."""

AUTHOR = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@b.c",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@b.c",
}


@pytest.fixture(scope="module")
def zips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, manifest.Zip]:
    return released_zips(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, zips: dict[str, manifest.Zip]) -> Path:
    """A folder with the repository: a tag for the release."""
    server = tmp_path_factory.mktemp("server")
    repository = server / "bedrock-batch.git"
    for folder in ("terraform", "asl"):
        shutil.copytree(ROOT / folder, repository / folder, ignore=shutil.ignore_patterns(".terraform*"))
    (repository / "terraform" / "release.json").write_text(manifest.text(zips))
    for command in (
        ["init", "--quiet"],
        ["add", "."],
        ["commit", "--quiet", "-m", "Release"],
        ["tag", f"v{manifest.version()}"],
    ):
        subprocess.run(["git", *command], cwd=repository, env=os.environ | AUTHOR, check=True)
    return server


@pytest.fixture
def no_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Path) -> None:
    """A machine with Terraform and git, on which the README's address leads to the repository."""
    tools = tmp_path / "bin"
    tools.mkdir()
    # Scripts of git call the last ones.
    for name in ("terraform", "git", "basename", "sed", "sh", "uname"):
        (tools / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(tools))
    assert [name for name in ("python", "python3", "pip", "make", "aws") if shutil.which(name)] == []
    monkeypatch.setenv("GIT_CONFIG_COUNT", "2")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.file://{server}/.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", ADDRESS)
    monkeypatch.setenv("GIT_CONFIG_KEY_1", "safe.directory")
    monkeypatch.setenv("GIT_CONFIG_VALUE_1", "*")


def copy_mocks(root: Path, zips: dict[str, manifest.Zip]) -> None:
    """Copy the mocked provider into a root; the bucket has these zips."""
    mocks = root / "tests" / "mocks"
    shutil.copytree(MODULE / "tests" / "mocks", mocks, dirs_exist_ok=True)
    (mocks / "published.tfmock.hcl").write_text(published(zips))


@pytest.mark.usefixtures("no_python")
def test_the_readmes_module_block_is_planned_as_it_stands(tmp_path: Path, zips: dict[str, manifest.Zip]) -> None:
    _, block = re.findall(r"^```hcl\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    root = tmp_path / "platform"
    root.mkdir()
    (root / "main.tf").write_text(block)
    shutil.copy(MODULE / "examples" / "minimal" / "versions.tf", root)
    copy_mocks(root, zips)
    (root / "tests" / "readme.tftest.hcl").write_text(
        'mock_provider "aws" { source = "./tests/mocks" }\nrun "readme" { command = plan }\n'
    )
    for command in (
        ["init", "-backend=false", "-input=false"],
        ["validate", "-no-color"],
        ["fmt", "-check", "main.tf"],
        ["test", "-no-color"],
    ):
        done = terraform(*command, data=tmp_path / "data", root=root)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed, 0 failed" in done.stdout
    module = tmp_path / "data" / "modules" / "batch" / "terraform"
    assert (module / "release.json").read_text("utf-8") == manifest.text(zips)


def test_the_zips_of_a_release_are_read_from_s3(server: Path, zips: dict[str, manifest.Zip], tmp_path: Path) -> None:
    root = tmp_path / "module" / "terraform"
    shutil.copytree(server / "bedrock-batch.git" / "asl", root.parent / "asl")
    shutil.copytree(server / "bedrock-batch.git" / "terraform", root)
    for path in (root / "tests").glob("*.tftest.hcl"):
        path.unlink()
    shutil.copy(Path(__file__).parent / "released.tftest.hcl", root / "tests")
    copy_mocks(root, zips)
    assert terraform("init", "-backend=false", "-input=false", data=tmp_path / "data", root=root).returncode == 0
    done = terraform("test", "-no-color", data=tmp_path / "data", root=root)
    assert "4 passed, 0 failed" in done.stdout, done.stdout + done.stderr

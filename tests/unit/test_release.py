"""A release: its manifest, its checksums, its bill of materials, and the reasons to refuse a tag."""

import base64
import hashlib
import json
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from release import build, manifest, sbom
from tests.unit.test_package import LAMBDA_SRC, package, versions

ROOT = LAMBDA_SRC.parent
DISTRIBUTION = "Metadata-Version: 2.4\nName: {}\nVersion: {}\n{}\n\nA text.\n"


def library(folder: Path, name: str, *distributions: str) -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w") as archive:
        for number, metadata in enumerate(distributions):
            archive.writestr(f"python/d{number}-1.dist-info/METADATA", metadata)
        archive.writestr("python/d0/METADATA", "this is none")
    return path


# --- The manifest


def test_the_manifest_names_a_zip_by_version_and_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "layer-1.2.3-arm64.zip"
    path.write_bytes(b"content")
    digest = hashlib.sha256(b"content")
    assert manifest.describe(path) == manifest.Zip(
        file="layer-1.2.3-arm64.zip",
        key=f"layer-1.2.3-arm64-{digest.hexdigest()[:12]}.zip",
        sha256=base64.b64encode(digest.digest()).decode(),
        bytes=7,
    )
    written = tmp_path / "release.json"
    written.write_text(manifest.text({"code": manifest.describe(path)}))
    monkeypatch.setattr(manifest, "MANIFEST", written)
    assert manifest.read() == {"code": manifest.describe(path)}
    assert json.loads(written.read_text())["version"] == manifest.version()


def test_the_manifest_names_no_zips_or_those_that_the_sources_build() -> None:
    """After a release, a change of the sources needs another version: CONTRIBUTING.md says how to set it."""
    sdk = package.read_zip(ROOT / "build" / "sdk.zip")
    code = package.zip_bytes(package.read_code(LAMBDA_SRC / "bedrock_batch") | sdk)
    zips = manifest.read()
    assert zips.keys() in (set(), {"code", "layer-arm64", "layer-x86_64"})
    if zips:
        assert zips["code"].sha256 == base64.b64encode(hashlib.sha256(code).digest()).decode()


@pytest.mark.parametrize("path", ["terraform/release.json", "terraform/tests/fixtures/package.json"])
def test_one_version_stands_everywhere(path: str) -> None:
    assert json.loads((ROOT / path).read_text("utf-8"))["version"] == manifest.version()


def test_the_version_that_the_readme_names_is_the_last_of_the_changelog() -> None:
    named = set(re.findall(r"\?ref=v([\w.]+)", (ROOT / "README.md").read_text("utf-8")))
    last = re.findall(r"^## (\d[\w.]*)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)[0]
    assert named == {last}


# --- What is checked when a tag is released


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    """A repository in which everything is of version 1.2.3, with the manifest `text`."""
    (tmp_path / "terraform").mkdir()
    (tmp_path / "terraform" / "release.json").write_text("text")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.3 (2026-11-29)\n\n## 1.2.2\n")
    (tmp_path / "README.md").write_text('source = "git::https://…//terraform?ref=v1.2.3"\n')
    return tmp_path


def test_a_tag_is_a_release_when_everything_has_its_version(tagged: Path) -> None:
    assert list(build.wrong_with("v1.2.3", "1.2.3", "text", tagged)) == []


@pytest.mark.parametrize(
    ("tag", "version", "text", "said"),
    [
        ("1.2.3", "1.2.3", "text", ["pyproject.toml has version 1.2.3"]),
        ("v1.2.3", "1.2.3", "other", ["terraform/release.json names other zips than those that were built"]),
        ("v1.2", "1.2", "text", ["CHANGELOG.md has no section 1.2", "README.md does not name ?ref=v1.2"]),
        ("v1.2.2", "1.2.2", "text", ["README.md does not name ?ref=v1.2.2"]),
    ],
)
def test_a_tag_with_something_of_another_version_is_none(
    tagged: Path, tag: str, version: str, text: str, said: list[str]
) -> None:
    assert list(build.wrong_with(tag, version, text, tagged)) == said


def test_the_sums_are_those_that_sha256sum_checks(tmp_path: Path) -> None:
    for name in ("b.zip", "a.zip"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "SHA256SUMS").write_text(build.sums([tmp_path / "b.zip", tmp_path / "a.zip"]))
    done = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "a.zip: OK\nb.zip: OK\n"


# --- The bill of materials


def test_the_bill_of_materials_has_what_the_zips_hold(tmp_path: Path) -> None:
    both = DISTRIBUTION.format("Some.thing_else", "2.0", "License-Expression: MIT")
    arm = DISTRIBUTION.format("numbers", "1.0", "Classifier: License :: OSI Approved :: BSD License")
    zips = {
        "layer-arm64": library(tmp_path, "arm.zip", both, arm),
        "layer-x86_64": library(tmp_path, "intel.zip", both),
    }
    text = sbom.cyclonedx("1.2.3", zips)
    assert text == sbom.cyclonedx("1.2.3", zips), "the same zips give the same bytes"
    document = json.loads(text)
    assert (document["bomFormat"], document["specVersion"], document["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", document["serialNumber"])
    assert document["components"] == [
        {
            "type": "library",
            "name": "numbers",
            "version": "1.0",
            "bom-ref": "pkg:pypi/numbers@1.0",
            "purl": "pkg:pypi/numbers@1.0",
            "licenses": [{"license": {"name": "BSD License"}}],
            "properties": [{"name": "bedrock-batch:zip", "value": "layer-arm64"}],
        },
        {
            "type": "library",
            "name": "Some.thing_else",
            "version": "2.0",
            "bom-ref": "pkg:pypi/some-thing-else@2.0",
            "purl": "pkg:pypi/some-thing-else@2.0",
            "licenses": [{"expression": "MIT"}],
            "properties": [{"name": "bedrock-batch:zip", "value": name} for name in zips],
        },
    ]
    (depends,) = document["dependencies"]
    assert depends["ref"] == document["metadata"]["component"]["bom-ref"]
    assert depends["dependsOn"] == [one["bom-ref"] for one in document["components"]]


def test_the_bill_of_materials_has_everything_that_is_pinned() -> None:
    """In the zips for this machine, every pinned library has its metadata."""
    zips = {"code": ROOT / "build" / "code.zip", "layer": ROOT / "build" / "local" / "layer.zip"}
    document = json.loads(sbom.cyclonedx("1.2.3", zips))
    found = {one["purl"].rpartition("/")[2].partition("@")[0]: one["version"] for one in document["components"]}
    pinned = versions(package.SDK_REQUIREMENTS) | versions(package.LAYER_REQUIREMENTS)
    assert found == {name.replace("_", "-"): version for name, version in pinned.items()}

"""Build a release into dist/, and write its manifest.

    python -m release.build                 what `make release` does
    python -m release.build --tag v0.2.0    the same, and refuse a tag that is not this release (`make release TAG=…`)

Needs the standard library and pip. The same commit gives the same bytes on every machine (lambda_src/package.py).
"""

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from release import manifest, sbom

ARCHITECTURES = ("arm64", "x86_64")


def main() -> None:
    parser = argparse.ArgumentParser(description="Build a release into dist/.")
    parser.add_argument("--tag", default="", help="the tag that is released, like v0.2.0")
    tag = parser.parse_args().tag
    version = manifest.version()
    shutil.rmtree(manifest.DIST, ignore_errors=True)
    manifest.DIST.mkdir()
    zips = build_zips(version)
    bill = manifest.DIST / f"bedrock-batch-{version}.cdx.json"
    bill.write_text(sbom.cyclonedx(version, zips), "utf-8")
    (manifest.DIST / "SHA256SUMS").write_text(sums([*zips.values(), bill]))
    text = manifest.text({name: manifest.describe(path) for name, path in zips.items()})
    if tag and (wrong := list(wrong_with(tag, version, text))):
        sys.exit(f"release: {tag} is no release: {'; '.join(wrong)}. CONTRIBUTING.md says how a release is made.")
    changed = manifest.MANIFEST.read_text("utf-8") != text
    manifest.MANIFEST.write_text(text, "utf-8")
    print(f"Version {version} is in dist/.")
    if changed:
        print("terraform/release.json is new: commit it before you tag.")


def build_zips(version: str) -> dict[str, Path]:
    """Return the zips in dist/ by their name in the manifest."""
    zips = {"code": manifest.DIST / f"code-{version}.zip"}
    for architecture in ARCHITECTURES:
        built = manifest.ROOT / "build" / architecture
        script = manifest.ROOT / "lambda_src" / "package.py"
        command = [sys.executable, str(script), "--out", str(built), "--architecture", architecture]
        if subprocess.run(command, check=False).returncode:
            sys.exit(1)  # it has said why
        layer = zips[f"layer-{architecture}"] = manifest.DIST / f"layer-{version}-{architecture}.zip"
        shutil.copyfile(built / "layer.zip", layer)
        shutil.copyfile(built / "code.zip", zips["code"])  # the same for both
    return zips


def sums(paths: list[Path]) -> str:
    """Return the content of SHA256SUMS, as `sha256sum --check` reads it."""
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(paths))


def wrong_with(tag: str, version: str, text: str, root: Path = manifest.ROOT) -> Iterator[str]:
    """Yield what keeps a tag from being the release of a version, whose manifest is `text`."""
    if tag != f"v{version}":
        yield f"pyproject.toml has version {version}"
    if not re.search(rf"^## {re.escape(version)}( |$)", (root / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE):
        yield f"CHANGELOG.md has no section {version}"
    if not re.search(rf"\?ref=v{re.escape(version)}(?![\w.])", (root / "README.md").read_text("utf-8")):
        yield f"README.md does not name ?ref=v{version}"
    if (root / "terraform" / "release.json").read_text("utf-8") != text:
        yield "terraform/release.json names other zips than those that were built"


if __name__ == "__main__":
    main()

"""The manifest `terraform/release.json`: the version of the module, and the zips of its release.

    {"version": "0.2.0", "zips": {"code": {"file", "key", "sha256", "bytes"}, "layer-arm64": …, "layer-x86_64": …}}

`file` is the name in dist/, `key` the name in a bucket, which also has the beginning of the digest: zips of two builds
never have the same. `sha256` is in Base64, as Lambda and S3 write it. Between releases there are no zips.
"""

import base64
import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = ROOT / "terraform" / "release.json"
DIST = ROOT / "dist"


@dataclass(frozen=True, slots=True)
class Zip:
    """A zip of a release, by its name in dist/ and in a bucket."""

    file: str
    key: str
    sha256: str
    bytes: int


def version() -> str:
    """Return the version that is in preparation, or was just made: that of pyproject.toml."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def describe(path: Path) -> Zip:
    """Return what the manifest says of a zip in dist/."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).digest()
    key = f"{path.stem}-{digest.hex()[:12]}.zip"
    return Zip(path.name, key, base64.b64encode(digest).decode(), len(content))


def text(zips: Mapping[str, Zip]) -> str:
    """Return the manifest of this version with these zips, as it stands in the file."""
    return (
        json.dumps({"version": version(), "zips": {name: asdict(one) for name, one in zips.items()}}, indent=2) + "\n"
    )


def read() -> dict[str, Zip]:
    """Return the zips of the manifest by their name; none between releases."""
    return {name: Zip(**fields) for name, fields in json.loads(MANIFEST.read_text("utf-8"))["zips"].items()}

"""Build the zips that Terraform uploads: our code with boto3, and a layer with the libraries.

    python lambda_src/package.py --out build                         build/code.zip and build/layer.zip, for Lambda
    python lambda_src/package.py --out build --architecture x86_64   the same, for functions on x86_64
    python lambda_src/package.py --out build --local                 build/code.zip and build/local/layer.zip: this host

Each zip has a label beside it, code.json or layer.json, with version, SHA-256 and architecture. The module reads the
label and refuses a zip of another version at plan. build/sdk.zip is boto3 alone; it is kept, so that a change of our
code needs no download. Needs the standard library and pip, with pip's configured index.

The same content gives the same bytes on every machine; otherwise plans would show changes that are none. Compressors
differ between machines, so nothing is compressed here. Files of wheels are copied in their compressed form, and the
wheels are pinned. Our own code is not compressed.
"""

import argparse
import base64
import hashlib
import json
import platform
import re
import struct
import subprocess
import sys
import tempfile
import tomllib
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SDK_REQUIREMENTS = HERE / "requirements-code.txt"
LAYER_REQUIREMENTS = HERE / "requirements-layer.txt"

SERVICES = ("bedrock", "bedrock-agent", "bedrock-runtime", "dynamodb", "s3", "secretsmanager", "service-quotas")
"""The AWS services that our code calls, by botocore's names. The data of about 400 others, 15 MB, is left out."""

LAMBDA_PYTHON = "3.13"
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
"""Lambda's architectures, with their names in wheels."""

MANYLINUX = ("_2_28", "_2_27", "_2_17", "2014")
"""Python 3.13 on Lambda runs on Amazon Linux 2023 with glibc 2.34; pip wants every older tag named too."""

MAX_UNPACKED_BYTES = 250 * 1024 * 1024
"""Lambda's limit for a function and its layers together."""

IMPORTS = (
    "pyarrow, pyarrow.parquet, pyarrow.csv, pyarrow.compute, pyarrow.json, pyarrow.dataset, "
    "numpy, numpy.typing, orjson, msgspec, simdjson, jsonschema, jsonschema_rs, "
    "fsspec.utils, httpx2, huggingface_hub.hf_api, huggingface_hub.hf_file_system"
)
"""What must still be importable from the layer after trimming."""

CLIENTS = f"boto3; [boto3.client(name, region_name='us-east-1') for name in {SERVICES!r}]"
"""What must still work with boto3 after trimming."""

_UNUSED = re.compile(
    r"""
      (^|/)(tests?|testing|__pycache__|includes?|f2py|distutils)/   # for building and testing the library
    | \.(pyx|pxd|pxi|pyi|h|hpp|c|cc|cpp|cmake|a|lib|pyc)$
    | \.data/                                                       # scripts
    | \.dist-info/(RECORD|WHEEL)$                                   # true of the untrimmed wheel only
    | ^pyarrow/(src/|_pyarrow_cpp_tests)
    | ^pyarrow/\w*flight                                            # Arrow Flight: a server, 33 MB
    | ^pyarrow/(libarrow_s3|_s3fs)                                  # boto3 reads the objects; 17 MB
    | ^pyarrow/libarrow_python\w*\.so(\.\d+\.\d+\.\d+)?$            # copies, under names for linkers
    | ^boto3/(data|examples)/                                       # resources; we use clients
    | ^botocore/data/.*/examples-1\.json$
    """,
    re.VERBOSE,
)


class PackageError(Exception):
    """The package cannot be built as asked."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a layer will run: in Lambda on an architecture, or in the interpreter that runs this script."""

    architecture: str
    local: bool

    @property
    def platforms(self) -> list[str]:
        return [f"manylinux{tag}_{MACHINES[self.architecture]}" for tag in MANYLINUX]

    def __str__(self) -> str:
        return "this machine" if self.local else f"Lambda (Python {LAMBDA_PYTHON}, {self.architecture})"


@dataclass(frozen=True, slots=True)
class Packed:
    """A file in the form of a zip: `content` is compressed by `method`; `size` and `crc` are the file's own."""

    content: bytes
    method: int
    size: int
    crc: int


def stored(content: bytes) -> Packed:
    return Packed(content, zipfile.ZIP_STORED, len(content), zlib.crc32(content))


def read_code(package: Path) -> dict[str, Packed]:
    """Return the files of our own package by their path in the zip: no caches, no tests."""
    files = {}
    for path in package.rglob("*"):
        name = path.relative_to(package.parent)
        aside = any(part.startswith(".") or part in ("__pycache__", "tests") for part in name.parts)
        if path.is_file() and not aside:
            files[name.as_posix()] = stored(path.read_bytes())
    if not files:
        raise PackageError(f"{package} holds no code")
    return files


def read_wheels(wheels: Iterable[Path], *, below: str) -> dict[str, Packed]:
    """Return the trimmed content of the wheels by its path in the zip, which begins with `below`."""
    files = {}
    for wheel in wheels:
        files |= {f"{below}{name}": file for name, file in read_zip(wheel).items() if is_used(name)}
    return files


def is_used(name: str) -> bool:
    service = re.match(r"botocore/data/([^/]+)/", name)
    return not _UNUSED.search(name) and (service is None or service[1] in SERVICES)


def read_zip(path: Path) -> dict[str, Packed]:
    """Return the files of a zip by their name, without unpacking them."""
    archive, files = path.read_bytes(), {}
    with zipfile.ZipFile(path) as index:
        for entry in index.infolist():
            if not entry.is_dir():
                # Names and extra fields may differ in length from those of the index.
                start = entry.header_offset + 30 + sum(struct.unpack_from("<HH", archive, entry.header_offset + 26))
                content = archive[start : start + entry.compress_size]
                if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise PackageError(f"{path}: {entry.filename} is packed in a way that Lambda does not unpack.")
                files[entry.filename] = Packed(content, entry.compress_type, entry.file_size, entry.CRC)
    return files


def zip_bytes(files: Mapping[str, Packed], *, comment: str = "") -> bytes:
    """Return a zip of the files, all of 1980 and readable by everyone: the same content gives the same bytes."""
    bodies, index, offset = [], [], 0
    for name in sorted(files):
        file, path = files[name], name.encode()
        sizes = (file.crc, len(file.content), file.size, len(path), 0)
        # Unpacked by version 2.0 of the format or later, name in UTF-8, midnight, the first of January 1980.
        shape = struct.pack("<5H3L2H", 20, 0x800, file.method, 0, 0x21, *sizes)
        bodies += [b"PK\3\4", shape, path, file.content]
        # Made by version 2.0, on Unix; no comment, disk 0, a file with these rights.
        index.append(b"PK\1\2" + struct.pack("<BB", 20, 3) + shape)
        index.append(struct.pack("<3H2L", 0, 0, 0, 0o100644 << 16, offset) + path)
        offset += 4 + len(shape) + len(path) + len(file.content)
    listed = b"".join(index)
    end = struct.pack("<4H2LH", 0, 0, len(files), len(files), len(listed), offset, len(comment))
    return b"".join([*bodies, listed, b"PK\5\6", end, comment.encode("ascii")])


def write_if_changed(path: Path, content: bytes) -> None:
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def unpacked_bytes(*zips: Path) -> int:
    total = 0
    for path in zips:
        with zipfile.ZipFile(path) as archive:
            total += sum(entry.file_size for entry in archive.infolist())
    return total


def check_size(*zips: Path, limit: int = MAX_UNPACKED_BYTES) -> int:
    """Return the unpacked size in bytes; raise PackageError when Lambda would refuse it."""
    total = unpacked_bytes(*zips)
    if total >= limit:
        names = " and ".join(str(path) for path in zips)
        raise PackageError(f"{names} unpack to {total:,} bytes; Lambda takes less than {limit:,}. Trim more.")
    return total


def digest_of(requirements: Path, target: Target) -> str:
    """Return a digest of what a zip of libraries is made from. It is built again only if the digest changes."""
    host = f"{sys.version_info.major}.{sys.version_info.minor} {sys.platform}"
    wanted = host if target.local else f"{LAMBDA_PYTHON} {target.platforms}"
    made_from = requirements.read_bytes() + Path(__file__).read_bytes() + wanted.encode()
    return hashlib.sha256(made_from).hexdigest()


def is_built(path: Path, digest: str) -> bool:
    if not path.is_file():
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.comment == digest.encode()
    except zipfile.BadZipFile:
        return False  # The file is the rest of an interrupted build.


def download_wheels(folder: Path, requirements: Path, target: Target) -> list[Path]:
    """Fetch the pinned wheels; raise PackageError when pip fails."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    if not target.local:
        command += ["--implementation=cp", f"--python-version={LAMBDA_PYTHON}"]
        command += [f"--platform={name}" for name in target.platforms]
    command += ["--require-hashes", "--requirement", str(requirements), "--dest", str(folder)]
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise PackageError(f"pip could not fetch the wheels for {target}; its message is above.")
    return sorted(folder.glob("*.whl"))


def check_imports(path: Path, *, below: str, imports: str) -> None:
    """Import everything from the unpacked zip alone; raise PackageError when trimming took too much."""
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
        code = f"import sys; sys.path.insert(0, {str(Path(folder) / below)!r}); import {imports}"
        command = [sys.executable, "-I", "-S", "-c", code]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise PackageError(f"{path} was trimmed too far:\n{done.stderr}")


def build_libraries(path: Path, requirements: Path, target: Target, *, below: str, imports: str = "") -> None:
    """Build a zip of libraries, unless the existing one has the same digest; try the imports, if any."""
    digest = digest_of(requirements, target)
    if is_built(path, digest):
        return
    with tempfile.TemporaryDirectory() as folder:
        files = read_wheels(download_wheels(Path(folder), requirements, target), below=below)
    path.parent.mkdir(parents=True, exist_ok=True)
    unchecked = path.with_suffix(".unchecked.zip")
    unchecked.write_bytes(zip_bytes(files, comment=digest))
    if imports:
        check_imports(unchecked, below=below, imports=imports)
    unchecked.replace(path)


def build(out: Path, target: Target) -> tuple[Path, Path]:
    """Build missing zips with their labels, and return the two zips."""
    sdk, code = out / "sdk.zip", out / "code.zip"
    layer = out / "local" / "layer.zip" if target.local else out / "layer.zip"
    # It is plain Python, the same for every machine. So it is fetched for Lambda, but its imports are tried here.
    build_libraries(sdk, SDK_REQUIREMENTS, Target("arm64", local=False), below="", imports=CLIENTS)
    write_if_changed(code, zip_bytes(read_code(HERE / "bedrock_batch") | read_zip(sdk)))
    build_libraries(layer, LAYER_REQUIREMENTS, target, below="python/", imports=IMPORTS if target.local else "")
    write_label(code)
    write_label(layer, architecture=target.architecture)
    return code, layer


def write_label(path: Path, **more: str) -> None:
    """Write a zip's label into a file beside it; terraform/package.tf reads it."""
    with (HERE.parent / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    digest = base64.b64encode(hashlib.sha256(path.read_bytes()).digest()).decode()
    label = {"version": version, "sha256": digest} | more
    write_if_changed(path.with_suffix(".json"), json.dumps(label, indent=2).encode() + b"\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the Lambda zips.")
    parser.add_argument("--out", type=Path, default=HERE.parent / "build", help="folder of the zips")
    parser.add_argument("--architecture", choices=MACHINES, default="arm64", help="of the functions (default: arm64)")
    parser.add_argument("--local", action="store_true", help="layer for this machine, not for Lambda")
    arguments = parser.parse_args()
    here = "x86_64" if platform.machine() in ("x86_64", "AMD64") else "arm64"
    target = Target(here if arguments.local else arguments.architecture, local=arguments.local)
    try:
        code, layer = build(arguments.out, target)
        size = check_size(code, layer)
    except PackageError as error:
        sys.exit(f"package.py: {error}")
    print(f"{code} {code.stat().st_size:,} bytes, {layer} {layer.stat().st_size:,} bytes, {size:,} unpacked")


if __name__ == "__main__":
    main()

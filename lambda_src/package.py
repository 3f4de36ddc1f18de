"""Build the zips that Terraform uploads: our code with boto3, and a layer with the libraries.

    python lambda_src/package.py --out build           build/code.zip and build/layer.zip, for Lambda (arm64)
    python lambda_src/package.py --out build --local   build/code.zip and build/local/layer.zip, for this host

build/sdk.zip is boto3 alone, kept so that a change of our code needs no download.
The same content gives the same bytes; otherwise every plan would show a change. Needs the standard library and pip,
with pip's configured index.
"""

import argparse
import hashlib
import io
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent
SDK_REQUIREMENTS = HERE / "requirements-code.txt"
LAYER_REQUIREMENTS = HERE / "requirements-layer.txt"

SERVICES = ("bedrock", "bedrock-agent", "bedrock-runtime", "s3", "secretsmanager", "service-quotas")
"""The AWS services that our code calls, by botocore's names. The data of about 400 others, 15 MB, is left out."""

LAMBDA_PYTHON = "3.13"
LAMBDA_PLATFORMS = [f"manylinux{tag}_aarch64" for tag in ("_2_28", "_2_27", "_2_17", "2014")]
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
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


class PackageError(Exception):
    """The package cannot be built as asked."""


def read_code(package: Path) -> dict[str, bytes]:
    """Return the files of our own package by their path in the zip: no caches, no tests."""
    files = {}
    for path in package.rglob("*"):
        name = path.relative_to(package.parent)
        aside = any(part.startswith(".") or part in ("__pycache__", "tests") for part in name.parts)
        if path.is_file() and not aside:
            files[name.as_posix()] = path.read_bytes()
    if not files:
        raise PackageError(f"{package} holds no code")
    return files


def read_wheels(wheels: Iterable[Path], *, below: str) -> dict[str, bytes]:
    """Return the trimmed content of the wheels by its path in the zip, which begins with `below`."""
    files = {}
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if not name.endswith("/") and is_used(name):
                    files[f"{below}{name}"] = archive.read(name)
    return files


def is_used(name: str) -> bool:
    service = re.match(r"botocore/data/([^/]+)/", name)
    return not _UNUSED.search(name) and (service is None or service[1] in SERVICES)


def read_zip(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zip_bytes(files: Mapping[str, bytes], *, comment: str = "") -> bytes:
    """Return a zip of the files, the same bytes whenever the content is the same."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _ZIP_TIME)
            entry.create_system = 3  # Unix, wherever it is built
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name])
        archive.comment = comment.encode()
    return buffer.getvalue()


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


def digest_of(requirements: Path, *, local: bool) -> str:
    """Return a digest of what a zip of libraries is made from. It is built again only if the digest changes."""
    host = f"{sys.version_info.major}.{sys.version_info.minor} {sys.platform}"
    target = host if local else f"{LAMBDA_PYTHON} {LAMBDA_PLATFORMS}"
    made_from = requirements.read_bytes() + Path(__file__).read_bytes() + target.encode()
    return hashlib.sha256(made_from).hexdigest()


def is_built(path: Path, digest: str) -> bool:
    if not path.is_file():
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.comment == digest.encode()
    except zipfile.BadZipFile:
        return False  # The file is the rest of an interrupted build.


def download_wheels(folder: Path, requirements: Path, *, local: bool) -> list[Path]:
    """Fetch the pinned wheels, for Lambda or for this interpreter; raise PackageError when pip fails."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    if not local:
        command += ["--implementation=cp", f"--python-version={LAMBDA_PYTHON}"]
        command += [f"--platform={platform}" for platform in LAMBDA_PLATFORMS]
    command += ["--require-hashes", "--requirement", str(requirements), "--dest", str(folder)]
    done = subprocess.run(command, check=False)
    if done.returncode:
        target = "this machine" if local else f"Lambda (Python {LAMBDA_PYTHON}, arm64)"
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


def build_libraries(path: Path, requirements: Path, *, below: str, imports: str, local: bool, runs_here: bool) -> None:
    """Build a zip of libraries, unless the existing one has the same digest."""
    digest = digest_of(requirements, local=local)
    if is_built(path, digest):
        return
    with tempfile.TemporaryDirectory() as folder:
        files = read_wheels(download_wheels(Path(folder), requirements, local=local), below=below)
    path.parent.mkdir(parents=True, exist_ok=True)
    unchecked = path.with_suffix(".unchecked.zip")
    unchecked.write_bytes(zip_bytes(files, comment=digest))
    if runs_here:
        check_imports(unchecked, below=below, imports=imports)
    unchecked.replace(path)


def build_sdk(path: Path) -> None:
    """Build boto3 and what it needs: all plain Python, the same for Lambda and for this host."""
    build_libraries(path, SDK_REQUIREMENTS, below="", imports=CLIENTS, local=False, runs_here=True)


def build_layer(path: Path, *, local: bool) -> None:
    build_libraries(path, LAYER_REQUIREMENTS, below="python/", imports=IMPORTS, local=local, runs_here=local)


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the Lambda zips.")
    parser.add_argument("--out", type=Path, default=HERE.parent / "build", help="folder of the zips")
    parser.add_argument("--local", action="store_true", help="layer for this machine, not for Lambda")
    arguments = parser.parse_args()

    code, sdk = arguments.out / "code.zip", arguments.out / "sdk.zip"
    layer = arguments.out / "local" / "layer.zip" if arguments.local else arguments.out / "layer.zip"
    try:
        build_sdk(sdk)
        write_if_changed(code, zip_bytes(read_code(HERE / "bedrock_batch") | read_zip(sdk)))
        build_layer(layer, local=arguments.local)
        size = check_size(code, layer)
    except PackageError as error:
        sys.exit(f"package.py: {error}")
    print(f"{code} {code.stat().st_size:,} bytes, {layer} {layer.stat().st_size:,} bytes, {size:,} unpacked")


if __name__ == "__main__":
    main()

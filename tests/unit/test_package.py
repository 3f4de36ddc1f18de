"""How the zips that Terraform uploads are built. tests/unit/test_code_zip.py checks the result."""

import ast
import base64
import hashlib
import importlib.util
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

LAMBDA_SRC = Path(__file__).resolve().parents[2] / "lambda_src"


def load_package() -> ModuleType:
    # Load it by its path, because it is a script beside our package.
    spec = importlib.util.spec_from_file_location("package_script", LAMBDA_SRC / "package.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


package = load_package()


def write_package(root: Path, order: list[str]) -> Path:
    for name in order:
        path = root / "bedrock_batch" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
    return root / "bedrock_batch"


def make_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_same_content_gives_same_bytes_whatever_the_order_time_and_mode(tmp_path: Path) -> None:
    first = write_package(tmp_path / "a", ["keys.py", "handlers/plan_run.py", "catalogue.json"])
    second = write_package(tmp_path / "b", ["catalogue.json", "handlers/plan_run.py", "keys.py"])
    (second / "keys.py").chmod(0o755)
    (second / "keys.py").touch()

    assert package.zip_bytes(package.read_code(first)) == package.zip_bytes(package.read_code(second))


def test_other_content_gives_other_bytes(tmp_path: Path) -> None:
    code = write_package(tmp_path, ["keys.py"])
    before = package.zip_bytes(package.read_code(code))
    (code / "keys.py").write_text("# changed\n")

    assert package.zip_bytes(package.read_code(code)) != before


def test_what_a_wheel_has_compressed_is_taken_over_as_it_is(tmp_path: Path) -> None:
    """So it does not matter what compresses on the machine that packs."""
    content = b"a text that is much shorter when it is compressed, " * 99
    wheels = []
    for level in (1, 9):
        wheels.append(tmp_path / f"{level}.whl")
        with zipfile.ZipFile(wheels[-1], "w", zipfile.ZIP_DEFLATED, compresslevel=level) as wheel:
            wheel.writestr("folder/", b"")
            wheel.writestr(f"größe-{level}.txt", content)
            wheel.writestr(zipfile.ZipInfo(f"stored-{level}.txt"), content)  # without compression
    raw = [package.read_zip(path)[f"größe-{level}.txt"].content for level, path in zip((1, 9), wheels, strict=True)]
    assert len(raw[1]) < len(content) / 9

    made = tmp_path / "made.zip"
    made.write_bytes(package.zip_bytes(package.read_wheels(wheels, below="python/"), comment="digest"))
    with zipfile.ZipFile(made) as archive:
        assert archive.testzip() is None
        assert archive.comment == b"digest"
        assert [
            (one.filename, one.date_time, one.external_attr >> 16, one.create_system) for one in archive.filelist
        ] == [
            (f"python/{name}.txt", (1980, 1, 1, 0, 0, 0), 0o100644, 3)
            for name in ("größe-1", "größe-9", "stored-1", "stored-9")
        ]
        assert {archive.read(name) for name in archive.namelist()} == {content}
    assert all(one in made.read_bytes() for one in raw)


def test_a_file_that_lambda_does_not_unpack_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.whl", "w", zipfile.ZIP_BZIP2) as wheel:
        wheel.writestr("a.py", b"")
    with pytest.raises(package.PackageError, match=r"a\.py is packed in a way that Lambda does not unpack"):
        package.read_zip(tmp_path / "a.whl")


@pytest.mark.parametrize(("architecture", "machine"), [("arm64", "aarch64"), ("x86_64", "x86_64")])
def test_wheels_are_fetched_for_the_architecture(
    architecture: str, machine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def run(command: list[str], *, check: bool) -> subprocess.CompletedProcess[str]:
        asked.extend(command)
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(package.PackageError, match=rf"for Lambda \(Python 3\.13, {architecture}\); its message"):
        package.download_wheels(tmp_path, package.LAYER_REQUIREMENTS, package.Target(architecture, local=False))
    assert [one for one in asked if one.startswith("--platform=")] == [
        f"--platform=manylinux{tag}_{machine}" for tag in ("_2_28", "_2_27", "_2_17", "2014")
    ]


def test_every_zip_has_a_label(tmp_path: Path) -> None:
    layer = make_zip(tmp_path / "layer.zip", {"a": b""})
    package.write_label(layer, architecture="x86_64")
    label = json.loads((tmp_path / "layer.json").read_text())
    project = tomllib.loads((LAMBDA_SRC.parent / "pyproject.toml").read_text())["project"]
    assert label == {
        "version": project["version"],
        "sha256": base64.b64encode(hashlib.sha256(layer.read_bytes()).digest()).decode(),
        "architecture": "x86_64",
    }


def test_caches_and_tests_stay_out(tmp_path: Path) -> None:
    code = write_package(
        tmp_path,
        ["keys.py", "py.typed", "__pycache__/keys.cpython-313.pyc", ".mypy_cache/x.json", "tests/test_keys.py"],
    )

    assert sorted(package.read_code(code)) == ["bedrock_batch/keys.py", "bedrock_batch/py.typed"]


def test_empty_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(package.PackageError, match="holds no code"):
        package.read_code(tmp_path)


def test_code_zip_holds_every_handler_and_data_file() -> None:
    names = set(package.read_code(LAMBDA_SRC / "bedrock_batch"))
    sources = {
        f"bedrock_batch/{path.relative_to(LAMBDA_SRC / 'bedrock_batch').as_posix()}"
        for suffix in ("*.py", "*.json", "*.css")
        for path in (LAMBDA_SRC / "bedrock_batch").rglob(suffix)
        if ".mypy_cache" not in path.parts
    }

    assert names == sources | {"bedrock_batch/py.typed"}


def test_wheels_lose_what_only_builders_and_testers_use(tmp_path: Path) -> None:
    wheel = make_zip(
        tmp_path / "pyarrow-1-cp313-cp313-manylinux_2_28_aarch64.whl",
        {
            "pyarrow/__init__.py": b"",
            "pyarrow/lib.cpython-313-aarch64-linux-gnu.so": b"",
            "pyarrow/libarrow.so.2600": b"",
            "pyarrow/libarrow_substrait.so.2600": b"",
            "pyarrow/libarrow_python.so.2600": b"",
            "pyarrow/libarrow_python.so.2600.1.0": b"",
            "pyarrow/libarrow_python.so": b"",
            "pyarrow/libarrow_flight.so.2600": b"",
            "pyarrow/_flight.cpython-313-aarch64-linux-gnu.so": b"",
            "pyarrow/include/arrow/api.h": b"",
            "pyarrow/tests/test_array.py": b"",
            "pyarrow/array.pxi": b"",
            "pyarrow-1.dist-info/METADATA": b"",
            "pyarrow-1.dist-info/RECORD": b"",
        },
    )

    assert sorted(package.read_wheels([wheel], below="python/")) == [
        "python/pyarrow-1.dist-info/METADATA",
        "python/pyarrow/__init__.py",
        "python/pyarrow/lib.cpython-313-aarch64-linux-gnu.so",
        "python/pyarrow/libarrow.so.2600",
        "python/pyarrow/libarrow_python.so.2600",
        "python/pyarrow/libarrow_substrait.so.2600",
    ]


def test_size_counts_what_is_unpacked(tmp_path: Path) -> None:
    code = make_zip(tmp_path / "code.zip", {"a": b"0" * 600})
    layer = make_zip(tmp_path / "layer.zip", {"b": b"0" * 399})

    assert package.check_size(code, layer, limit=1000) == 999
    with pytest.raises(package.PackageError, match=r"code\.zip and .*layer\.zip unpack to 999 bytes"):
        package.check_size(code, layer, limit=999)


def test_import_check_fails_on_a_layer_that_lacks_something(tmp_path: Path) -> None:
    layer = make_zip(tmp_path / "layer.zip", {"python/pyarrow/__init__.py": b""})

    with pytest.raises(package.PackageError, match=r"trimmed too far:(.|\n)*pyarrow"):
        package.check_imports(layer, below="python", imports=package.IMPORTS)


def test_libraries_are_kept_until_something_they_are_made_from_changes(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("a==1")
    layer = tmp_path / "layer.zip"
    arm, intel = package.Target("arm64", local=False), package.Target("x86_64", local=False)
    here = package.Target("arm64", local=True)
    layer.write_bytes(package.zip_bytes({}, comment=package.digest_of(requirements, arm)))

    assert package.is_built(layer, package.digest_of(requirements, arm))
    assert not package.is_built(layer, package.digest_of(requirements, here))
    assert not package.is_built(layer, package.digest_of(requirements, intel))

    layer.write_bytes(layer.read_bytes()[:-3])
    assert not package.is_built(layer, package.digest_of(requirements, arm))
    assert not package.is_built(tmp_path / "none.zip", package.digest_of(requirements, arm))

    layer.write_bytes(package.zip_bytes({}, comment=package.digest_of(requirements, arm)))
    requirements.write_text("a==2")
    assert not package.is_built(layer, package.digest_of(requirements, arm))


def test_unchanged_zip_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "build" / "code.zip"
    package.write_if_changed(path, b"one")
    path.chmod(0o444)
    written = path.stat().st_mtime_ns
    package.write_if_changed(path, b"one")

    assert path.stat().st_mtime_ns == written


def test_every_library_that_our_code_imports_is_pinned() -> None:
    modules = {"simdjson": "pysimdjson", "huggingface_hub": "huggingface-hub", "jsonschema_rs": "jsonschema-rs"}
    imported = set()
    for path in (LAMBDA_SRC / "bedrock_batch").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.partition(".")[0])
    foreign = imported - set(sys.stdlib_module_names) - {"bedrock_batch"}
    pinned = versions(package.SDK_REQUIREMENTS) | versions(package.LAYER_REQUIREMENTS)

    assert {modules.get(name, name) for name in foreign} <= pinned.keys()


def versions(requirements: Path) -> dict[str, str]:
    """Return the version of every distribution that a file of requirements pins."""
    return dict(re.findall(r"^([a-z0-9_-]+)==(\S+)", requirements.read_text(), re.MULTILINE))


def test_what_ships_is_what_the_tests_run_with() -> None:
    locked = versions(LAMBDA_SRC.parent / "requirements" / "dev.lock")
    shipped = versions(package.SDK_REQUIREMENTS)

    assert shipped == {name: locked[name] for name in shipped}


def test_wheels_of_the_sdk_lose_other_services(tmp_path: Path) -> None:
    wheel = make_zip(
        tmp_path / "botocore-1-py3-none-any.whl",
        {
            "boto3/session.py": b"",
            "boto3/data/s3/2006-03-01/resources-1.json": b"",
            "botocore/cacert.pem": b"",
            "botocore/client.py": b"",
            "botocore/data/_retry.json": b"",
            "botocore/data/bedrock/2023-04-20/service-2.json.gz": b"",
            "botocore/data/bedrock-agentcore/2024-02-28/service-2.json.gz": b"",
            "botocore/data/ec2/2016-11-15/service-2.json.gz": b"",
            "botocore/data/endpoints.json": b"",
            "botocore/data/s3/2006-03-01/examples-1.json": b"",
            "botocore/data/s3/2006-03-01/paginators-1.json": b"",
        },
    )

    assert sorted(package.read_wheels([wheel], below="")) == [
        "boto3/session.py",
        "botocore/cacert.pem",
        "botocore/client.py",
        "botocore/data/_retry.json",
        "botocore/data/bedrock/2023-04-20/service-2.json.gz",
        "botocore/data/endpoints.json",
        "botocore/data/s3/2006-03-01/paginators-1.json",
    ]

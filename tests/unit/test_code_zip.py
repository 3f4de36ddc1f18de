"""The shipped build/code.zip: unpacked as in Lambda, and imported without anything else."""

import ast
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.unit.test_house import LIGHT
from tests.unit.test_package import LAMBDA_SRC, package

BUILD = LAMBDA_SRC.parent / "build"


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the zip is unpacked to."""
    digest = package.digest_of(package.SDK_REQUIREMENTS, package.Target("arm64", local=False))
    if not package.is_built(BUILD / "sdk.zip", digest) or not (BUILD / "code.zip").is_file():
        pytest.fail(
            "build/code.zip is not there, or older than what it is made from: run make package-local", pytrace=False
        )
    folder = tmp_path_factory.mktemp("code")
    with zipfile.ZipFile(BUILD / "code.zip") as archive:
        archive.extractall(folder)
    return folder


def run(code: Path, script: str) -> str:
    """Run a script that finds the unpacked zip and the standard library alone, as in a function without the layer."""
    aside = {"PATH": os.environ["PATH"], "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    command = [sys.executable, "-I", "-S", "-B", "-c", f"import sys; sys.path.insert(0, {str(code)!r})\n{script}"]
    done = subprocess.run(command, env=aside | keys, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def clients_that_our_code_makes() -> set[str]:
    made = {"s3"}  # of clients.s3()
    for path in (LAMBDA_SRC / "bedrock_batch").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "clients.client":
                made.add(ast.literal_eval(node.args[0]))
    return made


def test_the_zip_has_the_services_that_our_code_calls_and_no_other(code: Path) -> None:
    assert set(package.SERVICES) == clients_that_our_code_makes()
    data = code / "botocore" / "data"
    assert {path.name for path in data.iterdir() if path.is_dir()} == set(package.SERVICES)


def test_the_zip_stays_small(code: Path) -> None:
    assert (BUILD / "code.zip").stat().st_size < 3_000_000


@pytest.mark.parametrize("name", LIGHT)
def test_light_functions_need_the_zip_alone(code: Path, name: str) -> None:
    found = run(code, f"import bedrock_batch.handlers.{name} as h, boto3; assert h.handler; print(boto3.__file__)")
    assert found.strip() == str(code / "boto3" / "__init__.py")


def test_every_client_is_made_from_the_zip(code: Path) -> None:
    made = run(
        code,
        "import json\nfrom bedrock_batch.aws import clients\n"
        f"print(json.dumps([clients.client(name).meta.service_model.service_name for name in {package.SERVICES!r}]))",
    )
    assert json.loads(made) == list(package.SERVICES)


def test_the_models_know_what_we_send(code: Path) -> None:
    """Older SDKs refuse both, and every record of a run with a schema, or with Converse bodies, would fail."""
    known = run(
        code,
        "import json\nfrom bedrock_batch.aws.clients import client\n"
        "def members(service, operation):\n"
        "    return list(client(service).meta.service_model.operation_model(operation).input_shape.members)\n"
        "print(json.dumps([members('bedrock-runtime', 'Converse'), members('bedrock', 'CreateModelInvocationJob')]))",
    )
    converse, create = json.loads(known)
    assert "outputConfig" in converse
    assert "modelInvocationType" in create

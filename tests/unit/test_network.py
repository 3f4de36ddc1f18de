"""docs/network.md names exactly the services that each function calls: people build VPCs from it."""

import ast
import re
from functools import cache
from pathlib import Path

import botocore.session
import grimp
import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "lambda_src" / "bedrock_batch"
PAGE = (ROOT / "docs" / "network.md").read_text("utf-8")

HUB = "the Hugging Face hub"
HANDLERS = sorted(path.stem for path in (PACKAGE / "handlers").glob("*.py") if path.stem not in {"__init__", "edge"})

OF_THE_NETWORK = {"aiohttp", "http", "httpx2", "huggingface_hub", "requests", "socket"}
"""Modules with which code could call a service without an AWS client."""


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("bedrock_batch", include_external_packages=True)


def reached(handler: str) -> set[str]:
    """Return all modules that a handler imports, directly or not, ours and others."""
    module = f"bedrock_batch.handlers.{handler}"
    return {module, *graph().find_upstream_modules(module)}


def source(module: str) -> Path | None:
    parts = module.split(".")[1:]
    candidates = (PACKAGE.joinpath(*parts).with_suffix(".py"), PACKAGE.joinpath(*parts, "__init__.py"))
    return next((path for path in candidates if path.is_file()), None) if parts else PACKAGE / "__init__.py"


@cache
def clients_of(module: str) -> frozenset[str]:
    """Return the services whose clients a module makes. Each is named by a literal."""
    path = source(module)
    assert path is not None, module
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if ast.unparse(node.func) == "clients.s3":
            names.add("s3")
        elif ast.unparse(node.func) == "clients.client":
            (name,) = node.args
            assert isinstance(name, ast.Constant), f"{module}: {ast.unparse(node)} hides which service it calls"
            names.add(str(name.value))
    return frozenset(names)


def endpoint(service: str) -> str:
    """Return a service's name in the name of its VPC endpoint."""
    prefix: str = botocore.session.get_session().get_service_model(service).endpoint_prefix
    return prefix


def called(handler: str) -> set[str]:
    modules = reached(handler)
    services = {name for module in modules if module.startswith("bedrock_batch") for name in clients_of(module)}
    return {endpoint(name) for name in services} | ({HUB} if modules & OF_THE_NETWORK else set())


def documented() -> dict[str, set[str]]:
    table = re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE.partition("| endpoint |")[0], re.MULTILINE)
    return {name: {cell.strip("`") for cell in cells.split(", ")} for name, cells in table}


def test_the_table_has_every_function() -> None:
    assert sorted(documented()) == HANDLERS


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_function_calls_what_the_table_says_and_nothing_else(handler: str) -> None:
    assert called(handler) == documented()[handler]


def test_each_endpoint_is_explained() -> None:
    explained = re.findall(r"^\| `?([\w -]+?)`? \| ", PAGE.partition("| endpoint |")[2], re.MULTILINE)
    assert sorted(set(explained)) == sorted(set().union(*documented().values()))


def test_clients_are_made_in_one_place() -> None:
    """No module calls a service in another way, so the count here is complete."""
    importers = graph().find_modules_that_directly_import
    assert importers("boto3") == {"bedrock_batch.aws.clients"}
    # For the names of their errors.
    assert importers("ssl") | importers("urllib3") == {"bedrock_batch.aws.transient"}
    others = re.compile(r"\bget_session\(|\bSession\(|\burllib\.request\b|from urllib import")
    assert not [path for path in PACKAGE.rglob("*.py") if others.search(path.read_text("utf-8"))]

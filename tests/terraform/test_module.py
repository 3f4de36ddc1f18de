"""The module's own tests, with a mocked provider, and Terraform's checks of its files."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bedrock_batch.table import input_files
from local.provision import ROOT
from tests.terraform.workspace import MODULE, terraform

pytestmark = pytest.mark.usefixtures("provider")

PROVIDER = "registry.terraform.io/hashicorp/aws"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of an initialised module."""
    directory = tmp_path_factory.mktemp("terraform")
    done = terraform("init", "-backend=false", "-input=false", data=directory)
    assert done.returncode == 0, done.stderr
    return directory


VALIDATION = MODULE / "tests" / "validation.tftest.hcl"


def test_terraform_test(data: Path) -> None:
    """All but the refusals of wrong values, which the next test has in a tenth of the time."""
    files = [path for path in sorted(MODULE.glob("tests/*.tftest.hcl")) if path != VALIDATION]
    done = terraform("test", "-no-color", *(f"-filter=tests/{path.name}" for path in files), data=data)
    assert_all_ran(done, files)


def test_wrong_values_are_refused(tmp_path: Path) -> None:
    """The variables alone, without the provider, which takes a second for every run."""
    (tmp_path / "tests" / "fixtures").mkdir(parents=True)
    shutil.copy(MODULE / "variables.tf", tmp_path)
    for name in ("common.auto.tfvars", "fixtures/package.zip"):
        shutil.copy(MODULE / "tests" / name, tmp_path / "tests" / name)
    runs = re.sub(r'^mock_provider "aws" {\n.*?^}\n', "", VALIDATION.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "tests" / VALIDATION.name).write_text(runs)
    # What the validations name beside the variables: values that need no resource.
    named = set(re.findall(r"\blocal\.(\w+)", (MODULE / "variables.tf").read_text("utf-8")))
    files = "\n".join(path.read_text("utf-8") for path in MODULE.glob("*.tf"))
    values = [re.search(rf"^  {name} += (?:{{\n.*?^  }}|[^\n]*)$", files, re.M | re.S) for name in sorted(named)]
    (tmp_path / "locals.tf").write_text("\n".join(["locals {", *(value[0] for value in values if value), "}"]))
    assert terraform("init", "-input=false", data=tmp_path / "data", root=tmp_path).returncode == 0
    assert_all_ran(terraform("test", "-no-color", data=tmp_path / "data", root=tmp_path), [VALIDATION])


def assert_all_ran(done: subprocess.CompletedProcess[str], files: list[Path]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    written = sum(len(re.findall(r"^run \"", path.read_text("utf-8"), re.MULTILINE)) for path in files)
    ran = re.search(r"(\d+) passed, 0 failed", done.stdout)
    assert ran is not None
    assert int(ran[1]) == written > 10


def test_terraform_fmt() -> None:
    done = subprocess.run(
        ["terraform", "fmt", "-check", "-recursive", str(ROOT)], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("root", ["terraform/examples/minimal/outputs.tf", "local/terraform/outputs.tf"])
def test_the_documented_commands_find_their_outputs(root: str) -> None:
    pages = "".join((ROOT / page).read_text("utf-8") for page in ("README.md", "docs/operations.md"))
    asked = set(re.findall(r"terraform output -raw (\w+)", pages))
    assert len(asked) == 5
    assert asked <= set(re.findall(r'^output "(\w+)"', (ROOT / root).read_text("utf-8"), re.MULTILINE))


def test_the_face_of_the_module_stays_small() -> None:
    text = (MODULE / "variables.tf").read_text("utf-8")
    names = re.findall(r'^variable "(\w+)"', text, re.MULTILINE)
    assert 10 < len(names) <= 18
    assert not re.search(r"= any\b|\(any\)|^ *any$", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("asked", "answer"), [("var.bucket == null", "storage.tf"), ("var.encryption == null", "encryption.tf")]
)
def test_what_an_input_means_is_decided_in_one_file(asked: str, answer: str) -> None:
    """An own bucket may have an access log, and a key need not cover data: null alone says neither."""
    found = {path.name for path in MODULE.glob("*.tf") if asked in path.read_text("utf-8")}
    assert found == {answer, "variables.tf"}


# --- What stands in Terraform and in Python


def test_the_settings_have_the_contract_of_the_functions() -> None:
    written = re.search(r"^    contract +=( [0-9]+) # CONTRACT of (\S+)$", (MODULE / "storage.tf").read_text(), re.M)
    assert written is not None
    source = (ROOT / "lambda_src" / written[2]).read_text("utf-8")
    assert re.search(rf"^CONTRACT(: Final)? ={written[1]}$", source, re.M)


def test_the_plan_may_list_the_logs_that_it_looks_for() -> None:
    (listed,) = re.findall(r"for log in (\[.*\]) :", (MODULE / "iam_functions.tf").read_text())
    assert json.loads(listed) == list(input_files._LOGS)


def test_a_policy_that_iam_would_refuse_is_refused_before_that(tmp_path: Path) -> None:
    """White space does not count. (A Terraform test file cannot make a text of 10,240 characters.)"""
    shutil.copytree(MODULE, tmp_path / "terraform", ignore=shutil.ignore_patterns(".terraform*"))
    shutil.copytree(ROOT / "asl", tmp_path / "asl")
    tests = tmp_path / "terraform" / "tests"
    for path in tests.glob("*.tftest.hcl"):
        path.unlink()
    runs = [
        f"""
run "{name}" {{
  command = {command}

  override_data {{
    target = data.aws_iam_policy_document.function
    values = {{ json = "{{{" " * 99}\\"x\\":\\"{"x" * (length - 8)}\\"}}" }}
  }}
  {expected}
}}
"""
        for name, command, length, expected in (
            ("longest", "apply", 10240, ""),
            ("too_long", "plan", 10241, "expect_failures = [aws_iam_role_policy.function]"),
        )
    ]
    mocked = 'mock_provider "aws" { source = "./tests/mocks" }'
    (tests / "policies.tftest.hcl").write_text(mocked + "".join(runs))
    root, own = tmp_path / "terraform", tmp_path / "data"
    assert terraform("init", "-backend=false", "-input=false", data=own, root=root).returncode == 0
    done = terraform("test", "-no-color", data=own, root=root)
    assert "2 passed, 0 failed" in done.stdout, done.stdout + done.stderr


# --- What a destroy begins with

TABLE = "aws_dynamodb_table.inventory"
ITEM = "aws_dynamodb_table_item.installation"


class Graph(NamedTuple):
    """The resources of a root, and which of them each waits for."""

    resources: set[str]
    edges: list[tuple[str, str]]

    def before(self, resource: str) -> set[str]:
        """Return the resources that one resource depends on, directly or not."""
        found: set[str] = set()
        ahead = [resource]
        while ahead:
            name = ahead.pop()
            following = {after for before, after in self.edges if before == name} - found
            found |= following
            ahead += following
        return found & self.resources


def graph_of(root: Path, data: Path) -> Graph:
    graph = terraform("graph", data=data, root=root).stdout
    resources = {name for name in re.findall(r'"([^"]+)" \[label', graph) if ".data." not in f".{name}"}
    return Graph(resources, re.findall(r'"([^"]+)" -> "([^"]+)"', graph))


@pytest.fixture(scope="module")
def graph(data: Path) -> Graph:
    return graph_of(MODULE, data)


def test_the_item_that_the_table_refuses_to_delete_is_made_last(graph: Graph) -> None:
    """So it is the first to be destroyed, and while DynamoDB refuses that, everything is as it was."""
    before = graph.before(ITEM)
    assert len(graph.resources) > 30
    assert graph.resources - before == {ITEM}
    assert "aws_dynamodb_resource_policy.inventory" in before


def test_the_table_is_made_last_but_for_what_is_in_it(graph: Graph) -> None:
    assert graph.resources - graph.before(TABLE) == {TABLE, ITEM, "aws_dynamodb_resource_policy.inventory"}


def test_the_settings_of_a_bucket_that_is_given_are_made_before_the_table(tmp_path: Path) -> None:
    root = MODULE / "examples" / "complete"
    assert terraform("init", "-backend=false", "-input=false", data=tmp_path, root=root).returncode == 0
    graph = graph_of(root, tmp_path)
    settings = {name for name in graph.resources if name.startswith("aws_s3_bucket")}
    assert len(settings) > 3
    assert settings <= graph.before(f"module.batch.{TABLE}")


# --- What the provider deprecates

DEPRECATED_IN_6 = {
    "aws_region": {"name", "id"},
    "aws_s3_bucket": {"region"},
}
"""Allowed, because provider 5.100 has no replacement: hash_key and range_key of an index (`key_schema` in 6)."""


def sources() -> Iterator[tuple[Path, str]]:
    """Every Terraform file that ships, and the root of the local AWS, without comments."""
    for folder in (MODULE, ROOT / "local" / "terraform"):
        for path in sorted(folder.rglob("*.tf")):
            if ".terraform" not in path.parts:
                yield path, re.sub(r"^\s*#.*$", "", path.read_text(), flags=re.MULTILINE)


def blocks(text: str, kind: str) -> Iterator[tuple[str, str]]:
    """Yield the type and the body of every resource or data block; they end at a brace that begins a line."""
    for match in re.finditer(rf'^{kind} "(\w+)" "\w+" {{(.*?)^}}|^{kind} "(\w+)" "\w+" {{}}$', text, re.M | re.S):
        yield match[1] or match[3], match[2] or ""


@pytest.fixture(scope="module")
def schemas(data: Path) -> Any:
    """The provider's own description of everything it has."""
    return json.loads(terraform("providers", "schema", "-json", data=data).stdout)["provider_schemas"][PROVIDER]


def deprecated(schema: dict[str, Any]) -> set[str]:
    """Return the names of arguments and blocks of a block that the provider calls deprecated."""
    return {
        name
        for group in ("attributes", "block_types")
        for name, one in schema["block"].get(group, {}).items()
        if one.get("deprecated") or one.get("block", {}).get("deprecated")
    }


def test_no_argument_is_deprecated(schemas: Any) -> None:
    wrong = []
    for path, text in sources():
        for kind, group in (("resource", "resource_schemas"), ("data", "data_source_schemas")):
            for name, body in blocks(text, kind):
                if not name.startswith("aws_"):
                    continue
                gone = deprecated(schemas[group][name]) | DEPRECATED_IN_6.get(name, set())
                wrong += [f"{path.name}: {name}.{one}" for one in gone if re.search(rf"^  {one}( *=| {{)", body, re.M)]
    assert wrong == []


def test_no_attribute_that_is_read_is_deprecated(schemas: Any) -> None:
    wrong = []
    for path, text in sources():
        for data_, name, attribute in re.findall(r"\b(data\.)?(aws_\w+)\.\w+(?:\[[^]]*\])?\.(\w+)", text):
            schema = schemas["data_source_schemas" if data_ else "resource_schemas"][name]
            if attribute in deprecated(schema) | DEPRECATED_IN_6.get(name, set()):
                wrong.append(f"{path.name}: {data_}{name}.{attribute}")
    assert wrong == []


def test_no_number_of_resources_waits_for_a_resource() -> None:
    """`terraform import` into an empty state refuses a count or for_each that needs resources to be known."""
    counts = [
        (path.name, line)
        for path, text in sources()
        for line in re.findall(r"^  (?:count|for_each) += .*$", text, re.M)
    ]
    assert len(counts) > 30
    assert [one for one in counts if re.search(r"(?<!data\.)\b(?:aws_\w+|terraform_data)\.", one[1])] == []


def test_no_local_is_marked_as_private() -> None:
    """Terraform itself has no private locals: every file of the module can read every local."""
    assert [(path.name, name) for path, text in sources() for name in re.findall(r"^  (_\w+) +=", text, re.M)] == []


def test_every_root_takes_the_provider_versions_that_the_module_takes() -> None:
    versions = [
        version
        for _, text in sources()
        for version in re.findall(r'source  = "hashicorp/aws"\s+version = "([^"]+)"', text)
    ]
    assert versions == [">= 5.100, < 7"] * 6  # module, four examples, local AWS

"""Uses of the module: HCL blocks in the documents, other Regions and partitions, examples that start runs."""

import json
import re
import shutil
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import jmespath
import pytest
from moto.events.models import EventPattern

from bedrock_batch.run_input import validate
from local.provision import ROOT
from release import manifest
from tests.terraform.workspace import MODULE, copy_module, published, released_zips, run_tests, terraform

pytestmark = pytest.mark.usefixtures("provider")

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted(MODULE.rglob("README.md"))]
OUR_SOURCE = re.compile(r'source += "(?:\./bedrock-batch/terraform|git::[^"]*//terraform(?:\?[^"]*)?)"')
MODULE_BLOCK = """module "batch" {{
  source = "../../terraform"

{arguments}
}}
"""
REQUIRED = {"name": '"reviews"', "models": '["amazon.nova-lite-v1:0"]'}


class Block(NamedTuple):
    """A block of HCL in a document, with the paragraph before it."""

    document: str
    before: str
    text: str

    @property
    def kind(self) -> str:
        """Return `module` if it has a whole module block, `resources` if it has others, else `arguments`."""
        kinds = re.findall(r"^(module|resource|data|output|locals|variable)\b", self.text, re.MULTILINE)
        return "module" if "module" in kinds else "resources" if kinds else "arguments"


def blocks() -> list[Block]:
    found = []
    for path in DOCUMENTS:
        text = path.read_text("utf-8")
        for match in re.finditer(r"^( *)```hcl\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL):
            before = text[: match.start()].strip().rpartition("\n\n")[2]
            found.append(Block(str(path.relative_to(ROOT)), before, textwrap.dedent(match[2])))
    return found


BLOCKS = blocks()


def roots() -> dict[str, str]:
    """Return root modules by a name: one for each module block, and one for what else a document has."""
    found = {}
    for document in dict.fromkeys(block.document for block in BLOCKS):
        own = [block for block in BLOCKS if block.document == document]
        name = re.sub(r"\W", "_", document)
        for number, block in enumerate(one for one in own if one.kind == "module"):
            text, times = OUR_SOURCE.subn('source = "../../terraform"', block.text)
            assert times, f"{document}: a module from a place that this test does not know."
            found[f"{name}_{number}"] = text
        arguments = "\n".join(block.text for block in own if block.kind == "arguments")
        resources = "\n".join(block.text for block in own if block.kind == "resources")
        if arguments or resources:
            missing = [
                f"{key} = {value}" for key, value in REQUIRED.items() if not re.search(rf"^{key} +=", arguments, re.M)
            ]
            found[name] = MODULE_BLOCK.format(arguments="\n".join([arguments, *missing])) + resources
    return found


ROOTS = roots()


# --- Other partitions


class Place(NamedTuple):
    partition: str
    region: str
    model: str
    dns_suffix: str = "amazonaws.com"


PLACES = {
    "another_region": Place("aws", "eu-west-3", "eu.anthropic.claude-haiku-4-5-20251001-v1:0"),
    "govcloud": Place("aws-us-gov", "us-gov-west-1", "us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    "china": Place("aws-cn", "cn-north-1", "global.anthropic.claude-haiku-4-5-20251001-v1:0", "amazonaws.com.cn"),
}


def inputs(place: Place) -> dict[str, Any]:
    """Return the inputs that make the most policies and name the most services."""

    def arn(service: str, name: str) -> str:
        return f"arn:{place.partition}:{service}:{place.region}:123456789012:{name}"

    return {
        "name": "reviews",
        "models": ["amazon.nova-lite-v1:0", place.model, arn("bedrock", "application-inference-profile/abc123")],
        "inputs": {
            "buckets": ["lake"],
            "locations": ["s3://archive/reviews/"],
            "kms_key_arns": [arn("kms", "key/lake")],
            "secret_arns": [arn("secretsmanager", "secret:hub-AbCdEf")],
        },
        "encryption": {
            "kms_key_arn": arn("kms", "key/ours"),
            "covers": ["data", "logs", "functions", "queue", "workflows"],
        },
        "network": {
            "subnet_ids": ["subnet-0123456789abcdef0"],
            "security_group_ids": ["sg-0123456789abcdef0"],
            "jobs": True,
        },
        "logging": {"tracing": True},
        "notifications": {"topic_arn": arn("sns", "runs")},
        "alarms": {"topic_arn": arn("sns", "runs")},
        "dashboard": True,
    }


def with_mocks(mocks: str, runs: dict[str, Any]) -> str:
    return json.dumps({"mock_provider": {"aws": {"source": f"./tests/{mocks}"}}, "run": runs})


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The result of `terraform test` for a root with all blocks and places."""
    root = tmp_path_factory.mktemp("uses")
    copy_module(root)
    (root / "main.tf").write_text("# Without a file, init takes a root for an empty one.\n")
    zips = released_zips(tmp_path_factory.mktemp("dist"))
    (root / "terraform" / "release.json").write_text(manifest.text(zips))
    mocks = (MODULE / "tests" / "mocks" / "aws.tfmock.hcl").read_text("utf-8")
    for name, place in PLACES.items():
        own = mocks.replace("arn:aws:", f"arn:{place.partition}:").replace("us-east-1", place.region)
        own = own.replace('partition = "aws"', f'partition = "{place.partition}"')
        own = own.replace('dns_suffix = "amazonaws.com"', f'dns_suffix = "{place.dns_suffix}"')
        (root / "tests" / name).mkdir(parents=True)
        (root / "tests" / name / "aws.tfmock.hcl").write_text(own)
        (root / "tests" / name / "published.tfmock.hcl").write_text(published(zips))
        runs = {name: {"module": {"source": "./terraform"}, "variables": inputs(place)}}
        (root / "tests" / f"{name}.tftest.json").write_text(with_mocks(name, runs))
    for name, text in ROOTS.items():
        (root / "documents" / name).mkdir(parents=True)
        (root / "documents" / name / "main.tf").write_text(text)
        # A root that does not name the provider gets no mock of it.
        shutil.copy(MODULE / "versions.tf", root / "documents" / name)
    planned = {name: {"command": "plan", "module": {"source": f"./documents/{name}"}} for name in ROOTS}
    started = {name: {"module": {"source": f"./terraform/examples/{name}"}} for name in ("on-schedule", "on-upload")}
    # A file each: Terraform skips what follows an error in a file.
    for name, one in {**planned, **started}.items():
        (root / "tests" / f"{name}.tftest.json").write_text(with_mocks("another_region", {name: one}))
    return list(run_tests(root, root / "data"))


def ended(said: list[dict[str, Any]], run: str) -> str:
    """Return how a run ended, with Terraform's complaints."""
    own = [message for message in said if message.get("@testrun") == run]
    status = [
        message["test_run"]["status"] for message in own if message.get("test_run", {}).get("progress") == "complete"
    ]
    words = [
        message["@message"] + " " + message["diagnostic"].get("detail", "")
        for message in own
        if "diagnostic" in message
    ]
    return "\n".join([*status, *words])


@pytest.mark.parametrize("name", ROOTS)
def test_every_block_of_the_documents_is_planned(said: list[dict[str, Any]], name: str) -> None:
    assert ended(said, name) == "pass"


def test_the_documents_have_blocks_and_all_are_marked_as_such() -> None:
    assert len(BLOCKS) >= 2
    for path in DOCUMENTS:
        plain = re.findall(r"^ *```(\w*)\n *(?:module|resource|variable) \"", path.read_text("utf-8"), re.MULTILINE)
        assert set(plain) <= {"hcl"}, path


def test_blocks_are_formatted(tmp_path: Path) -> None:
    for number, block in enumerate(BLOCKS):
        (tmp_path / f"{number}.tf").write_text(block.text)
    done = terraform("fmt", "-check", "-diff", data=tmp_path / "data", root=tmp_path)
    assert done.stdout == ""


def test_a_file_of_variables_sets_what_the_minimal_example_has() -> None:
    files = [block.text for block in BLOCKS if ".tfvars" in block.before]
    assert files
    example = (MODULE / "examples" / "minimal" / "variables.tf").read_text("utf-8")
    known = set(re.findall(r'^variable "(\w+)"', example, re.MULTILINE))
    for text in files:
        assert set(re.findall(r"^(\w+) +=", text, re.MULTILINE)) <= known


def made(said: list[dict[str, Any]], run: str) -> Any:
    """Return what an apply created: resources and data sources of the root and its modules, and outputs."""
    assert ended(said, run) == "pass"
    (found,) = [one["test_state"] for one in said if one.get("@testrun") == run and "test_state" in one]
    return {"root_module": found["root_module"], "outputs": found["outputs"]}


@pytest.mark.parametrize("name", PLACES)
def test_everything_is_of_the_partition_and_region(said: list[dict[str, Any]], name: str) -> None:
    place, text = PLACES[name], json.dumps(made(said, name))
    assert set(re.findall(r"arn:(aws[a-z-]*):", text)) == {place.partition}
    assert set(re.findall(r"\b(?:us|eu|cn)(?:-gov)?-(?:east|west|north)-\d\b", text)) == {place.region}


@pytest.mark.parametrize("name", PLACES)
def test_services_have_their_names_in_every_partition(said: list[dict[str, Any]], name: str) -> None:
    """Everything that the module names has the same name everywhere, except CloudWatch Logs in China."""
    services = set(re.findall(r'"([a-z][a-z0-9.-]*\.amazonaws\.com(?:\.cn)?)"', json.dumps(made(said, name))))
    assert services >= {f"{service}.amazonaws.com" for service in ("bedrock", "events", "lambda", "states")}
    chinese = {service for service in services if service.endswith(".cn")}
    assert chinese == {service for service in services if name == "china" and service.startswith("logs.")}


# --- What starts runs


def resource(said: list[dict[str, Any]], run: str, address: str) -> Any:
    """Return the attributes of one of the example's own resources."""
    (found,) = [one for one in made(said, run)["root_module"]["resources"] if one["address"] == address]
    return found["values"]


def may_start(said: list[dict[str, Any]], run: str) -> list[tuple[str, str]]:
    """Return actions and resources of the role that starts runs."""
    policy = json.loads(resource(said, run, "aws_iam_role_policy.start")["policy"])
    return [(one["Action"], one["Resource"]) for one in policy["Statement"]]


def machine(said: list[dict[str, Any]], run: str) -> str:
    return str(made(said, run)["outputs"]["run_state_machine_arn"]["value"])


def test_a_schedule_starts_a_run(said: list[dict[str, Any]]) -> None:
    (target,) = resource(said, "on-schedule", "aws_scheduler_schedule.nightly")["target"]
    bucket = made(said, "on-schedule")["outputs"]["runs_bucket_name"]["value"]
    assert validate.validate(json.loads(target["input"]))["s3_uri"] == f"s3://{bucket}/nightly/"
    assert may_start(said, "on-schedule") == [("states:StartExecution", target["arn"])]
    assert target["arn"] == machine(said, "on-schedule")


@pytest.mark.parametrize(
    ("run", "role", "condition"),
    [("on-schedule", "scheduler", "aws:SourceAccount"), ("on-upload", "events", "aws:SourceArn")],
)
def test_no_other_account_may_use_the_role(said: list[dict[str, Any]], run: str, role: str, condition: str) -> None:
    policy = json.loads(resource(said, run, f"aws_iam_role.{role}")["assume_role_policy"])
    (statement,) = policy["Statement"]
    ((given,),) = (conditions.items() for conditions in statement["Condition"].values())
    assert given[0] == condition and given[1]


# The example of the S3 User Guide ("EventBridge event message structure"), except bucket and key.
UPLOAD = {
    "version": "0",
    "id": "17793124-05d4-b198-2fde-7ededc63b103",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "account": "111122223333",
    "time": "2021-11-12T00:00:00Z",
    "region": "ca-central-1",
    "resources": ["arn:aws:s3:::runs"],
    "detail": {
        "version": "0",
        "bucket": {"name": "runs"},
        "object": {
            "key": "inbox/monday.csv",
            "size": 5,
            "etag": "b1946ac92492d2347c6235b4d2611184",
            "version-id": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
            "sequencer": "617f08299329d189",
        },
        "request-id": "N4N7GDK58NMKJ12R",
        "requester": "123456789012",
        "source-ip-address": "1.2.3.4",
        "reason": "PutObject",
    },
}


def upload(bucket: str, key: str, **other: Any) -> dict[str, Any]:
    event = json.loads(json.dumps(UPLOAD))
    event["detail"]["bucket"]["name"], event["detail"]["object"]["key"] = bucket, key
    return event | other


def test_the_rule_picks_uploads_and_nothing_that_a_run_writes(said: list[dict[str, Any]]) -> None:
    bucket = made(said, "on-upload")["outputs"]["runs_bucket_name"]["value"]
    pattern = EventPattern.load(resource(said, "on-upload", "aws_cloudwatch_event_rule.uploads")["event_pattern"])
    assert pattern.matches_event(upload(bucket, "inbox/monday.csv"))
    assert pattern.matches_event(upload(bucket, "inbox/2026/11/monday.csv"))
    assert not pattern.matches_event(upload("another", "inbox/monday.csv"))
    assert not pattern.matches_event(upload(bucket, "inbox/monday.parquet"))
    assert not pattern.matches_event(upload(bucket, "inbox/"))
    assert not pattern.matches_event(upload(bucket, "reviews/output/monday/part-00000.csv"))
    assert not pattern.matches_event(upload(bucket, "inbox/monday.csv", **{"detail-type": "Object Deleted"}))
    assert resource(said, "on-upload", "aws_s3_bucket_notification.runs")["bucket"] == bucket


def test_an_upload_starts_a_run_over_the_file(said: list[dict[str, Any]]) -> None:
    target = resource(said, "on-upload", "aws_cloudwatch_event_target.start")
    (transformer,) = target["input_transformer"]
    text = transformer["input_template"]
    for name, path in transformer["input_paths"].items():
        text = text.replace(f"<{name}>", jmespath.search(path.removeprefix("$."), UPLOAD))
    assert validate.validate(json.loads(text))["s3_uri"] == "s3://runs/inbox/monday.csv"
    assert may_start(said, "on-upload") == [("states:StartExecution", target["arn"])]
    assert target["arn"] == machine(said, "on-upload")

"""A second installation comes and goes, and nobody takes its runs away by mistake."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.process import Engine
from local.provision import LOCAL_ROOT, ROOT, Deployment
from tests.e2e.batch import client

pytestmark = pytest.mark.e2e

NAME = "transient"
BUILT = {"code": ROOT / "build" / "code.zip", "layer": ROOT / "build" / "local" / "layer.zip"}


DEFAULT_TAGS = {f"tag-{number:02}": "x" for number in range(11)}
"""One tag more than an object may have."""


def what_exists(engine: Engine) -> list[str]:
    """Return every resource of the kinds the module makes whose name starts with the installation's."""

    def ask(service: str, operation: str, result: str, **arguments: Any) -> list[Any]:
        found: list[Any] = getattr(client(engine, service), operation)(**arguments).get(result, [])
        return found

    names = [
        *(item["Name"] for item in ask("s3", "list_buckets", "Buckets")),
        *ask("dynamodb", "list_tables", "TableNames"),
        *(item["FunctionName"] for item in ask("lambda", "list_functions", "Functions")),
        *(item["LayerName"] for item in ask("lambda", "list_layers", "Layers")),
        *(item["name"] for item in ask("stepfunctions", "list_state_machines", "stateMachines")),
        *(item["Name"] for item in ask("events", "list_rules", "Rules")),
        *(url.rsplit("/", 1)[-1] for url in ask("sqs", "list_queues", "QueueUrls")),
        *(item["RoleName"] for item in ask("iam", "list_roles", "Roles", MaxItems=1000)),
        *(item["logGroupName"].rsplit("/", 1)[-1] for item in ask("logs", "describe_log_groups", "logGroups")),
        *(item["AlarmName"] for item in ask("cloudwatch", "describe_alarms", "MetricAlarms")),
        *(item["DashboardName"] for item in ask("cloudwatch", "list_dashboards", "DashboardEntries")),
    ]
    return sorted(name for name in names if name.startswith(NAME))


def varied(deployment: Deployment, **variables: Any) -> Deployment:
    return dataclasses.replace(deployment, variables={**deployment.variables, **variables})


@pytest.fixture(scope="module")
def zips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zips")
    for kind, path in BUILT.items():
        (folder / f"{kind}.zip").symlink_to(path)
        (folder / f"{kind}.json").symlink_to(path.with_suffix(".json"))
    return folder


@pytest.fixture
def no_zips(zips: Path) -> Iterator[None]:
    """The zips were moved after the module was applied."""
    aside = zips.rename(zips.with_name("aside"))
    yield
    aside.rename(zips)


@pytest.fixture(scope="module")
def surroundings(engine: Engine) -> dict[str, Any]:
    """What a company has around an installation, as inputs of the module that name it."""
    topic = client(engine, "sns").create_topic(Name="people")["TopicArn"]
    client(engine, "s3").create_bucket(Bucket="access-logs")
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    policy = client(engine, "iam").create_policy(PolicyName="boundary", PolicyDocument=json.dumps(everything))
    return {
        "bucket": {"access_log": {"bucket": "access-logs", "prefix": f"{NAME}/"}},
        "logging": {"tracing": True},
        "notifications": {"topic_arn": topic},
        "alarms": {"topic_arn": topic},
        "dashboard": True,
        "roles": {"path": "/batch/", "permissions_boundary_arn": policy["Policy"]["Arn"]},
    }


@pytest.fixture(scope="module")
def kept(
    engine: Engine,
    terraform_points_here: None,
    zips: Path,
    surroundings: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployment]:
    """An installation like a company's: everything that it can do is switched on, and nothing may be destroyed.

    The provider has eleven default tags, and the module block a `depends_on`. Every test leaves it as it was.
    """
    deployment = Deployment(
        root=LOCAL_ROOT,
        work=tmp_path_factory.mktemp("kept"),
        url=engine.url,
        variables={
            "name": NAME,
            "models": ["amazon.nova-lite-v1:0"],
            "force_destroy": False,
            "default_tags": DEFAULT_TAGS,
            "revision": "first",
            "package": {f"{kind}_path": str(zips / f"{kind}.zip") for kind in BUILT},
            **surroundings,
        },
    )
    assert deployment.apply()["run_state_machine_arn"].endswith(f":{NAME}-run")
    yield deployment
    freed = varied(deployment, force_destroy=True)
    freed.apply()
    freed.destroy()
    assert what_exists(engine) == []


@pytest.fixture(scope="module")
def bucket(engine: Engine, kept: Deployment) -> str:
    return next(name for name in what_exists(engine) if name.startswith(f"{NAME}-runs-"))


def test_everything_is_switched_on(engine: Engine, surroundings: dict[str, Any], kept: Deployment, bucket: str) -> None:
    assert len(what_exists(engine)) > 35
    log = client(engine, "s3").get_bucket_logging(Bucket=bucket)["LoggingEnabled"]
    assert (log["TargetBucket"], log["TargetPrefix"]) == ("access-logs", f"{NAME}/")
    alarms = client(engine, "cloudwatch").describe_alarms(AlarmNamePrefix=f"{NAME}-")["MetricAlarms"]
    topic = surroundings["alarms"]["topic_arn"]
    assert len(alarms) == 10 and all(alarm["AlarmActions"] == [topic] for alarm in alarms)
    body = client(engine, "cloudwatch").get_dashboard(DashboardName=f"{NAME}-us-east-1")["DashboardBody"]
    assert len(json.loads(body)["widgets"]) == 10
    functions = client(engine, "lambda").list_functions()["Functions"]
    modes = {one["TracingConfig"]["Mode"] for one in functions if one["FunctionName"].startswith(f"{NAME}-")}
    assert modes == {"Active"}
    iam = client(engine, "iam")
    roles = [role["RoleName"] for role in iam.list_roles(PathPrefix="/batch/")["Roles"]]
    assert len(roles) == 14
    boundary = surroundings["roles"]["permissions_boundary_arn"]
    for role in roles:
        set_to = iam.get_role(RoleName=role)["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"]
        assert set_to == boundary


def test_default_tags_reach_jobs(engine: Engine, kept: Deployment, bucket: str) -> None:
    settings = client(engine, "s3").get_object(Bucket=bucket, Key=f"{NAME}/config/settings.json")["Body"].read()
    assert json.loads(settings)["tags"] == DEFAULT_TAGS


def test_the_bucket_is_kept_in_order(engine: Engine, kept: Deployment, bucket: str) -> None:
    rules = client(engine, "s3").get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert sorted(rules, key=lambda rule: str(rule["ID"])) == [
        {
            "ID": "delete-old-work",
            "Status": "Enabled",
            "Filter": {"Prefix": f"{NAME}/work/"},
            "Expiration": {"Days": 90},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        },
        {
            "ID": "housekeeping",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "Expiration": {"ExpiredObjectDeleteMarker": True},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
    ]


def test_a_change_that_the_module_depends_on_replaces_nothing(kept: Deployment) -> None:
    changes = varied(kept, revision="second").pending_changes("-refresh=false")
    assert "update terraform_data.revision[0]" in changes
    assert [change for change in changes if not change.startswith("update ")] == []


@pytest.mark.usefixtures("no_zips")
def test_only_what_changes_the_code_needs_the_zips(engine: Engine, kept: Deployment, tmp_path: Path) -> None:
    planned = " ".join(kept.call("plan", "-input=false", "-refresh=false").split())
    assert "No changes." in planned
    assert "the functions' code as it is" in planned
    kept.call("plan", "-input=false", "-refresh-only")
    assert "to destroy" in kept.call("plan", "-input=false", "-destroy", "-refresh=false")
    empty = dataclasses.replace(kept, work=tmp_path)
    empty.init()
    empty.call("import", "module.batch.aws_iam_role.service", f"{NAME}-service-us-east-1")
    with pytest.raises(RuntimeError, match="make package"):
        empty.call("plan", "-input=false")


def test_a_destroy_stops_before_it_touches_anything(engine: Engine, kept: Deployment, bucket: str) -> None:
    s3 = client(engine, "s3")
    keys = [f"{NAME}/output/a/part-00000.parquet", f"{NAME}/output/a/part-00001.parquet"]
    for key in keys * 2:
        s3.put_object(Bucket=bucket, Key=key, Body=b"paid for")
    s3.delete_object(Bucket=bucket, Key=keys[1])
    before = what_exists(engine)
    with pytest.raises(RuntimeError, match="explicit deny in a resource-based policy") as refused:
        kept.destroy()
    assert "aws_dynamodb_table_item.installation" in str(refused.value)
    assert what_exists(engine) == before
    assert kept.pending_changes() == [], "neither the apply nor the destroy has left anything to do"
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    assert "RefusePlainHttp" in s3.get_bucket_policy(Bucket=bucket)["Policy"]
    assert len(s3.list_object_versions(Bucket=bucket, Prefix=f"{NAME}/output/")["Versions"]) == 4

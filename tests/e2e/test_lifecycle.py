"""A second installation comes and goes: the plan after its apply is empty, and its destroy leaves nothing."""

from pathlib import Path
from typing import Any

import boto3
import pytest

from local.process import Engine
from local.provision import LOCAL_ROOT, Deployment

pytestmark = pytest.mark.e2e

NAME = "transient"


def what_exists(engine: Engine) -> list[str]:
    """Return every resource of the kinds the module makes whose name starts with the installation's."""
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")

    def ask(service: str, operation: str, result: str, **arguments: Any) -> list[Any]:
        client = session.client(service, endpoint_url=engine.url)
        found: list[Any] = getattr(client, operation)(**arguments).get(result, [])
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
    ]
    return sorted(name for name in names if name.startswith(NAME))


@pytest.mark.usefixtures("terraform_points_here")
def test_apply_plan_destroy(engine: Engine, tmp_path: Path) -> None:
    deployment = Deployment(
        root=LOCAL_ROOT, work=tmp_path, url=engine.url, variables={"name": NAME, "models": ["amazon.nova-lite-v1:0"]}
    )
    outputs = deployment.apply()
    assert outputs["run_state_machine_arn"].endswith(f":{NAME}-run")
    assert len(what_exists(engine)) > 25
    assert deployment.pending_changes() == []
    deployment.destroy()
    assert what_exists(engine) == []

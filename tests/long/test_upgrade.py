"""From the state of 0.1 to this version, as in docs/upgrading.md: no resource with data is replaced.

state_0_1.json is what Terraform wrote when 0.1 was applied to the local AWS: without null values, with short policies
and definitions, and with two of the functions. The provider itself decides what it would replace.
"""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from local.process import Engine
from local.provision import LOCAL_ROOT, Deployment
from tests.e2e.batch import Batch, client
from tests.e2e.test_recovery import start
from tests.terraform.test_module import PROVIDER

pytestmark = [pytest.mark.e2e, pytest.mark.long]

RECORDED: list[dict[str, Any]] = json.loads((Path(__file__).parent / "state_0_1.json").read_text("utf-8"))
PROVIDERS = {"terraform_data": "terraform.io/builtin/terraform"}
NAME = "reviews"
BUCKET, TABLE = f"{NAME}-runs-000000000000-us-east-1", f"{NAME}-inventory"

# Zips and settings, which get other keys, and the layer's version, which is made from a zip.
REPLACED = {
    f"replace module.batch.{address}"
    for address in (
        'aws_s3_object.package["code"]',
        'aws_s3_object.package["layer"]',
        "aws_s3_object.settings",
        "aws_lambda_layer_version.libraries[0]",
    )
}


@pytest.fixture
def upgrade(engine: Engine, terraform_points_here: None, tmp_path: Path) -> Deployment:
    """This version, with the state of 0.1."""
    resources = [{**one, "provider": f'provider["{PROVIDERS.get(one["type"], PROVIDER)}"]'} for one in RECORDED]
    state = {"version": 4, "terraform_version": "1.9.0", "serial": 1, "lineage": "0-1", "outputs": {}}
    (tmp_path / "terraform.tfstate").write_text(json.dumps(state | {"resources": resources}))
    variables = {
        "name": NAME,
        "models": ["amazon.nova-lite-v1:0"],
        "prompts": {"sentiment": "Judge {review}"},
        "notifications": {
            "topic_arn": client(engine, "sns").create_topic(Name="runs")["TopicArn"],
            "on": ["SUCCEEDED_WITH_WARNINGS", "FAILED", "TIMED_OUT", "ABORTED"],
        },
        "force_destroy": False,
    }
    made = Deployment(LOCAL_ROOT, tmp_path, engine.url, variables)
    made.init()
    return made


@pytest.fixture
def data(engine: Engine) -> dict[str, bytes]:
    """What an installation of 0.1 left: objects in its bucket, and an item in its table."""
    s3, dynamodb = client(engine, "s3"), client(engine, "dynamodb")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    objects = {f"runs/old/{name}": name.encode() for name in ("output/part-00000.parquet", "report.json")}
    for key, body in objects.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    (table,) = (one["instances"][0]["attributes"] for one in RECORDED if one["type"] == "aws_dynamodb_table")
    dynamodb.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": table["hash_key"], "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": one["name"], "AttributeType": one["type"]} for one in table["attribute"]
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": one["name"],
                "KeySchema": [
                    {"AttributeName": one["hash_key"], "KeyType": "HASH"},
                    {"AttributeName": one["range_key"], "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": one["projection_type"]},
            }
            for one in table["global_secondary_index"]
        ],
        DeletionProtectionEnabled=True,
    )
    dynamodb.put_item(
        TableName=TABLE, Item={"pk": {"S": "run/old"}, "run_id": {"S": "old"}, "status": {"S": "SUCCEEDED"}}
    )
    return objects


def test_the_plan_replaces_zips_and_settings_alone(upgrade: Deployment) -> None:
    changes = set(upgrade.pending_changes("-refresh=false"))
    assert {change for change in changes if change.startswith(("delete ", "replace "))} == REPLACED
    recorded = {
        f"module.batch.{one['type']}.{one['name']}"
        + (f'["{key}"]' if isinstance(key, str) else "[0]" if key == 0 else "")
        for one in RECORDED
        for key in (instance.get("index_key") for instance in one["instances"])
    }
    assert len(recorded) > 40
    assert {change for change in changes if change.removeprefix("create ") in recorded} == set(), (
        "they are there already"
    )


def test_the_apply_leaves_old_data_and_new_runs_begin(
    upgrade: Deployment, data: dict[str, bytes], engine: Engine
) -> None:
    before = time.time()
    batch = Batch(engine, upgrade.apply())
    assert upgrade.pending_changes() == []
    assert batch.bucket == BUCKET
    assert {key: batch.read(key) for key in batch.keys("runs/")} == data
    described = client(engine, "dynamodb").describe_table(TableName=TABLE)["Table"]
    assert described["CreationDateTime"].timestamp() < before
    assert batch.inventory("old").keys() == {"run/old"}
    ended = batch.wait(start(batch, "new", 120))
    assert (ended.status, ended.cause) == ("SUCCEEDED", "")
    assert batch.table("new").num_rows == 120

"""An installation is found by its name, and its files lie where the module puts them."""

import re
from pathlib import Path
from typing import Any

import boto3
import pytest

from bedrock_batch import keys
from bedrock_batch_client import attach
from bedrock_batch_client import installation as room
from bedrock_batch_client.api import Batch
from bedrock_batch_client.errors import Mistake, NoPermission, NotFound
from bedrock_batch_client.installation import Installation
from bedrock_batch_client.parts import safe
from tests.client import fakes

ROOT = Path(__file__).parents[2]


def found(services: fakes.Aws, monkeypatch: pytest.MonkeyPatch, name: str = "reviews") -> Installation:
    monkeypatch.setattr(room, "Clients", lambda *_: services)
    return room.find(name, region="us-east-1")


def test_one_call_says_where_everything_is(services: fakes.Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    there = found(services, monkeypatch)
    assert (there.bucket, there.root, there.uploads) == (fakes.BUCKET, fakes.ROOT, "datasets/")
    assert services.count() == 1


def test_the_item_is_what_terraform_writes() -> None:
    source = (ROOT / "terraform" / "installation.tf").read_text("utf-8")
    item = source[source.index("item = jsonencode(") : source.index("depends_on")]
    written = dict(re.findall(r"(\w+) += \{ ([SN]) = ", item))
    assert written == {name: next(iter(value)) for name, value in fakes.ITEM.items()}
    assert f'contract              = {{ N = "{room.CONTRACT}" }}' in item


@pytest.mark.parametrize("more", [{"region": "us-east-1"}, {"profile": "me"}])
def test_a_session_has_its_own_region_and_profile(more: dict[str, str]) -> None:
    with pytest.raises(Mistake, match="either session, or profile and region"):
        Batch("reviews", session=boto3.Session(region_name="eu-west-1"), **more)


def test_keys_are_those_of_the_module(at: Installation) -> None:
    run = keys.RunKeys(fakes.ROOT, "monday")
    assert at.output_prefix("monday") == run.output_folder()
    assert at.report_key("monday") == run.report
    assert at.report_key("monday", "estimate.json") == run.estimate
    folder = keys.model_folder("bedrock_", "arn:aws:bedrock:us-east-1:1:custom-model/a.b_c")
    assert folder.partition("=")[2] == safe("arn:aws:bedrock:us-east-1:1:custom-model/a.b_c")


def test_a_name_that_is_not_there(services: fakes.Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match="no installation 'review' in the Region us-east-1.*no table review-inventory"):
        found(services, monkeypatch, "review")


def test_a_table_that_one_may_not_read_may_not_be_there(services: fakes.Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    services.dynamodb.failing["GetItem"] = fakes.error("GetItem", "AccessDeniedException", "no")
    with pytest.raises(NoPermission, match="no installation 'review'.*dynamodb:GetItem.*review-inventory"):
        found(services, monkeypatch, "review")


def test_an_installation_of_before(services: fakes.Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    services.dynamodb.items.clear()
    with pytest.raises(NotFound, match="Apply the module again"):
        found(services, monkeypatch)


def test_an_installation_of_the_future(services: fakes.Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    services.dynamodb.items = {"installation": fakes.ITEM | {"contract": {"N": "2"}}}
    with pytest.raises(Mistake, match="install a newer client"):
        found(services, monkeypatch)


def test_the_region_of_the_environment(services: fakes.Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions: list[boto3.Session] = []
    monkeypatch.setattr(room, "Clients", lambda session, _: sessions.append(session) or services)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-2")
    monkeypatch.setenv("AWS_REGION", "")
    room.find("reviews")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    room.find("reviews")
    room.find("reviews", region="us-west-2")
    assert [session.region_name for session in sessions] == ["us-east-2", "eu-west-1", "us-west-2"]


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ({"region": "us-east-1", "endpoint_url": "localhost"}, "Invalid endpoint: localhost.*https://"),
        ({"region": "us_east"}, "'us_east' doesn't match a supported format. Name another"),
    ],
)
def test_a_place_that_cannot_be(where: dict[str, str], words: str) -> None:
    with pytest.raises(Mistake, match=words):
        room.find("reviews", **where)


def test_no_credentials_no_region_no_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    with pytest.raises(Mistake, match="No Region is set. Set the variable AWS_REGION"):
        room.find("reviews", session=boto3.Session())
    with pytest.raises(NoPermission, match="credentials.*name a profile.$"):
        room.find("reviews", region="us-east-1")
    with pytest.raises(Mistake, match="gone"):
        room.find("reviews", profile="gone", region="us-east-1")


@pytest.mark.parametrize("name", ["", "a b", "Reviews", "ä", "arn:aws:dynamodb:us-east-1:1:table/x"])
def test_a_name_that_no_installation_has(services: fakes.Aws, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """DynamoDB answers such a name with a ValidationException, or looks for the table of the ARN."""
    monkeypatch.setattr(room, "Clients", lambda *_: services)
    with pytest.raises(NotFound, match="lower-case letters"):
        room.find(name, region="us-east-1")
    assert services.count() == 0


def test_attach_takes_the_name_of_the_environment(batch: Batch, services: fakes.Aws, monkeypatch: Any) -> None:
    services.states.put("monday")
    monkeypatch.delenv("BEDROCK_BATCH_NAME", raising=False)
    with pytest.raises(Mistake, match="BEDROCK_BATCH_NAME"):
        attach("monday")
    monkeypatch.setenv("BEDROCK_BATCH_NAME", "reviews")
    assert attach("monday", region="us-east-1").name == "monday"
    assert attach("monday", name="reviews", region="us-east-1").batch.installation.name == "reviews"

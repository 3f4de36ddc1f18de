"""Find an installation by its name: one item of its inventory says where everything is."""

import functools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import InvalidRegionError

from bedrock_batch_client.errors import Mistake, NoCredentials, NoPermission, NotFound, calling

CONTRACT = 1
"""Of the item. terraform/installation.tf raises it when an attribute changes its name or its meaning."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 6},
    connect_timeout=10,
    read_timeout=60,
    user_agent_extra="bedrock-batch-client",
)


class Clients:
    """The AWS clients of a session, each made when it is first needed."""

    def __init__(self, session: boto3.Session, endpoint_url: str | None = None) -> None:
        self._session = session
        self._endpoint_url = endpoint_url

    def _make(self, service: str) -> Any:
        make: Any = self._session.client
        with calling(f"{service}:*", "*"):
            try:
                return make(service, endpoint_url=self._endpoint_url, config=_CONFIG)
            except InvalidRegionError:
                raise
            except ValueError as err:
                raise Mistake(f"{err}. An endpoint is an address such as https://host:port.") from err

    @functools.cached_property
    def dynamodb(self) -> Any:
        return self._make("dynamodb")

    @functools.cached_property
    def states(self) -> Any:
        return self._make("stepfunctions")

    @functools.cached_property
    def bedrock(self) -> Any:
        return self._make("bedrock")

    @functools.cached_property
    def s3(self) -> Any:
        return self._make("s3")


@dataclass(frozen=True, slots=True)
class Installation:
    """An installation of the module, as its item has it; `uploads` is empty where tables have no place in it."""

    name: str
    bucket: str
    root: str
    run_state_machine_arn: str
    uploads: str
    table: str
    aws: Clients = field(repr=False, compare=False)

    def execution_arn(self, run: str) -> str:
        return self.run_state_machine_arn.replace(":stateMachine:", ":execution:") + f":{run}"

    def output_prefix(self, run: str) -> str:
        """Return the prefix of a run's table, with the slash at its end."""
        return f"{self.root}/output/{run}/"

    def report_key(self, run: str, name: str = "report.json") -> str:
        """Return the key of a file beside the report of a run."""
        return f"{self.root}/reports/{run}/{name}"

    def object_arn(self, key: str) -> str:
        """Return what IAM calls an object of the bucket."""
        partition = self.run_state_machine_arn.split(":")[1]
        return f"arn:{partition}:s3:::{self.bucket}/{key}"


def find(
    name: str,
    *,
    profile: str | None = None,
    region: str | None = None,
    endpoint_url: str | None = None,
    session: boto3.Session | None = None,
) -> Installation:
    """Return the installation of a name, in the account and Region of the session.

    Raises NotFound where there is none, and Mistake where it needs a newer client.
    """
    if not _NAME.fullmatch(name):  # DynamoDB refuses such a name, or takes it for an ARN.
        raise NotFound(f"There is no installation {name!r}: names have lower-case letters, digits and single hyphens.")
    with calling("sts:AssumeRole", "*"):
        if session and (profile or region):
            raise Mistake("Give either session, or profile and region: a session has both.")
        # boto3 reads AWS_DEFAULT_REGION alone; Terraform and the AWS CLI read AWS_REGION first.
        region = region or os.environ.get("AWS_REGION") or None
        session = session or boto3.Session(profile_name=profile, region_name=region)
    aws = Clients(session, endpoint_url)
    table = f"{name}-inventory"
    where = f"in the Region {session.region_name}"
    try:
        with calling("dynamodb:GetItem", f"the table {table}"):
            item = aws.dynamodb.get_item(TableName=table, Key={"pk": {"S": "installation"}}).get("Item")
    except NotFound as err:
        raise NotFound(
            f"There is no installation {name!r} {where} of this account: it has no table {table}. "
            "Check the name, the Region and the profile."
        ) from err
    except NoCredentials:
        raise
    except NoPermission as err:  # IAM does not say whether a table exists that one may not read
        raise NoPermission(
            f"There is no installation {name!r} {where} of this account, or you may not see it. {err}"
        ) from err
    if not item:
        raise NotFound(
            f"The table {table} {where} does not say where the installation is: an older version of the module made "
            "it. Apply the module again."
        )
    return _read(plain(item), table, aws)


def _read(item: Mapping[str, Any], table: str, aws: Clients) -> Installation:
    contract = int(item.get("contract", 0))
    if contract > CONTRACT:
        raise Mistake(
            f"The installation {item.get('name')!r} has contract {contract}, and this client reads {CONTRACT}: install "
            "a newer client."
        )
    return Installation(
        name=item["name"],
        bucket=item["bucket"],
        root=item["root"],
        run_state_machine_arn=item["run_state_machine_arn"],
        uploads=item.get("uploads", ""),
        table=table,
        aws=aws,
    )


def plain(item: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return an item of texts and numbers as plain values: a number stays the text that DynamoDB has."""
    return {name: next(iter(value.values())) for name, value in item.items()}

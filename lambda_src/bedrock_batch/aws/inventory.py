"""Read the inventory. The state machines write it."""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Inventory:
    """The inventory: `client` of DynamoDB, and the table's name."""

    client: Any
    table: str

    def running_since(self, run_id: str) -> dict[str, datetime]:
        """Return when each job of a run began to run, by the job's name: the time at which Bedrock's event came.

        These times are for the report alone. A job that never ran, or whose event was lost, has none. If the inventory
        cannot be read, no job has one.
        """
        pages = self.client.get_paginator("query").paginate(
            TableName=self.table,
            IndexName="by_run",
            KeyConditionExpression="run_id = :run_id AND begins_with(pk, :job)",
            ExpressionAttributeValues={":run_id": {"S": run_id}, ":job": {"S": "job/"}},
            # The role may ask for no others: a job's item has a task token.
            ProjectionExpression="pk, running_at",
            Select="SPECIFIC_ATTRIBUTES",
        )
        try:
            return {
                item["pk"]["S"].removeprefix("job/"): datetime.fromisoformat(item["running_at"]["S"])
                for page in pages
                for item in page["Items"]
                if "running_at" in item
            }
        except (BotoCoreError, ClientError) as err:
            why = type(err).__name__
            _LOG.warning("the starts of jobs are not known", extra={"run_id": run_id, "why": why})
            return {}

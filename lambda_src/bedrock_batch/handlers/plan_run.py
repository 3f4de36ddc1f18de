"""Plan run: check the run input, describe the table, cut it into shards, and write it all to `run.json`."""

import math
import os
from typing import Any

from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3, split_uri
from bedrock_batch.contracts.settings import Settings
from bedrock_batch.contracts.state import RunState
from bedrock_batch.handlers.edge import at_edge
from bedrock_batch.plan.plan_run import plan_run


@at_edge
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the run's state: references and counts.

    The event is the result of `claim_run` and the run's `input`.
    """
    s3 = S3(clients.s3())
    settings = Settings.read(s3.get_json(*split_uri(os.environ["SETTINGS_URI"])))
    time_left = getattr(context, "get_remaining_time_in_millis", None)
    seconds = time_left() / 1000 if time_left else math.inf
    state = RunState.from_json(event)
    quotas = clients.client("service-quotas")
    return plan_run(s3, quotas, state, settings=settings, input=event["input"], seconds=seconds).to_json()

"""Review run: add up the prepared shards, refuse a run over its budget, decide what to do first."""

from typing import Any

from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.state import RunState
from bedrock_batch.handlers.edge import at_edge
from bedrock_batch.run.review_run import review_run


@at_edge
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the run's state with the estimate and with `next`, the first thing to do."""
    return review_run(S3(clients.s3()), clients.client("bedrock"), RunState.from_json(event)).to_json()

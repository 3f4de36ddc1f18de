"""Prepare shard: write one shard's frame, and the JSONL that Bedrock reads."""

from typing import Any

from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import PlannedShard
from bedrock_batch.handlers.edge import at_edge
from bedrock_batch.records.prepare_shard import prepare_shard


@at_edge
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return `PreparedShard`; the event is a line of `plan.jsonl`."""
    return prepare_shard(S3(clients.s3()), PlannedShard.from_json(event)).to_json()

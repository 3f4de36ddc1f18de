"""Prepare shard: render one shard's rows to the JSONL that Bedrock reads."""

from typing import Any

from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import Shard
from bedrock_batch.handlers.edge import at_edge
from bedrock_batch.records.prepare_shard import prepare_shard


@at_edge
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return `Prepared`; the event is a line of `plan.jsonl`."""
    return prepare_shard(S3(clients.s3()), Shard.from_json(event)).to_json()

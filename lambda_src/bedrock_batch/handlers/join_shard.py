"""Join shard: match the answers of a shard's jobs with its rows, and write its part of the output table."""

import os
from typing import Any

from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import ShardJoin
from bedrock_batch.handlers.edge import at_edge
from bedrock_batch.join.held_answers import held_bytes
from bedrock_batch.join.join_shard import join_shard


@at_edge
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the shard's counts and the key of its part, as `Joined`; the event is a `ShardJoin`."""
    memory_bytes = int(os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]) << 20
    held = held_bytes(memory_bytes)
    return join_shard(S3(clients.s3()), ShardJoin.from_json(event), held_bytes=held).to_json()

"""Pool leftovers: write the input file of a job that answers the leftovers of many shards."""

from typing import Any

from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import Pool
from bedrock_batch.errors import after_spend
from bedrock_batch.handlers.edge import at_edge
from bedrock_batch.records.pool_leftovers import pool_leftovers


@at_edge
def handler(event: dict[str, Any], context: object) -> dict[str, int]:
    """Return the number of records and bytes written; the event is the `pool` of a line of `jobs-*.jsonl`."""
    with after_spend(
        "No job was created for these records, and none of them was paid again. They stay without an answer until the "
        "next round, or a new run over the rows without an answer, sends them."
    ):
        return pool_leftovers(S3(clients.s3()), Pool.from_json(event))

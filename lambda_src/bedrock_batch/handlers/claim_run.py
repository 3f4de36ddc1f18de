"""Claim run: the first act of a run. Its execution takes the name, or is refused where another one has it."""

from typing import Any

from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.handlers.edge import at_edge
from bedrock_batch.run.claim_run import claim_run


@at_edge
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return what the claim says with where the run lies; the event holds the same, and is what the claim would say."""
    return claim_run(S3(clients.s3()), **event)

"""Claim run: the first act of a run. Its execution takes the name, or is refused where another one has it."""

from typing import Any

from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.claim import Claim
from bedrock_batch.contracts.state import RunState
from bedrock_batch.handlers.edge import at_edge
from bedrock_batch.run.claim_run import claim_run


@at_edge
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the state that the run begins with; the event has it, and what the claim is to say."""
    return claim_run(S3(clients.s3()), RunState.from_json(event), Claim.from_json(event)).to_json()

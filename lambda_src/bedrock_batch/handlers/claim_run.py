"""Claim run, the first step of a run: its execution gets the run's name, or is refused if another one has it."""

from typing import Any

from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.claim import Claim
from bedrock_batch.contracts.state import RunState
from bedrock_batch.handlers.edge import at_edge
from bedrock_batch.run.claim_run import claim_run


@at_edge
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the run's first state. The event has that state and the content of the claim."""
    return claim_run(S3(clients.s3()), RunState.from_json(event), Claim.from_json(event)).to_json()

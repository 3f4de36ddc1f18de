"""Gather leftovers: find the records without an answer, decide what to do about them, and write the next lines."""

from typing import Any

from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.state import RunState, Stopped
from bedrock_batch.errors import after_spend
from bedrock_batch.handlers.edge import at_edge
from bedrock_batch.run import salvage
from bedrock_batch.run.gather_leftovers import gather_leftovers


@at_edge
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the run's state with `next`: run_jobs, answer, join or finish, and the key of the Map's items.

    With `salvage` the event is `Stopped`, and `next` is join or end.
    """
    s3, bedrock = S3(clients.s3()), clients.client("bedrock")
    given = Stopped.from_json(event) if event.get("salvage") else RunState.from_json(event)
    raw = f"s3://{given.bucket}/{given.keys.raw_folder}"
    with after_spend(
        f"All answers so far are kept in {raw}. A redrive goes on from here and pays only for records without an "
        "answer."
    ):
        if isinstance(given, Stopped):
            return salvage.gather(s3, bedrock, given).to_json()
        return gather_leftovers(s3, bedrock, given).to_json()

"""Finish run: reconcile rows in and rows out, judge whether too many rows failed, write the report."""

from typing import Any

from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.state import RunState
from bedrock_batch.errors import after_spend
from bedrock_batch.handlers.edge import at_edge
from bedrock_batch.run.finish_run import finish_run


@at_edge
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the run's result: where output and report lie, and the counts.

    With `salvage` the run was stopped: its report says how it `ended` and is not judged.
    """
    state = RunState.from_json(event)
    keys, where = state.keys, f"s3://{state.bucket}"
    kept = "Nothing was spent"
    if not state.dry_run:
        kept = f"The table is kept in {where}/{keys.output_folder()}, all answers in {where}/{keys.raw_folder}"
    with after_spend(f"{kept}; a redrive counts again, asks the model nothing and costs nothing."):
        return finish_run(S3(clients.s3()), clients.client("bedrock"), state)

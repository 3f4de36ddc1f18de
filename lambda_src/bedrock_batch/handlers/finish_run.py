"""Finish run: check that all rows are in the output, decide whether too many failed, write the report."""

import os
from typing import Any

from bedrock_batch.aws import clients
from bedrock_batch.aws.inventory import Inventory
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.state import RunState
from bedrock_batch.errors import after_spend
from bedrock_batch.handlers.edge import at_edge
from bedrock_batch.run.finish_run import finish_run


@at_edge
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the run's result: the places of output and report, and the counts.

    With `salvage` the run was stopped: its report has `ended`, and the number of failed rows is not checked.
    """
    state = RunState.from_json(event)
    keys, where = state.keys, f"s3://{state.bucket}"
    kept = "Nothing was spent"
    if not state.dry_run:
        kept = f"The table is kept in {where}/{keys.output_folder()}, all answers in {where}/{keys.raw_folder}"
    with after_spend(f"{kept}. A redrive only counts again; it calls no model, so it costs no tokens."):
        inventory = Inventory(clients.client("dynamodb"), os.environ["INVENTORY_TABLE_NAME"])
        return finish_run(S3(clients.s3()), clients.client("bedrock"), inventory, state)

"""Step Functions for the local AWS: an interpreter for JSONata state machines behind MiniStack's own API.

MiniStack keeps the control plane: machines, versions, aliases, tags, lists, histories. Running is ours, because what
its interpreter lacks (Bedrock calls, ResultWriter, redrive, time-outs, real child executions, IAM) runs through all
of it. Not there, and refused: JSONPath, activities, `.sync`, and any field that `asl.py` does not name.
"""

import json
from typing import Any

from ministack.core import iam_actions
from ministack.services import stepfunctions as engine

from .api import start_from_engine, wrap
from .executions import forget_executions
from .map_run import forget_map_runs


def install(app: Any) -> None:
    """Put the interpreter behind the gateway's `states` handler, and behind EventBridge's and a reset's way in."""
    app.SERVICE_HANDLERS["states"] = wrap(app.SERVICE_HANDLERS["states"])
    engine._start_execution = start_from_engine  # EventBridge, Scheduler and Pipes call it directly
    _check_map_runs_on_their_arns()
    forget_records = engine.reset

    def reset() -> None:
        forget_executions()
        forget_map_runs()
        forget_records()

    engine.reset = reset


def _check_map_runs_on_their_arns() -> None:
    """Let the engine's IAM check calls about a Map Run on its ARN, as AWS does; the engine checks them on `*`."""
    engines_own = iam_actions.extract_resource_arn

    def resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> str:
        found = str(engines_own(service, method, path, headers, body, query, region, account))
        if service == "states" and found == "*":
            return str(json.loads(body or b"{}").get("mapRunArn", found))
        return found

    iam_actions.extract_resource_arn = resource_arn

"""Step Functions for the local AWS: an interpreter for JSONata state machines behind MiniStack's own API.

MiniStack keeps the control plane: machines, versions, aliases, tags, lists, histories. Running is ours, because what
its interpreter lacks (Bedrock calls, ResultWriter, redrive, time-outs, real child executions, IAM) runs through all
of it. Not there, and refused: JSONPath, activities, `.sync`, and any field that `asl.py` does not name.
"""

from typing import Any

from ministack.services import stepfunctions as engine

from .api import start_from_engine, wrap
from .executions import forget_executions
from .map_run import forget_map_runs


def install(app: Any) -> None:
    """Put the interpreter behind the gateway's `states` handler, and behind EventBridge's and a reset's way in."""
    app.SERVICE_HANDLERS["states"] = wrap(app.SERVICE_HANDLERS["states"])
    engine._start_execution = start_from_engine  # EventBridge, Scheduler and Pipes call it directly
    forget_records = engine.reset

    def reset() -> None:
        forget_executions()
        forget_map_runs()
        forget_records()

    engine.reset = reset

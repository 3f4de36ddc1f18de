"""The local Step Functions with a script in place of the services that Tasks call; S3 of the Maps stays real.

Run by the engine's Python: `python -m tests.asl.scripted FOLDER --with-parent`. FOLDER holds a `<run>.json` for each
run, which gives every Task state a list of answers, taken one after another:

    {"Create job": [{"error": "Bedrock.ThrottlingException", "times": 3}, {"result": {"JobArn": "…"}}],
     "Wait for job/2": [{"park": null}, {"park": 0.05}]}

A name with the number of a shard, job or chunk wins over the name alone. `park` is the number of seconds until the
event wakes the child, null for never. If no answer is left, the execution fails, even if its states catch errors.
"""

import asyncio
import inspect
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def main() -> None:
    """Serve on 127.0.0.1:GATEWAY_PORT until the standard input closes."""
    from ministack import app
    from ministack.services import stepfunctions as engine

    from local import step_functions
    from local.engine import heed_parent
    from local.step_functions import tasks

    folder = Path(sys.argv.pop(1))
    heed_parent()
    step_functions.install(app)
    if list(inspect.signature(tasks._call).parameters) != ["service", "action", "arguments", "scope", "callback"]:
        sys.exit("local.step_functions.tasks._call has changed: adapt tests/asl/scripted.py, which takes its place.")
    tasks._call = Script(folder).call
    engine._SFN_WAIT_SCALE = 0.0  # Wait states and retries take no time. Time-outs are real.
    app.main()


class Script:
    """The answers of all runs, and the next answer of each execution."""

    def __init__(self, folder: Path) -> None:
        self._of_run = cache(lambda name: json.loads((folder / f"{name}.json").read_text()))
        self._left: dict[tuple[str, str], list[Json]] = {}

    async def call(self, service: str, action: str, arguments: Any, scope: Any, callback: bool) -> Any:
        """Answer in place of a service."""
        from local.step_functions.errors import StateError

        answer = self._next(scope)
        error = answer.get("error")
        if error == "States.Timeout":
            raise TimeoutError  # The interpreter gets this after TimeoutSeconds.
        if error:
            raise StateError(error, answer.get("cause"))
        if answer.get("park") is not None:
            asyncio.get_running_loop().call_later(answer["park"], _wake, scope.context["Task"]["Token"])
        return answer.get("result", {})

    def _next(self, scope: Any) -> Json:
        from ministack.services import stepfunctions as engine

        from local.step_functions.errors import StateError

        record, state = scope.execution.record, scope.context["State"]["Name"]
        left = self._left.get((record["executionArn"], state))
        if left is None:
            parent = (
                engine._executions[engine._map_runs[record["mapRunArn"]]["executionArn"]]
                if "mapRunArn" in record
                else record
            )
            script = self._of_run(parent["name"])
            item = json.loads(record["input"])
            number = next((item[key] for key in ("number", "shard", "chunk") if key in item), None)
            listed = script.get(f"{state}/{number}") or script.get(state, [])
            left = [answer for answer in listed for _ in range(answer.get("times", 1))]
            self._left[record["executionArn"], state] = left
        if not left:
            raise StateError("States.Runtime", f"The script of {record['name']} has no answer left for {state}.")
        return left.pop(0)


def _wake(token: str) -> None:
    from local.step_functions.tokens import send_task_success

    send_task_success({"taskToken": token, "output": "{}"})


if __name__ == "__main__":
    main()

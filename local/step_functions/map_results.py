"""The results of a Distributed Map: result files and a manifest in S3, or the outputs as the state's result.

MiniStack ignores ResultWriter: it writes nothing to S3, and the state returns all outputs.
"""

import json
from collections.abc import Sequence
from typing import Any

from .calls import ServiceError, call
from .errors import StateError
from .executions import Execution
from .expressions import render
from .payload import dump
from .scope import Scope

_OUTCOMES = {"SUCCEEDED": ("SUCCEEDED",), "FAILED": ("FAILED", "TIMED_OUT", "ABORTED"), "PENDING": ()}


def writes_to_s3(state: dict[str, Any]) -> bool:
    """Return whether the state has a ResultWriter with a destination."""
    return "Resource" in state.get("ResultWriter", {})


async def write_results(
    state: dict[str, Any], value: Any, scope: Scope, map_run_arn: str, children: Sequence[Execution]
) -> dict[str, Any]:
    """Write the results of the children and the manifest; return the state's result.

    Raises StateError States.ResultWriterFailed.
    """
    writer = state["ResultWriter"]
    if writer["Resource"] != "arn:aws:states:::s3:putObject":
        raise StateError("States.Runtime", f"The local engine has no ResultWriter for {writer['Resource']}.")
    target = render(writer.get("Arguments", {}), scope.bindings({"input": value}), "ResultWriter/Arguments")
    config = writer.get("WriterConfig", {})
    as_lines = config.get("OutputType", "JSON") == "JSONL"
    bucket = target["Bucket"]
    folder = "/".join(part for part in (target.get("Prefix", "").strip("/"), map_run_arn.rpartition(":")[2]) if part)
    files: dict[str, list[dict[str, Any]]] = {}

    async def put(key: str, text: str) -> None:
        try:
            await call(
                "s3", "putObject", {"Bucket": bucket, "Key": key, "Body": text}, scope.execution.machine.role_arn
            )
        except ServiceError as error:
            raise StateError("States.ResultWriterFailed", error.cause) from error

    for outcome, statuses in _OUTCOMES.items():
        ended = [child for child in children if child.record["status"] in statuses]
        # Only the results of successful children are transformed. A failed child is written with its whole execution.
        kind = config.get("Transformation", "NONE") if outcome == "SUCCEEDED" else "NONE"
        entries = _entries(ended, kind)
        files[outcome] = []
        if ended:
            key = f"{folder}/{outcome}_0.{'jsonl' if as_lines else 'json'}"
            text = "\n".join(map(dump, entries)) if as_lines else dump(entries)
            await put(key, text)
            files[outcome].append({"Key": key, "Size": len(text.encode())})
    manifest = {"DestinationBucket": bucket, "MapRunArn": map_run_arn, "ResultFiles": files}
    await put(f"{folder}/manifest.json", dump(manifest))
    return {"MapRunArn": map_run_arn, "ResultWriterDetails": {"Bucket": bucket, "Key": f"{folder}/manifest.json"}}


def inline_results(state: dict[str, Any], children: Sequence[Execution]) -> list[Any]:
    """Return the results of the children that succeeded, in the order of the items."""
    config = state.get("ResultWriter", {}).get("WriterConfig", {})
    succeeded = [child for child in children if child.record["status"] == "SUCCEEDED"]
    return _entries(succeeded, config.get("Transformation", "COMPACT"))


def _entries(children: Sequence[Execution], transformation: str) -> list[Any]:
    if transformation == "NONE":
        return [_metadata(child.record) for child in children]
    outputs = [json.loads(child.record["output"]) for child in children]
    if transformation == "COMPACT":
        return outputs
    return [entry for output in outputs for entry in (output if isinstance(output, list) else [output])]


def _metadata(record: dict[str, Any]) -> dict[str, Any]:
    included = {"Included": True}
    succeeded = record["status"] == "SUCCEEDED"
    entry = {
        "ExecutionArn": record["executionArn"],
        "Input": record["input"],
        "InputDetails": included,
        "Name": record["name"],
        "Output": record["output"],
        "OutputDetails": included,
        "RedriveCount": record["redriveCount"],
        "RedriveStatus": "NOT_REDRIVABLE" if succeeded else "REDRIVABLE_BY_MAP_RUN",
        "StartDate": record["startDate"],
        "StateMachineArn": record["stateMachineArn"],
        "Status": record["status"],
        "StopDate": record["stopDate"],
        "Error": record.get("error"),
        "Cause": record.get("cause"),
    }
    if not succeeded:
        del entry["OutputDetails"]
    return {name: item for name, item in entry.items() if item is not None}

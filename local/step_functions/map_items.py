"""The items of a Distributed Map: read from S3 or taken from the input, and gathered into batches.

MiniStack does not evaluate the JSONata Arguments of an ItemReader, and ignores ItemBatcher. Here, objects are read with
the same calls as in a task, so that IAM decides whether the machine's role may read them.
"""

import csv
import io
import json
from typing import Any

from .calls import ServiceError, call
from .errors import StateError
from .expressions import bindings, render, render_whole
from .scope import Scope

_DELIMITERS = {"COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "SPACE": " ", "TAB": "\t"}


async def read_items(state: dict[str, Any], value: Any, scope: Scope) -> list[Any]:
    """Return the items of a Distributed Map state. Raises StateError, States.ItemReaderFailed among them."""
    bound = scope.bindings({"input": value})
    reader = state.get("ItemReader")
    if reader is None:
        return plain_items(state, value, bound)
    arguments = render(reader.get("Arguments", {}), bound, "ItemReader/Arguments")
    config = reader.get("ReaderConfig", {})
    try:
        items = await _read(reader.get("Resource", ""), arguments, config, scope)
    except ServiceError as error:
        raise StateError("States.ItemReaderFailed", error.cause) from error
    if "MaxItems" in config:
        items = items[: render_whole(config["MaxItems"], bound, "ItemReader/ReaderConfig/MaxItems")]
    return items


def plain_items(state: dict[str, Any], value: Any, bound: dict[str, Any]) -> list[Any]:
    """Return the items of a Map state that come from its input or its Items field."""
    # The input is data, not a template: do not evaluate expressions in it.
    items = render(state["Items"], bound, "Items") if "Items" in state else value
    if not isinstance(items, list):
        raise StateError("States.QueryEvaluationError", "The items of a Map state must be an array.")
    return items


async def _read(resource: str, arguments: Any, config: dict[str, Any], scope: Scope) -> list[Any]:
    role = scope.execution.machine.role_arn
    if resource == "arn:aws:states:::s3:getObject":
        answer = await call("s3", "getObject", arguments, role)
        return _parse(answer["Body"], config)
    if resource != "arn:aws:states:::s3:listObjectsV2":
        raise StateError("States.Runtime", f"The local engine has no ItemReader for {resource}.")
    items: list[Any] = []
    while True:
        page = await call("s3", "listObjectsV2", arguments, role)
        items += page.get("Contents", [])
        if not page.get("IsTruncated"):
            return items
        arguments = {**arguments, "ContinuationToken": page["NextContinuationToken"]}


def _parse(text: str, config: dict[str, Any]) -> list[Any]:
    kind = config.get("InputType", "JSON")
    try:
        if kind == "JSONL":
            # Only a newline ends a line: JSON strings may hold the other separators that splitlines knows.
            return [json.loads(line) for line in text.split("\n") if line.strip()]
        if kind == "CSV":
            return _parse_csv(text, config)
        items = json.loads(text)
    except ValueError as error:
        raise StateError("States.ItemReaderFailed", f"The object is not {kind}: {error}") from error
    if kind != "JSON":
        raise StateError("States.Runtime", f"The local engine reads no items of InputType {kind}.")
    if not isinstance(items, list):
        raise StateError("States.ItemReaderFailed", "The object is not a JSON array.")
    return items


def _parse_csv(text: str, config: dict[str, Any]) -> list[Any]:
    rows = csv.reader(io.StringIO(text), delimiter=_DELIMITERS[config.get("CSVDelimiter", "COMMA")])
    header: list[str] = config["CSVHeaders"] if config.get("CSVHeaderLocation") == "GIVEN" else next(rows, [])
    # A short row gets empty strings for missing cells. Cells beyond the header are dropped.
    return [dict(zip(header, row + [""] * len(header), strict=False)) for row in rows if row]


def batch_size(state: dict[str, Any], value: Any, scope: Scope) -> int:
    """Return the number of items of one child."""
    batcher = state.get("ItemBatcher")
    if not batcher:
        return 1
    bound = scope.bindings({"input": value})
    size = render_whole(batcher["MaxItemsPerBatch"], bound, "ItemBatcher/MaxItemsPerBatch")
    return max(1, size)


def child_input(state: dict[str, Any], value: Any, scope: Scope, first: int, items: list[Any]) -> str:
    """Return the input of one child as JSON text.

    ItemSelector and BatchInput cannot use variables here: it is not known whether AWS allows it.
    """

    def bound(**context: Any) -> dict[str, Any]:
        return bindings({}, {"input": value, "context": {**scope.context, **context}})

    selected = items
    if "ItemSelector" in state:
        selected = [
            render(state["ItemSelector"], bound(Map={"Item": {"Index": index, "Value": item}}), "ItemSelector")
            for index, item in enumerate(items, first)
        ]
    if "ItemBatcher" not in state:
        return scope.payload(selected[0], "child input")
    batch: dict[str, Any] = {"Items": selected}
    if "BatchInput" in state["ItemBatcher"]:
        batch["BatchInput"] = render(state["ItemBatcher"]["BatchInput"], bound(), "ItemBatcher/BatchInput")
    return scope.payload(batch, "child input")

"""docs/operations.md has every error of a run and every code of a row, each with its cause and a remedy."""

import ast
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from bedrock_batch import errors
from bedrock_batch.answers.outcome import OUTCOMES, STOP_REASONS, judge
from bedrock_batch.contracts.lines import NOT_CREATED, TERMINAL_STATUSES
from bedrock_batch.row_errors import RowError
from bedrock_batch.run import invoke

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "lambda_src" / "bedrock_batch"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")


def table(head: str) -> list[list[str]]:
    """Return the cells of the table with this head, row by row."""
    (body,) = re.findall(rf"^\| {re.escape(head)} \|\n\|[-|]+\|\n((?:\|.*\n)+)", OPERATIONS, re.MULTILINE)
    return [line.strip("| ").split(" | ") for line in body.splitlines()]


ERRORS = table("error | what happened | what you do")
CODES = table("code | outcome | cause | what you do")


@pytest.mark.parametrize("row", [*ERRORS, *CODES], ids=lambda row: row[0][:30])
def test_every_row_has_a_cause_and_a_remedy(row: list[str]) -> None:
    assert len(row) == (3 if row in ERRORS else 4)
    assert all(len(cell) > 3 for cell in row), row


def test_the_tables_are_made_from_what_the_page_of_a_report_says() -> None:
    path = ROOT / "docs" / "error_tables.py"
    spec = importlib.util.spec_from_file_location("error_tables", path)
    assert spec is not None and spec.loader is not None
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    remedies = json.loads((PACKAGE / "page" / "remedies.json").read_text("utf-8"))
    assert tables.with_tables(OPERATIONS, remedies) == OPERATIONS, "run `make docs`"


# --- Errors of a run ---

OF_STEP_FUNCTIONS = {"States.Permissions"}
"""An error that Step Functions documents for a task, but that our machines and the stand-in do not name."""


def of_step_functions() -> set[str]:
    """Return the errors of Step Functions that our machines, or the stand-in that runs them, name."""
    files = [*(ROOT / "asl").glob("*.json"), *(ROOT / "local" / "step_functions").glob("*.py")]
    named = {name for file in files for name in re.findall(r"\bStates\.[A-Z]\w+", file.read_text("utf-8"))}
    return (named - {"States.ALL"}) | OF_STEP_FUNCTIONS


def uncaught(machine: dict[str, Any]) -> set[str]:
    """Return the names of the tasks whose errors nothing catches."""
    found = set()
    for name, state in machine.get("States", {}).items():
        caught = any("States.ALL" in rule["ErrorEquals"] for rule in state.get("Catch", ()))
        if state["Type"] == "Task" and not caught:
            found.add(name)
        found |= uncaught(state.get("ItemProcessor", {}))
    return found


def of_services() -> set[str]:
    """Return the beginnings of errors that end a run after all retries."""
    retries = json.loads((ROOT / "asl" / "retries.json").read_text("utf-8"))
    names = {
        name
        for machine in ("run", "job")
        for task in uncaught(json.loads((ROOT / "asl" / f"{machine}.asl.json").read_text("utf-8")))
        for policy in retries["states"][machine].get(task, ())
        for name in retries["policies"][policy]["ErrorEquals"]
    }
    return {f"{name.split('.')[0]}.…" for name in names if "." in name} - {"States.…"}


def test_the_table_of_errors_has_every_error_of_a_run_and_no_other() -> None:
    groups = {"BedrockBatchError", "InputError", "RunError"}
    raised = {name for name in errors.BY_NAME if name not in groups}
    known = raised | of_step_functions() | of_services()
    listed = [name for row in ERRORS for name in re.findall(r"\b[A-Z]\w+(?:\.\w+|\.…)?", row[0].split(" (")[0])]
    # Texts of rows that are not names: where a Map failed, an end without an error, an unexpected error.
    others = {"Join", "Run", "ABORTED", "TIMED_OUT", "KeyError", "ClientError"}
    found = [name for name in listed if name not in others]
    assert sorted(found) == sorted(known)


# --- Codes of rows ---


def of_bedrock() -> set[str]:
    """Return the errors of a call, by name and by number: in the output of a job a record has either."""
    model = botocore.session.get_session().get_service_model("bedrock-runtime")
    shapes = [shape for call in ("InvokeModel", "Converse") for shape in model.operation_model(call).error_shapes]
    statuses = {str(shape.metadata["error"]["httpStatusCode"]) for shape in shapes}
    return {shape.name for shape in shapes} | statuses | {str(invoke._TOO_LARGE)}


def expected() -> dict[str, str]:
    """Return every code of a row with the outcome of its row."""
    skipped = {"NullColumn", "EmptyText", "TooLong", "MediaNotUsable", "NoModelInput"}
    own = {code.value: "skipped" if code in skipped else "failed" for code in RowError}
    stopped = {code: "failed" for reason in STOP_REASONS if (code := judge(reason, has_answer=False)[1]) == reason}
    statuses = dict.fromkeys((*TERMINAL_STATUSES, NOT_CREATED), "missing")
    bedrock = dict.fromkeys(of_bedrock(), "failed")
    return {**own, "InvalidAnswer": "invalid", **stopped, **statuses, **bedrock}


def test_the_table_of_codes_has_every_code_of_a_row_with_its_outcome_and_no_other() -> None:
    pairs = [(code, row[1]) for row in CODES for code in re.findall(r"`([^`]+)`", row[0])]
    assert sorted(pairs) == sorted(expected().items())
    assert {outcome for _, outcome in pairs} == set(OUTCOMES) - {"succeeded", "truncated"}


def test_a_code_of_our_own_is_made_in_one_place_and_used() -> None:
    """`Failure` and `Skipped` never get a literal code. Codes of Bedrock are not our constants."""
    used = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "RowError":
                used.add(node.attr)
            if isinstance(node, ast.Call) and len(node.args) > 1:
                made = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if made in {"Failure", "Skipped", "_failed", "fail"}:
                    assert not isinstance(node.args[1], ast.Constant), f"{path.name}: {ast.unparse(node)}"
    assert used == set(RowError.__members__)

"""Pages that start runs from elsewhere: what they send is a run input, and they call what is documented."""

import inspect
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bedrock_batch.keys import RUN_ID
from bedrock_batch.run_input import validate

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)


# --- Airflow: the signatures of the documentation of apache-airflow-providers-amazon 9.38


def start_execution(
    *,
    task_id: str,
    retries: int | None = None,
    aws_conn_id: str | None = "aws_default",
    region_name: str | None = None,
    state_machine_arn: str,
    name: str | None = None,
    is_redrive_execution: bool = False,
    state_machine_input: dict[str, Any] | str | None = None,
    waiter_max_attempts: int = 30,
    waiter_delay: int = 60,
    deferrable: bool = False,
) -> None: ...


def get_execution_output(
    *, task_id: str, execution_arn: str, aws_conn_id: str | None = "aws_default", region_name: str | None = None
) -> None: ...


def dag(*, dag_id: str, schedule: str | None = None, start_date: Any = None, catchup: bool = False) -> None: ...


class Called:
    """Stands for a class of Airflow: takes the arguments that its signature has, and no others."""

    def __init__(self, signature: Any, made: list[dict[str, Any]]) -> None:
        self._signature, self._made = inspect.signature(signature), made

    def __call__(self, **arguments: Any) -> "Called":
        self._signature.bind(**arguments)
        self._made.append(arguments)
        return self

    def __enter__(self) -> "Called":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    output = "{{ the output }}"


def test_the_dag_calls_what_the_provider_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, Any]] = []
    operators = "airflow.providers.amazon.aws.operators.step_function"
    members = {
        "airflow.sdk": {"DAG": Called(dag, made)},
        operators: {
            "StepFunctionStartExecutionOperator": Called(start_execution, made),
            "StepFunctionGetExecutionOutputOperator": Called(get_execution_output, made),
        },
    }
    for name in [".".join(operators.split(".")[:depth]) for depth in range(1, 7)] + ["airflow.sdk"]:
        module = ModuleType(name)
        vars(module).update(members.get(name, {}))
        monkeypatch.setitem(sys.modules, name, module)
    (code,) = blocks("from-airflow.md", "python")
    exec(compile(code, "from-airflow.md", "exec"), {})
    _, score, table = made
    rendered = re.sub(r"\{\{.*?\}\}", "2026-11-29", json.dumps(score["state_machine_input"]))
    validate.validate(json.loads(rendered))
    assert RUN_ID.fullmatch(score["name"].replace("{{ ds }}", "2026-11-29").replace("{{ ti.try_number }}", "1"))
    assert table["execution_arn"] == Called.output
    assert score["waiter_delay"] * score["waiter_max_attempts"] == 7 * 86_400


def test_the_state_machine_sends_a_run_input() -> None:
    definition = json.loads(blocks("from-step-functions.md", "json")[0])
    sent = definition["States"]["Score reviews"]["Arguments"]["Input"]
    validate.validate(sent | {"s3_uri": "s3://bucket/t.csv"})

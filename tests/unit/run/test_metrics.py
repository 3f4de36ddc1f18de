"""A run's metrics, compared with the specification of the embedded metric format."""

import re
from pathlib import Path
from typing import Any

import pytest

from bedrock_batch.answers.outcome import Outcome
from bedrock_batch.run import metrics

ROOT = Path(__file__).parents[3]
OUTCOMES = {outcome.value: number for number, outcome in enumerate(Outcome)}
REPORT = {
    "rows": 15,
    "outcomes": OUTCOMES,
    "input_tokens": 7,
    "output_tokens": 8,
    "cost_usd": 0.25,
    "output": "s3://b/",
}


def upper(record: dict[str, Any]) -> set[str]:
    """Return the names of the metrics, which begin with a capital letter. The report's own numbers do not."""
    return {name for name in record if name[0].isupper()}


@pytest.mark.parametrize("cost", [0.25, 0, None])
def test_the_record_is_one_that_cloudwatch_makes_metrics_of(cost: float | None) -> None:
    record = metrics.of_report(REPORT | {"cost_usd": cost}, {})
    (about,) = record["_aws"]["CloudWatchMetrics"]
    assert about["Namespace"] == "BedrockBatch" and about["Dimensions"] == [["Installation"]]
    names = [metric["Name"] for metric in about["Metrics"]]
    assert set(names) == upper(record), "each metric has its value at the top of the record"
    assert all(isinstance(record[name], int | float) for name in names), "CloudWatch drops a record with another value"
    assert len(names) == len(set(names)) <= 100
    assert ("CostUSD" in names) == (cost is not None), "what is not known is no zero"
    assert 1.7e12 < record["_aws"]["Timestamp"] < 1e13, "milliseconds"
    assert record["RowsFailed"] == OUTCOMES["failed"]


def test_a_report_adds_what_the_one_that_it_replaces_has_not_added() -> None:
    earlier = REPORT | {"outcomes": dict.fromkeys(OUTCOMES, 2), "input_tokens": 3, "cost_usd": 0.1}
    record = metrics.of_report(REPORT, earlier)
    assert (record["Rows"], record["InputTokens"], record["OutputTokens"], record["CostUSD"]) == (0, 4, 0, 0.15)
    assert {name: record[f"Rows{name.capitalize()}"] for name in OUTCOMES} == {
        name: number - 2 for name, number in OUTCOMES.items()
    }
    assert (record["rows"], record["input_tokens"], record["cost_usd"]) == (15, 7, 0.25), "the report's own numbers"
    assert record["unanswered"] == OUTCOMES["failed"] + OUTCOMES["missing"]


def test_a_report_without_outcomes_has_added_nothing() -> None:
    """A run that was stopped before its first job has a report, too, with the cost of its canary."""
    assert metrics.of_report(REPORT, {"status": "ABORTED", "cost_usd": 0.1})["CostUSD"] == 0.25


def test_dashboard_and_alarms_know_the_metrics() -> None:
    dashboard, alarms = ((ROOT / "terraform" / f"{name}.tf").read_text("utf-8") for name in ("dashboard", "alarms"))
    assert f'metrics_namespace = "{metrics.NAMESPACE}"' in alarms
    record = metrics.of_report(REPORT, {})
    written = upper(record)
    (listed,) = re.findall(r"outcomes = \[(.*)\]", dashboard)
    of_outcomes = {f"Rows{name}" for name in re.findall(r'"(\w+)"', listed)}
    assert of_outcomes == {name for name in written if re.match("Rows.", name)}
    assert {"InputTokens", "OutputTokens", "CostUSD"} <= set(re.findall(r'"(\w+)"', dashboard))
    query = re.findall(r'ended_runs_query = "(.*)"', dashboard)[0].replace('\\"', '"')
    asked = re.findall(r"\w+", query.partition("fields")[2].partition("|")[0])
    assert set(asked) - set(record) == {"timestamp", "run_id", "status"}
    operations = (ROOT / "docs" / "operations.md").read_text("utf-8")
    assert query.replace(" | ", "\n| ") in operations

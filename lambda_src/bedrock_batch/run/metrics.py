"""What a run adds to CloudWatch's metrics: its rows, tokens and cost, in the embedded metric format.

CloudWatch makes metrics of a log record that has `_aws`. The installation is their only dimension: with the run as
another one, each run would make metrics of its own, which are billed. The record names the run, for queries.
"""

import time
from collections.abc import Mapping
from typing import Any

NAMESPACE = "BedrockBatch"
"""As `metrics_namespace` in terraform/alarms.tf."""

_USED = {"rows": "Rows", "input_tokens": "InputTokens", "output_tokens": "OutputTokens", "cost_usd": "CostUSD"}
"""The metrics, by the key of the report; beside them there is one of rows for each outcome."""


def of_report(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the record: each metric that the report has a value for, and `_aws`, which lists them."""
    values = {metric: document[key] for key, metric in _USED.items() if document.get(key) is not None}
    values |= {f"Rows{outcome.capitalize()}": rows for outcome, rows in document["outcomes"].items()}
    about = {
        "Namespace": NAMESPACE,
        "Dimensions": [["Installation"]],
        "Metrics": [{"Name": name, "Unit": "None" if name == "CostUSD" else "Count"} for name in values],
    }
    return values | {"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [about]}}

"""What a run adds to CloudWatch's metrics: its rows, tokens and cost, in the embedded metric format.

CloudWatch makes metrics of a log record that has `_aws`. The installation is their only dimension: one more for each run
would make a metric for each run, for ever. The record names the run, so that queries find it.
"""

import time
from collections.abc import Mapping
from typing import Any

NAMESPACE = "BedrockBatch"
"""As `metrics_namespace` in terraform/alarms.tf."""

_USED = {"rows": "Rows", "input_tokens": "InputTokens", "output_tokens": "OutputTokens", "cost_usd": "CostUSD"}
"""The metrics, by the key of the report; beside them there is one of rows for each outcome."""


def of_report(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the record: the metrics that the report has values for, and what CloudWatch reads of them."""
    values = {metric: document[key] for key, metric in _USED.items() if document.get(key) is not None}
    values |= {f"Rows{outcome.capitalize()}": rows for outcome, rows in document["outcomes"].items()}
    about = {
        "Namespace": NAMESPACE,
        "Dimensions": [["Installation"]],
        "Metrics": [{"Name": name, "Unit": "None" if name == "CostUSD" else "Count"} for name in values],
    }
    return values | {"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [about]}}

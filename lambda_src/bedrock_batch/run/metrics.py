"""Add a run's rows, tokens and cost to CloudWatch's metrics, in the embedded metric format.

CloudWatch makes metrics from a log record that has `_aws`. The installation is their only dimension: with the run as
another one, each run would have its own metrics, and each metric is billed. The record names the run, for queries.
"""

import time
from collections.abc import Mapping
from typing import Any

NAMESPACE = "BedrockBatch"
"""The same as `metrics_namespace` in terraform/alarms.tf."""

_USED = {"rows": "Rows", "input_tokens": "InputTokens", "output_tokens": "OutputTokens", "cost_usd": "CostUSD"}
"""The metrics by the report's keys. In addition, there is one metric of rows for each outcome."""


def of_report(document: Mapping[str, Any], earlier: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the record: the report's own numbers, the metrics, and `_aws`, which lists the metrics.

    `earlier` is the report that this one replaces, or {}. A run that is redriven has several reports, so each adds to
    the metrics only what the earlier one has not added. The difference may be below zero.
    """
    own = {key: document[key] for key in _USED if document.get(key) is not None}
    own["unanswered"] = document["outcomes"]["failed"] + document["outcomes"]["missing"]
    added = _values(earlier) if "outcomes" in earlier else {}  # Only Finish run writes outcomes, and it adds them.
    values = {name: round(value - added.get(name, 0), 6) for name, value in _values(document).items()}
    about = {
        "Namespace": NAMESPACE,
        "Dimensions": [["Installation"]],
        "Metrics": [{"Name": name, "Unit": "None" if name == "CostUSD" else "Count"} for name in values],
    }
    return own | values | {"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [about]}}


def _values(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return each metric that a report has a value for."""
    values = {metric: document[key] for key, metric in _USED.items() if document.get(key) is not None}
    return values | {f"Rows{outcome.capitalize()}": rows for outcome, rows in document["outcomes"].items()}

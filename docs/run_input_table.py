"""Write docs/run-input.md from the JSON Schema, its only source: `python docs/run_input_table.py`."""

import json
import sys
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("run-input.md")

HEAD = """# Run input

The input of one execution of the run state machine. `make docs` writes this page from
[`run_input.schema.json`](../lambda_src/bedrock_batch/run_input/run_input.schema.json). An editor that reads this schema
completes keys. An unknown key is refused, and the message has the most similar known key. One message has all mistakes
of a run input.

- A key that is null counts as absent. Only `model_id` is required.
- A whole number may be written as `30` or `30.0`.
- Inputs for the published AWS sample (`bedrock-batch-orchestrator`) mean the same here. An empty text as `s3_uri`,
  `dataset_id`, `split`, `prompt_id` or `job_name_prefix` counts as absent, and so does 0 as `max_num_jobs`.
  `max_num_jobs` without `max_records_per_job` means jobs of 1,000 rows, as in the sample. Without `max_num_jobs` the
  whole table is sent, in jobs as large as the quota allows; the sample would make jobs of 1,000 rows.
- The report has a warning for a key that is ignored: `split` if the table is on S3, and for embeddings a `prompt_id`
  that the module does not have. `s3_uri` and `dataset_id` together are refused.

| key | type | default | meaning |
|---|---|---|---|
"""


def rows(schema: dict[str, Any], path: str = "") -> list[str]:
    """Return the table's lines for a section of the schema, depth first."""
    lines = []
    for key, part in schema["properties"].items():
        required = " (required)" if key in schema.get("required", ()) else ""
        default = f"`{json.dumps(part['default'])}`" if "default" in part else ""
        meaning = part["description"].replace("|", "\\|")
        lines.append(f"| `{path}{key}`{required} | {kind(part)} | {default} | {meaning} |")
        if "properties" in part:
            lines += rows(part, f"{path}{key}.")
    return lines


def kind(part: dict[str, Any]) -> str:
    """Return the type of a value, with its choices or its range."""
    if "enum" in part:
        return " or ".join(f"`{json.dumps(value)}`" for value in part["enum"])
    types = part.get("type", "any")
    name = " or ".join(types) if isinstance(types, list) else types
    low, high = part.get("minimum"), part.get("maximum")
    if low is not None and high is not None:
        return f"{name}, {low} to {high}"
    return f"{name}, from {low}" if low is not None else name


def page() -> str:
    """Return the whole page."""
    from bedrock_batch.run_input import validate

    return HEAD + "\n".join(rows(validate.schema())) + "\n"


if __name__ == "__main__":
    sys.path.insert(0, str(PAGE.parents[1] / "lambda_src"))
    PAGE.write_text(page(), encoding="utf-8")

"""The report's part about what was asked for: `settings`, `prompt`, `input` and so on. It has no text of a prompt."""

from collections.abc import Mapping, Sequence
from typing import Any

from bedrock_batch.contracts.run import Run
from bedrock_batch.run.first_record import shortened

_TEXTS = ("prompt", "request")
"""Keys of the run input whose texts go to the model."""

_MOST_TEXT = 500


def of_run(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the report's part about a planned run: start, settings, prompt, versions, and the user's own files."""
    run = runs[0]
    return {
        "started_at": run.started_at,
        "settings": _settings(run),
        "prompt": _prompt(run),
        **versions(run.functions),
        "input": [source.uri for source in run.sources],
        **({"left_out": run.left_out} if run.left_out else {}),
    }


def versions(functions: Mapping[str, str]) -> dict[str, Any]:
    """Return the versions of the functions in the run's claim, as numbers."""
    found = {name: arn.rpartition(":")[2] for name, arn in functions.items()}
    return {"functions": found} if found else {}


def _settings(run: Run) -> dict[str, Any]:
    """Return the validated run input, without the texts that go to the model."""
    kept = {key: shortened(value, _MOST_TEXT) for key, value in run.input.items() if key not in _TEXTS}
    if run.models:
        kept["model_id"] = run.models
    output = run.output
    if "schema" in output:
        # The schema's descriptions go to the model.
        kept["output"] = {**kept["output"], "schema": sorted(output["schema"].get("properties", {}))}
    return kept


def _prompt(run: Run) -> dict[str, Any] | None:
    if run.prompt is None:
        return None
    return {"id": run.prompt.get("id"), "sha256": run.prompt.get("sha256")}

"""Plan a run: everything that is decided before any spend, frozen in `run.json` and `plan.jsonl`."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from bedrock_batch import keys
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import PlannedShard
from bedrock_batch.contracts.run import REDRIVE_DAYS, Run
from bedrock_batch.contracts.settings import Settings
from bedrock_batch.contracts.state import RunState
from bedrock_batch.errors import InvalidRunInput, MissingColumn, TooLarge, columns_are, naming
from bedrock_batch.join.output_columns import output_schema
from bedrock_batch.models import prompts
from bedrock_batch.models.template import columns_of
from bedrock_batch.plan import first_records, sampling
from bedrock_batch.plan.resolve_models import Model, rendered_as, resolve
from bedrock_batch.plan.shards import Bounds, RowSize, cut, row_limit, strictest
from bedrock_batch.records import media
from bedrock_batch.records.ready_made import Renders
from bedrock_batch.records.ready_made import renderer as renderer_of
from bedrock_batch.run_input import validate
from bedrock_batch.table import athena_types, frame, read, schemas
from bedrock_batch.table.deadline import Deadline
from bedrock_batch.table.input_files import InputFiles

_RESERVED_SECONDS = 60
"""Part of the function's time that is kept for cutting the table and writing the plan."""


def plan_run(
    s3: S3,
    service_quotas: Any,
    state: RunState,
    *,
    settings: Settings,
    input: Any,
    seconds: float = math.inf,
) -> RunState:
    """Write `run.json` and `plan.jsonl`; return the run's state. A second call writes the same bytes.

    `state` is the state of a run that has its claim. `seconds` is how long the function may still run. Raises
    PlanUnfinished before that time ends; the next call continues where this one stopped.
    """
    deadline = Deadline.within(seconds - _RESERVED_SECONDS)
    asked = validate.validate(input)
    _check_age(asked, settings.work_days)
    own = state.keys
    models = resolve(s3, service_quotas, asked, settings, region=state.execution_arn.split(":")[3], run_id=state.run_id)
    quotas = strictest([model.quotas for model in models])
    staged = (state.bucket, own.staged_folder)
    files = read.find(s3, asked, own=f"s3://{state.bucket}/{state.root}/output/")
    table = read.describe(
        files, options=asked["input"], limit=_row_limit(asked, quotas), staged=staged, deadline=deadline
    )
    models = first_records.settled(models, table)
    written = []
    for model in models:
        with naming(model.label):
            written.append(_output(model, table.schema))
    shards = _cut(asked, models, table, quotas, bucket=state.bucket, run_key=own.run())
    warnings = [*validate.warnings(asked), *files.found.warnings, *_quoted(models, table)]
    of_table = {"table": table.table, "sources": table.sources, "left_out": _left_out(files.found)}
    runs = _runs(models, _of_run(state, settings) | of_table | {"shards": len(shards)}, warnings, written)
    _write(s3, runs, shards)
    return replace(
        state,
        prefix=own.work,
        plan_key=own.plan,
        job_names=runs[0].job_names,
        rows=sum(shard.rows for shard in shards),
        shards=len(shards) * len(models),
        dry_run=asked["dry_run"],
    )


def _row_limit(asked: Mapping[str, Any], quotas: Mapping[str, int]) -> int | None:
    """Return the most rows of the table that the run reads; None for all rows."""
    return row_limit(
        limit=asked["input"].get("limit"),
        max_jobs=asked.get("max_num_jobs") or None,
        max_records=min(asked.get("max_records_per_job") or quotas["max_records"], quotas["max_records"]),
    )


def _check_age(asked: Mapping[str, Any], work_days: int) -> None:
    """Refuse limits with which the run could last longer than its files are kept."""
    limits = asked["limits"]
    rounds = 1 + limits["max_rounds"] + ("retry" in asked)
    days = math.ceil(rounds * limits["job_timeout_hours"] / 24) + REDRIVE_DAYS
    if days > work_days:
        raise InvalidRunInput(
            f"limits: {rounds} rounds of jobs that may take {limits['job_timeout_hours']} hours each, and "
            f"{REDRIVE_DAYS} days for a redrive, are {days} days, but the module keeps a run's work for only "
            f"{work_days} days (retention.work_days). Lower limits.max_rounds or limits.job_timeout_hours, or raise "
            "retention.work_days."
        )


def _output(model: Model, table: pa.Schema) -> pa.Schema:
    """Return the columns of the output. Refuse one that could not be written, or not be read as one table."""
    wanted, composed = model.asked["output"], model.composed
    kept = schemas.kept(table, wanted.get("columns"))
    frame.check(kept, wanted["format"])
    written = output_schema(kept, wanted, kind=composed.kind, dimensions=composed.dimensions)
    column = keys.model_column(wanted["prefix"])
    if model.label and column.casefold() in {name.casefold() for name in written.names}:
        raise InvalidRunInput(
            f"The output has a column {column}. In a run of several models, each model has a folder {column}=…, and "
            "readers turn it into a column of the same name. Set output.prefix to another text, rename the property of "
            "output.schema, or leave the column out of output.columns."
        )
    return written


def _cut(
    asked: Mapping[str, Any],
    models: Sequence[Model],
    table: read.Description,
    quotas: Mapping[str, int],
    *,
    bucket: str,
    run_key: str,
) -> list[PlannedShard]:
    """Cut the table into shards. Raises TooLarge if there are more than a run may have."""
    size = _row_size(asked, models, table, folder=f"s3://{bucket}/{run_key}")
    shards = cut(table.layouts, Bounds.of(asked, quotas), size, bucket=bucket, run_key=run_key)
    if len(shards) * len(models) > keys.MAX_SHARDS:
        raise TooLarge(
            f"{len(shards)} shards for each of {len(models)} models are more than the {keys.MAX_SHARDS} shards that a "
            "run may have. Start a run for each model, or raise max_records_per_job."
        )
    return shards


def _row_size(asked: Mapping[str, Any], models: Sequence[Model], table: read.Description, *, folder: str) -> RowSize:
    """Return the size of a row, from a sample. Of several models, the one with the largest records counts."""
    schema, media_bytes = _with_media(asked, table.schema, folder=folder)
    renderers = []
    for number, model in enumerate(models):
        if rendered_as(models, number) == number:
            with naming(model.label):
                renderers.append(_renderer(model, table, schema))
    # A sample does not fetch media. In a record they are base64.
    expansion = media.BASE64 if "media" in asked else max(sampling.expansion(table, one) for one in renderers)
    return RowSize(
        expansion=expansion,
        constant=max(renderer.structure_bytes for renderer in renderers) + media_bytes,
        kept=sampling.kept_expansion(table, schemas.kept(table.schema, asked["output"].get("columns")).names),
    )


def _renderer(model: Model, table: read.Description, schema: pa.Schema) -> Renders:
    """Return the renderer of the model's records. Without a prompt, an error suggests a column to embed."""
    try:
        nulls = model.asked["input"]["nulls"]
        return renderer_of(table.table, model.composed.request, schema, nulls=nulls, check=model.check)
    except MissingColumn as err:
        if model.prompt is None or model.prompt["text"] != prompts.DEFAULT_EMBEDDING_PROMPT:
            raise
        ignored = model.asked.get("prompt_id")
        why = f"The module has no prompt {ignored!r}, and without one" if ignored else "Without a prompt"
        raise MissingColumn(
            f"{why} the column input_text is embedded, but the table has no such column. {columns_are(schema.names)} "
            f'Name one of them: "prompt": {{"text": "{{{sampling.longest_text(table)}}}"}}.'
        ) from err


def _with_media(asked: Mapping[str, Any], schema: pa.Schema, *, folder: str) -> tuple[pa.Schema, int]:
    """Return the schema with the columns for media, if any, and the average bytes of media in a record."""
    if "media" not in asked:
        return schema, 0
    media.check(asked["media"], schema, nulls=asked["input"]["nulls"])
    size = media.record_bytes(asked["media"], schema, folder=folder)
    return media.extended(schema, asked["media"]), size


def _runs(
    models: Sequence[Model], common: Mapping[str, Any], warnings: Sequence[str], written: Sequence[pa.Schema]
) -> list[Run]:
    """Return the run documents of the models; `common` and `warnings` are the same in all of them.

    `written` are the columns of each model's output.
    """
    labels = [model.label for model in models] if len(models) > 1 else []
    return [
        Run(
            number=number,
            models=labels,
            rendered_as=rendered_as(models, number),
            warnings=[*warnings, *model.warnings],
            output_columns=athena_types.columns(written[number], model.asked["output"]["format"]),
            **common,
            **_of_model(model),
        )
        for number, model in enumerate(models)
    ]


def _of_run(state: RunState, settings: Settings) -> dict[str, Any]:
    """Return the fields of `run.json` from the run's claim and from the module's settings."""
    claimed = ("contract", "bucket", "root", "run_id", "execution_arn", "started_at", "functions")
    of_module = ("name", "service_role_arn", "kms_key_arn", "network", "tags", "work_days")
    return {name: getattr(state, name) for name in claimed} | {name: getattr(settings, name) for name in of_module}


def _of_model(model: Model) -> dict[str, Any]:
    """Return the fields of `run.json` that differ between models."""
    return {
        "input": model.asked,
        "model_behind": "" if model.behind == model.asked["model_id"] else model.behind,
        "family": model.family.family,
        "invocation_type": model.family.invocation_type,
        "kind": model.composed.kind,
        "request": model.composed.request,
        "response": model.composed.response,
        "dimensions": model.composed.dimensions,
        "prompt": model.prompt,
        "retry_place": model.retry_place,
        "quotas": model.quotas,
        "quota_origins": model.origins,
    }


def _quoted(models: Sequence[Model], table: read.Description) -> list[str]:
    """Return warnings about columns whose texts are sent as JSON, with quotes and escapes, because of other values."""
    used = {name for model in models for name in columns_of(model.composed.request)}
    return [
        f'The column "{name[:80]}" has texts and other values, so each value is its JSON text, and the prompt has the '
        f"texts with quotes and escapes. To send the texts alone, set input.types to {json.dumps({name: 'string'})}."
        for name in table.table.jsonl.get("mixed", ())
        if name in used
    ]


def _left_out(found: InputFiles) -> dict[str, Any]:
    """Return the number of objects below the prefixes that are not the table's files, and the first few of them."""
    return {"objects": found.left_out, "first": found.left_out_first} if found.left_out else {}


def _write(s3: S3, runs: Sequence[Run], shards: Sequence[PlannedShard]) -> None:
    """Write the plan's shards, then the run documents of the models."""
    first = runs[0]
    s3.put_lines(first.bucket, first.keys.plan, (shard.to_json() for shard in shards))
    # The first model's document comes last: once it exists, the run is planned.
    for run in reversed(runs):
        s3.put_json(run.bucket, run.keys.run(run.number), run.to_json())

"""Plan run: check the run input, resolve it, read metadata only, cut shards, freeze all in `run.json`."""

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa

from bedrock_batch import keys
from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3, split_uri
from bedrock_batch.contracts.lines import Shard
from bedrock_batch.contracts.run import Run
from bedrock_batch.errors import InvalidRunInput, MissingColumn, RunNameTaken, TooLarge, columns_are, naming
from bedrock_batch.handlers.edge import at_edge
from bedrock_batch.join import write
from bedrock_batch.join.output_columns import kept_columns, output_schema
from bedrock_batch.models import prompts, request_body
from bedrock_batch.plan import sampling
from bedrock_batch.plan.resolve_models import Model, rendered_as, resolve
from bedrock_batch.plan.shards import cut, row_limit, strictest
from bedrock_batch.records import media
from bedrock_batch.records.ready_made import Renders
from bedrock_batch.records.ready_made import renderer as renderer_of
from bedrock_batch.records.render import Nulls
from bedrock_batch.run_input import validate
from bedrock_batch.table import read

_RESERVED_SECONDS = 60
"""What is left of the function's time for cutting and writing the plan."""


@at_edge
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the state that the run carries from here on: references and counts.

    The event holds `run_id`, `execution_arn` and the run's `input`.
    """
    s3 = S3(clients.s3())
    bucket, key = split_uri(os.environ["SETTINGS_URI"])
    settings = s3.get_json(bucket, key)
    time_left = getattr(context, "get_remaining_time_in_millis", None)
    until = time.monotonic() + time_left() / 1000 - _RESERVED_SECONDS if time_left else math.inf
    return plan_run(s3, clients.client("service-quotas"), bucket=bucket, settings=settings, until=until, **event)


def plan_run(
    s3: S3,
    service_quotas: Any,
    *,
    bucket: str,
    settings: Mapping[str, Any],
    run_id: str,
    execution_arn: str,
    input: Any,
    until: float = math.inf,
) -> dict[str, Any]:
    """Plan the run and write `run.json` and `plan.jsonl`. Doing it twice writes the same bytes.

    `settings` is the module's: name, models, prompts, service_role_arn, kms_key_arn, tags. `until` is the
    time.monotonic() by which all text files must have been read.
    """
    if not keys.RUN_ID.fullmatch(run_id):
        raise InvalidRunInput(f"The execution name {run_id!r} may hold only letters, digits, `-` and `_`.")
    asked = validate.validate(input)
    digest = validate.digest(asked)
    _check_name(s3, bucket, run_id, digest)
    models = resolve(s3, service_quotas, asked, settings, region=execution_arn.split(":")[3])
    quotas = strictest([model.quotas for model in models])
    table, hub = _describe(s3, asked, quotas, staged=(bucket, keys.staged_prefix(run_id)), until=until)
    for model in models:
        with naming(model.label):
            _check_output(asked["output"], table.schema, model.composed)
    shards = _cut(s3, asked, quotas, table, hub, models, bucket=bucket, run_key=keys.run_key(run_id))
    if len(shards) * len(models) > keys.MAX_SHARDS:
        raise TooLarge(
            f"{len(shards)} shards for each of {len(models)} models are more than the {keys.MAX_SHARDS} of one run. "
            "Start a run for each model, or raise max_records_per_job."
        )
    runs = [
        Run(
            run_id=run_id,
            execution_arn=execution_arn,
            input_digest=digest,
            bucket=bucket,
            shards=len(shards),
            number=number,
            models=[model.label for model in models] if len(models) > 1 else [],
            rendered_as=rendered_as(models, number),
            **_of_model(model, settings),
            warnings=[*validate.warnings(asked), *model.warnings],
            **_of_table(table, asked),
        )
        for number, model in enumerate(models)
    ]
    lines = (
        replace(shard, shard=number, run_key=keys.run_key(run_id, run.number)).to_json()
        for run in runs
        if run.rendered_as == run.number
        for number, shard in zip(run.numbers, shards, strict=True)
    )
    s3.put_lines(bucket, keys.plan_key(run_id), lines)
    # The first model's last: with it the run counts as planned.
    for run in reversed(runs):
        s3.put_json(bucket, keys.run_key(run_id, run.number), run.to_json())
    return {
        "run_id": run_id,
        "bucket": bucket,
        "prefix": keys.run_prefix(run_id),
        "run_key": keys.run_key(run_id),
        "plan_key": keys.plan_key(run_id),
        "job_names": keys.job_names(
            name=settings["name"], label=asked.get("job_name_prefix") or "", execution_arn=execution_arn
        ),
        "rows": sum(shard.rows for shard in shards),
        "shards": len(shards) * len(models),
        "dry_run": asked["dry_run"],
    }


def _of_model(model: Model, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `run.json` says of a model and of the module."""
    return {
        "name": settings["name"],
        "service_role_arn": settings["service_role_arn"],
        "kms_key_arn": settings.get("kms_key_arn"),
        "tags": settings.get("tags", {}),
        "input": model.asked,
        "limits": model.asked["limits"],
        "model_id": model.asked["model_id"],
        "folder": keys.model_folder(model.label),
        "family": model.family.family,
        "invocation_type": model.family.invocation_type,
        "kind": model.composed.kind,
        "request": model.composed.request,
        "response": model.composed.response,
        "dimensions": model.composed.dimensions,
        "prompt": model.prompt,
        "retry": model.retry,
        "quotas": model.quotas,
        "quota_origins": model.origins,
    }


def _of_table(table: read.Description, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `run.json` says of the table, and of what is the same for all models."""
    return {
        "table": table.table.to_json(),
        "sources": [source.to_json() for source in table.sources],
        "nulls": asked["input"]["nulls"],
        "media": asked.get("media"),
        "canary": asked["limits"]["canary_records"] > 0,
        "output": asked["output"],
        "dry_run": asked["dry_run"],
    }


def _check_name(s3: S3, bucket: str, run_id: str, digest: str) -> None:
    """Refuse a name whose run had another input: its files would be mixed with the new run's."""
    if next(iter(s3.list(bucket, keys.run_key(run_id))), None) is None:
        return
    if s3.get_json(bucket, keys.run_key(run_id))["input_digest"] != digest:
        raise RunNameTaken(
            f"A run named {run_id!r} exists and had another input. Start this one under another execution name."
        )


def _describe(
    s3: S3, asked: Mapping[str, Any], quotas: Mapping[str, int], *, staged: tuple[str, str], until: float
) -> tuple[read.Description, Any]:
    """Return what the input is, and the hub it lies on, if it does."""
    files, hub = read.find(s3, asked)
    limit = row_limit(
        limit=asked["input"].get("limit"),
        max_jobs=asked.get("max_num_jobs") or None,
        max_records=min(asked.get("max_records_per_job") or quotas["max_records"], quotas["max_records"]),
    )
    return read.describe(s3, files, hub=hub, staged=staged, until=until, options=asked["input"], limit=limit), hub


def _check_output(wanted: Mapping[str, Any], table: pa.Schema, composed: request_body.Composed) -> None:
    """Refuse an output that could not be written, by its columns or its format."""
    written = output_schema(
        kept_columns(table, wanted.get("columns")),
        kind=composed.kind,
        prefix=wanted["prefix"],
        dimensions=composed.dimensions,
        answer_schema=wanted.get("schema"),
    )
    write.check(written, wanted["format"])


def _cut(
    s3: S3,
    asked: Mapping[str, Any],
    quotas: Mapping[str, int],
    table: read.Description,
    hub: Any,
    models: Sequence[Model],
    *,
    bucket: str,
    run_key: str,
) -> list[Shard]:
    """Cut the table into shards, with the size of a record as a sample of rows has it: the largest of all models'."""
    schema, media_bytes = _with_media(asked, table.schema, folder=f"s3://{bucket}/{run_key}")
    renderers = []
    for number, model in enumerate(models):
        if rendered_as(models, number) == number:
            with naming(model.label):
                likeliest = partial(sampling.longest_text, s3, table, hub=hub)
                renderers.append(_renderer(model, table, schema, nulls=asked["input"]["nulls"], likeliest=likeliest))
    return cut(
        table.layouts,
        bucket=bucket,
        run_key=run_key,
        quotas=quotas,
        max_records=asked.get("max_records_per_job"),
        max_jobs=asked.get("max_num_jobs") or None,
        # Media are not fetched for a sample; in a record they are base64.
        expansion=media.BASE64
        if "media" in asked
        else max(sampling.expansion(s3, table, renderer, hub=hub) for renderer in renderers),
        record_bytes=max(renderer.structure_bytes for renderer in renderers) + media_bytes,
        canary=asked["limits"]["canary_records"],
    )


def _renderer(
    model: Model, table: read.Description, schema: pa.Schema, *, nulls: Nulls, likeliest: Callable[[], str]
) -> Renders:
    """Return what renders the model's records; `likeliest` names the column that a run without a prompt may mean."""
    try:
        return renderer_of(table.table, model.composed.request, schema, nulls=nulls)
    except MissingColumn as err:
        if model.prompt is None or model.prompt["text"] != prompts.DEFAULT_EMBEDDING_PROMPT:
            raise
        ignored = model.asked.get("prompt_id")
        why = f"The module has no prompt {ignored!r}, and without one" if ignored else "Without a prompt"
        raise MissingColumn(
            f"{why} the column input_text is embedded, which the table does not have. {columns_are(schema.names)} "
            f'Name one of them: "prompt": {{"text": "{{{likeliest()}}}"}}.'
        ) from err


def _with_media(asked: Mapping[str, Any], schema: pa.Schema, *, folder: str) -> tuple[pa.Schema, int]:
    """Return the schema that the request's places are of, and how many bytes of media a record has on average."""
    if "media" not in asked:
        return schema, 0
    media.check(asked["media"], schema, nulls=asked["input"]["nulls"])
    size = media.record_bytes(asked["media"], schema, folder=folder)
    return media.extended(schema, asked["media"]), size

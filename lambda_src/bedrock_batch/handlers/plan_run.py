"""Plan run: check the run input, resolve it, read metadata only, cut shards, freeze all in `run.json`."""

import math
import os
import time
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from bedrock_batch import bodies, catalogue, ids, media, plan, prompts, rules, run_input
from bedrock_batch.adapters import clients, output, profiles, prompt_store, sampling, sources
from bedrock_batch.adapters.quotas import applied as applied_quotas
from bedrock_batch.adapters.s3 import S3
from bedrock_batch.columns import kept_columns, output_schema
from bedrock_batch.contracts import Run, Shard
from bedrock_batch.errors import InvalidRunInput, RunNameTaken, UnknownModel
from bedrock_batch.parse import embedding_parser, text_parser
from bedrock_batch.ready_made import renderer as renderer_of

_RESERVED_SECONDS = 60
"""What is left of the function's time for cutting and writing the plan."""


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the state that the run carries from here on: references and counts.

    The event holds `run_id`, `execution_arn` and the run's `input`.
    """
    s3 = S3(clients.s3())
    bucket, _, key = os.environ["SETTINGS_URI"].removeprefix("s3://").partition("/")
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

    `settings` is the module's: name, models, prompts, service_role_arn, kms_key_arn. `until` is the time.monotonic()
    by which all text files must have been read.
    """
    if not ids.RUN_ID.fullmatch(run_id):
        raise InvalidRunInput(f"The execution name {run_id!r} may hold only letters, digits, `-` and `_`.")
    asked = run_input.validate(input)
    digest = run_input.digest(asked)
    _check_name(s3, bucket, run_id, digest)
    family, warnings = _family(asked, settings["models"])
    warnings += rules.check_model(family, asked["model_id"], region=execution_arn.split(":")[3])
    prompt, composed = _compose(s3, asked, settings["prompts"], family)
    quotas, origins = applied_quotas(service_quotas, family.quota_label, family.quotas, custom=family.custom)
    if "media" in asked:
        quotas = media.lowered(quotas, asked["media"])
    table, hub = _describe(s3, asked, quotas, staged=(bucket, ids.staged_prefix(run_id)), until=until)
    _check_output(asked["output"], table.schema, composed)
    shards = _cut(s3, asked, quotas, table, hub, composed, bucket=bucket, run_key=ids.run_key(run_id))
    run = Run(
        run_id=run_id,
        execution_arn=execution_arn,
        input=asked,
        input_digest=digest,
        bucket=bucket,
        name=settings["name"],
        model_id=asked["model_id"],
        family=family.family,
        kind=composed.kind,
        invocation_type=family.invocation_type,
        service_role_arn=settings["service_role_arn"],
        kms_key_arn=settings.get("kms_key_arn"),
        request=composed.request,
        response=composed.response,
        dimensions=composed.dimensions,
        nulls=asked["input"]["nulls"],
        prompt=prompt,
        table=table.table.to_json(),
        sources=[source.to_json() for source in table.sources],
        shards=len(shards),
        quotas=quotas,
        limits=asked["limits"],
        output=asked["output"],
        dry_run=asked["dry_run"],
        canary=asked["limits"]["canary_records"] > 0,
        quota_origins=origins,
        warnings=warnings + composed.warnings,
        media=asked.get("media"),
    )
    s3.put_lines(bucket, ids.plan_key(run_id), (shard.to_json() for shard in shards))
    s3.put_json(bucket, ids.run_key(run_id), run.to_json())
    return {
        "run_id": run_id,
        "bucket": bucket,
        "prefix": ids.run_prefix(run_id),
        "run_key": ids.run_key(run_id),
        "plan_key": ids.plan_key(run_id),
        "rows": sum(shard.rows for shard in shards),
        "shards": len(shards),
        "dry_run": run.dry_run,
    }


def _check_name(s3: S3, bucket: str, run_id: str, digest: str) -> None:
    """Refuse a name whose run had another input: its files would be mixed with the new run's."""
    if next(iter(s3.list(bucket, ids.run_key(run_id))), None) is None:
        return
    if s3.get_json(bucket, ids.run_key(run_id))["input_digest"] != digest:
        raise RunNameTaken(
            f"A run named {run_id!r} exists and had another input. Start this one under another execution name."
        )


def _family(asked: Mapping[str, Any], models: list[str]) -> tuple[catalogue.Family, list[str]]:
    """Return the family of the model, or of the model behind the profile, and warnings."""
    model_id = asked["model_id"]
    if model_id not in models:
        raise UnknownModel(
            f"model_id {model_id!r} is not on the module's list ({', '.join(sorted(models))}). "
            "Use one of these, or add it to the module's `models`, from which its permissions are built."
        )
    behind, warnings = profiles.model_behind(lambda: clients.client("bedrock"), model_id)
    return catalogue.resolve(behind, asked.get("invocation_type")), warnings


def _compose(
    s3: S3, asked: dict[str, Any], known_prompts: Mapping[str, str], family: catalogue.Family
) -> tuple[dict[str, Any] | None, bodies.Composed]:
    """Return the prompt, if the run has one, and the body of a record; a bound on the answers goes into `asked`."""
    prompt = None
    if asked["input"].get("format") != "bedrock_jsonl":
        fetched = prompt_store.fetch(s3, lambda: clients.client("bedrock-agent"), asked.get("prompt"))
        prompt = prompts.resolve(asked, known_prompts, family, fetched=fetched)
    composed = bodies.compose(family, asked, prompt)
    # Paths that the join could not follow are refused before there is anything to join.
    if composed.dimensions is None:
        text_parser(composed.response)
    else:
        embedding_parser(composed.response, composed.dimensions)
    if composed.max_tokens:
        asked["inference"]["max_tokens"] = composed.max_tokens
    return prompt, composed


def _describe(
    s3: S3, asked: Mapping[str, Any], quotas: Mapping[str, int], *, staged: tuple[str, str], until: float
) -> tuple[sources.Description, Any]:
    """Return what the input is, and the hub it lies on, if it does."""
    files, hub = sources.find(s3, asked)
    limit = plan.row_limit(
        limit=asked["input"].get("limit"),
        max_jobs=asked.get("max_num_jobs"),
        max_records=min(asked.get("max_records_per_job") or quotas["max_records"], quotas["max_records"]),
    )
    return sources.describe(s3, files, hub=hub, staged=staged, until=until, options=asked["input"], limit=limit), hub


def _check_output(wanted: Mapping[str, Any], table: pa.Schema, composed: bodies.Composed) -> None:
    """Refuse an output that could not be written, by its columns or its format."""
    written = output_schema(
        kept_columns(table, wanted.get("columns")),
        kind=composed.kind,
        prefix=wanted["prefix"],
        dimensions=composed.dimensions,
        answer_schema=wanted.get("schema"),
    )
    output.check(written, wanted["format"])


def _cut(
    s3: S3,
    asked: Mapping[str, Any],
    quotas: Mapping[str, int],
    table: sources.Description,
    hub: Any,
    composed: bodies.Composed,
    *,
    bucket: str,
    run_key: str,
) -> list[Shard]:
    """Cut the table into shards, with the size of a record as a sample of rows has it."""
    schema, media_bytes = _with_media(asked, table.schema, folder=f"s3://{bucket}/{run_key}")
    renderer = renderer_of(table.table, composed.request, schema, nulls=asked["input"]["nulls"])
    return plan.cut(
        table.layouts,
        bucket=bucket,
        run_key=run_key,
        quotas=quotas,
        max_records=asked.get("max_records_per_job"),
        max_jobs=asked.get("max_num_jobs"),
        # Media are not fetched for a sample; in a record they are base64.
        expansion=media.BASE64 if "media" in asked else sampling.expansion(s3, table, renderer, hub=hub),
        record_bytes=renderer.structure_bytes + media_bytes,
        canary=asked["limits"]["canary_records"],
    )


def _with_media(asked: Mapping[str, Any], schema: pa.Schema, *, folder: str) -> tuple[pa.Schema, int]:
    """Return the schema that the request's places are of, and how many bytes of media a record has on average."""
    if "media" not in asked:
        return schema, 0
    media.check(asked["media"], schema, nulls=asked["input"]["nulls"])
    size = media.record_bytes(asked["media"], schema, folder=folder)
    return media.extended(schema, asked["media"]), size

"""Plan run: check the run input, resolve it, read metadata only, cut shards, freeze all in `run.json`."""

import os
from collections.abc import Mapping
from typing import Any

from bedrock_batch import catalogue, ids, plan, prompts, requests, run_input
from bedrock_batch.adapters import clients, sources
from bedrock_batch.adapters.s3 import S3
from bedrock_batch.contracts import Run
from bedrock_batch.errors import InvalidRunInput, RunNameTaken, UnknownModel
from bedrock_batch.join import output_schema
from bedrock_batch.render import Renderer


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the state that the run carries from here on: references and counts.

    The event holds `run_id`, `execution_arn` and the run's `input`.
    """
    s3 = S3(clients.s3())
    bucket, _, key = os.environ["SETTINGS_URI"].removeprefix("s3://").partition("/")
    settings = s3.get_json(bucket, key)
    return plan_run(s3, bucket=bucket, settings=settings, **event)


def plan_run(
    s3: S3,
    *,
    bucket: str,
    settings: Mapping[str, Any],
    run_id: str,
    execution_arn: str,
    input: Any,
) -> dict[str, Any]:
    """Plan the run and write `run.json` and `plan.jsonl`. Doing it twice writes the same bytes.

    `settings` is the module's: name, models, prompts, service_role_arn, kms_key_arn.
    """
    if not ids.RUN_ID.fullmatch(run_id):
        raise InvalidRunInput(f"The execution name {run_id!r} may hold only letters, digits, `-` and `_`.")
    asked = run_input.validate(input)
    digest = run_input.digest(asked)
    _check_name(s3, bucket, run_id, digest)
    family = _family(asked["model_id"], settings["models"])
    prompt = prompts.resolve(asked, settings["prompts"], family)
    request = requests.body_template(
        family,
        prompt=prompt["text"],
        system=prompt["system"],
        inference=asked["inference"],
        embedding=asked["embedding"],
    )
    dimensions = requests.dimensions(family, asked["embedding"])
    quotas = dict(family.quotas)
    max_records = asked.get("max_records_per_job")
    max_jobs = asked.get("max_num_jobs")
    table = sources.describe(
        s3,
        s3.find(asked["s3_uri"]),
        options=asked["input"],
        limit=plan.row_limit(
            limit=asked["input"].get("limit"),
            max_jobs=max_jobs,
            max_records=min(max_records or quotas["max_records"], quotas["max_records"]),
        ),
    )
    renderer = Renderer(request, table.schema, nulls=asked["input"]["nulls"])
    output_schema(table.schema, kind=family.kind, prefix=asked["output"]["prefix"], dimensions=dimensions)
    shards = plan.cut(
        table.layouts,
        bucket=bucket,
        run_key=ids.run_key(run_id),
        quotas=quotas,
        max_records=max_records,
        max_jobs=max_jobs,
        record_bytes=renderer.structure_bytes,
    )
    run = Run(
        run_id=run_id,
        execution_arn=execution_arn,
        input=asked,
        input_digest=digest,
        bucket=bucket,
        name=settings["name"],
        model_id=asked["model_id"],
        family=family.family,
        kind=family.kind,
        invocation_type=family.invocation_type,
        service_role_arn=settings["service_role_arn"],
        kms_key_arn=settings.get("kms_key_arn"),
        request=request,
        response=dict(family.response),
        dimensions=dimensions,
        nulls=asked["input"]["nulls"],
        prompt=prompt,
        table=table.table.to_json(),
        sources=[source.to_json() for source in table.sources],
        shards=len(shards),
        quotas=quotas,
        limits=asked["limits"],
        output={"format": "parquet", **asked["output"]},
        dry_run=asked["dry_run"],
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


def _family(model_id: str, models: list[str]) -> catalogue.Family:
    if model_id not in models:
        raise UnknownModel(
            f"model_id {model_id!r} is not on the module's list ({', '.join(sorted(models))}). "
            "Use one of these, or add it to the module's `models`, from which its permissions are built."
        )
    return catalogue.resolve(model_id)

"""Resolve the models of a run: the request to each, and its quotas."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bedrock_batch.answers.parse import without_contradictions
from bedrock_batch.aws import clients
from bedrock_batch.aws.quotas import applied as applied_quotas
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.settings import Settings
from bedrock_batch.errors import InvalidRunInput, UnknownModel, UnsupportedRequest, naming
from bedrock_batch.models import catalogue, json_pointer, profiles, prompt_store, prompts, refusals, request_body
from bedrock_batch.records import media
from bedrock_batch.records.body_check import BodyCheck
from bedrock_batch.run_input import validate


@dataclass(frozen=True, slots=True)
class Model:
    """One of the run's models, with its part of the run input, its request and its quotas.

    `label` is empty for the only model of a run. `behind` is the model's id, or the ARN of the model that an
    application inference profile calls.
    """

    label: str
    asked: dict[str, Any]
    behind: str
    family: catalogue.Family
    prompt: dict[str, Any] | None
    composed: request_body.Composed
    quotas: dict[str, int]
    origins: dict[str, str]
    warnings: list[str]
    retry_place: str | None

    @property
    def check(self) -> BodyCheck:
        """Return the check for ready-made bodies."""
        return BodyCheck(self.family, self.composed.response, self.composed.dimensions)


def resolve(
    s3: S3, service_quotas: Any, asked: Mapping[str, Any], settings: Settings, *, region: str, run_id: str
) -> list[Model]:
    """Return the models of the run `run_id`. In a run of several models, an error names the model."""
    fetched = None
    if asked["input"].get("format") != "bedrock_jsonl":
        fetched = prompt_store.fetch(s3, lambda: clients.client("bedrock-agent"), asked.get("prompt"))
    model_ids = validate.model_ids(asked)
    listed: dict[str, Any] = {}
    models = []
    for model_id in model_ids:
        label = model_id if len(model_ids) > 1 else ""
        own = validate.of_model(asked, model_id)
        with naming(label):
            behind, warnings = _behind(own, settings.models)
            family = catalogue.resolve(behind, own.get("invocation_type"))
            warnings += refusals.check_model(family, model_id, region=region)
            if family.custom:
                warnings += _for_jobs_alone(own)
            else:
                warnings += _settle_tier(own, behind)
            prompt, composed = _compose(own, settings.prompts, family, fetched)
            retry_place = _retry_place(family, own, composed)
        quotas, origins = applied_quotas(
            service_quotas, family.quota_label, family.quotas, run_id=run_id, custom=family.custom, listed=listed
        )
        if "media" in asked:
            quotas = media.lowered(quotas, asked["media"])
        warnings += prompts.warnings(own, settings.prompts, family) + composed.warnings
        models.append(Model(label, own, behind, family, prompt, composed, quotas, origins, warnings, retry_place))
    return models


def _for_jobs_alone(own: dict[str, Any]) -> list[str]:
    """Switch off the tail on demand for a custom model, which Bedrock offers only for jobs; return a warning.

    Raises:
        UnsupportedRequest: the run has a canary, which is answered on demand.
    """
    model_id, limits = own["model_id"], own["limits"]
    if limits["canary_records"]:
        raise UnsupportedRequest(
            f"limits.canary_records: {model_id} is a custom model. It cannot be called on demand, but a canary needs "
            "that. Remove limits.canary_records. For a trial, set input.limit."
        )
    if not limits["on_demand_tail"]:
        return []
    limits["on_demand_tail"] = False
    return [
        f"{model_id} is a custom model and cannot be called on demand. Leftovers that are too few for a job stay "
        "without an answer, as if limits.on_demand_tail were false."
    ]


def rendered_as(models: Sequence[Model], number: int) -> int:
    """Return the number of the first model with the same records: the same body and the same size limits."""
    own = models[number]
    # Objects that records refer to count towards the job's size, not the file's.
    sizes = ["max_file_bytes", "max_job_bytes"] if _refers(own.asked) else ["max_file_bytes"]
    return next(
        earlier
        for earlier, model in enumerate(models)
        if model.composed.request == own.composed.request
        and all(model.quotas[size] == own.quotas[size] for size in sizes)
    )


def _refers(asked: Mapping[str, Any]) -> bool:
    return bool(asked.get("media", {}).get("source") == "s3_location")


def _behind(asked: Mapping[str, Any], models: list[str]) -> tuple[str, list[str]]:
    """Return the model's id and warnings. For an application inference profile, return the ARN of its model."""
    model_id = asked["model_id"]
    if model_id not in models:
        raise UnknownModel(
            f"model_id {model_id!r} is not on the module's list ({', '.join(sorted(models))}). "
            "Use one of these, or add the model to the module's `models`, which gives the permission to use it."
        )
    return profiles.model_behind(lambda: clients.client("bedrock"), model_id)


def _settle_tier(own: dict[str, Any], behind: str) -> list[str]:
    """Replace the tier `auto` in the model's limits by the tier that its calls on demand use; return warnings.

    Without calls on demand there is no warning.
    """
    limits = own["limits"]
    known = catalogue.has_flex(behind)
    if limits["on_demand_tier"] == "auto":
        limits["on_demand_tier"] = "flex" if known else "default"
    if known or limits["on_demand_tier"] != "flex" or not (limits["on_demand_tail"] or limits["canary_records"]):
        return []
    return [
        f"limits.on_demand_tier: the catalogue does not say that {own['model_id']} has the service tier flex. The run "
        "tries it. If Bedrock refuses it, calls on demand use the default tier, at about twice the batch price."
    ]


def _compose(
    asked: dict[str, Any], known_prompts: Mapping[str, str], family: catalogue.Family, fetched: Any
) -> tuple[dict[str, Any] | None, request_body.Composed]:
    """Return the prompt, if the run has one, and the body of a record; set the most tokens of an answer in `asked`."""
    prompt = None
    if asked["input"].get("format") != "bedrock_jsonl":
        prompt = prompts.resolve(asked, known_prompts, family, fetched=fetched)
    composed = request_body.compose(family, asked, prompt)
    # Refuse paths that the join could not follow now, before any spend.
    paths = without_contradictions(composed.response, asked.get("response", {}), composed.dimensions)
    composed = replace(composed, response=paths)
    if composed.max_tokens:
        asked["inference"]["max_tokens"] = composed.max_tokens
    return prompt, composed


def _retry_place(family: catalogue.Family, asked: Mapping[str, Any], composed: request_body.Composed) -> str | None:
    """Return the place in the body of the limit that `retry.max_tokens` raises; None if no retry raises it.

    Raises:
        InvalidRunInput: nothing shows which records to ask again, or the body has no limit to raise.
        UnsupportedRequest: the model's own limit is lower than `retry.max_tokens`.
    """
    wanted = asked.get("retry")
    if wanted is None:
        return None
    if composed.kind != "text":
        raise InvalidRunInput("retry is only for models that answer with text. Remove it.")
    if "truncated" in wanted["outcomes"] and "stop_reason" not in composed.response:
        raise InvalidRunInput(
            "retry.outcomes has truncated, but the path of the stop reason is not known. Set response.stop_reason, or "
            "remove truncated."
        )
    most = wanted.get("max_tokens")
    if most is None:
        return None
    place = family.body.places.get("max_tokens") if family.body else None
    if place is None:
        raise InvalidRunInput(
            f"retry.max_tokens: the catalogue does not know which field of a request limits the answers of "
            f"{family.model} through {family.invocation_type}. Remove retry.max_tokens."
        )
    if composed.max_tokens is None:
        raise InvalidRunInput(
            "retry.max_tokens is set, but the first request has no limit. Set inference.max_tokens, or, if request is "
            f"the whole body, a number at its {place}."
        )
    if most <= composed.max_tokens:
        raise InvalidRunInput(
            f"retry.max_tokens is {most}, but must be more than max_tokens, which is {composed.max_tokens}."
        )
    limited = copy.deepcopy(composed.request)
    json_pointer.put(limited, place, most)
    refusals.check_body(family, limited)
    return place

"""The models of a run: what each is asked, and what it takes."""

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
    """One of the run's models: what it is asked, and what it takes.

    `label` is empty for the only model of a run. `behind` is its id, or the ARN of the model that an application
    inference profile calls.
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
        """What looks at bodies that the table brings along."""
        return BodyCheck(self.family, self.composed.response, self.composed.dimensions)


def resolve(
    s3: S3, service_quotas: Any, asked: Mapping[str, Any], settings: Settings, *, region: str, run_id: str
) -> list[Model]:
    """Return the models of the run `run_id`. Of several models, an error names the one that refuses something."""
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
    """Switch off the tail on demand for a custom model, as Bedrock offers it for jobs only; return a warning.

    Raises:
        UnsupportedRequest: the run has a canary, which is answered on demand.
    """
    model_id, limits = own["model_id"], own["limits"]
    if limits["canary_records"]:
        raise UnsupportedRequest(
            f"limits.canary_records: {model_id} is a custom model, which cannot be called on demand as canaries are. "
            "Leave it out, and start with input.limit for a trial."
        )
    if not limits["on_demand_tail"]:
        return []
    limits["on_demand_tail"] = False
    return [
        f"{model_id} is a custom model, which cannot be called on demand: records that are too few for a job stay "
        "without an answer, as with limits.on_demand_tail false."
    ]


def rendered_as(models: Sequence[Model], number: int) -> int:
    """Return the number of the first model that is sent the same records: same body, same limits of size."""
    own = models[number]
    # Objects that records refer to count against the job, not against the file.
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
    """Return the id of the model, or the ARN of the one behind an application inference profile, and warnings."""
    model_id = asked["model_id"]
    if model_id not in models:
        raise UnknownModel(
            f"model_id {model_id!r} is not on the module's list ({', '.join(sorted(models))}). "
            "Use one of these, or add it to the module's `models`, from which its permissions are built."
        )
    return profiles.model_behind(lambda: clients.client("bedrock"), model_id)


def _settle_tier(own: dict[str, Any], behind: str) -> list[str]:
    """Put the service tier of the model's calls on demand into its limits, for `auto`; return a warning.

    Without calls on demand there is nothing to warn of.
    """
    limits = own["limits"]
    known = catalogue.has_flex(behind)
    if limits["on_demand_tier"] == "auto":
        limits["on_demand_tier"] = "flex" if known else "default"
    if known or limits["on_demand_tier"] != "flex" or not (limits["on_demand_tail"] or limits["canary_records"]):
        return []
    return [
        f"limits.on_demand_tier: the catalogue does not know that {own['model_id']} has the service tier flex. It is "
        "tried. Where it is refused, calls on demand go to the default tier, at about twice the batch price."
    ]


def _compose(
    asked: dict[str, Any], known_prompts: Mapping[str, str], family: catalogue.Family, fetched: Any
) -> tuple[dict[str, Any] | None, request_body.Composed]:
    """Return the prompt, if the run has one, and the body of a record; a bound on the answers goes into `asked`."""
    prompt = None
    if asked["input"].get("format") != "bedrock_jsonl":
        prompt = prompts.resolve(asked, known_prompts, family, fetched=fetched)
    composed = request_body.compose(family, asked, prompt)
    # Paths that the join could not follow are refused before there is anything to join.
    paths = without_contradictions(composed.response, asked.get("response", {}), composed.dimensions)
    composed = replace(composed, response=paths)
    if composed.max_tokens:
        asked["inference"]["max_tokens"] = composed.max_tokens
    return prompt, composed


def _retry_place(family: catalogue.Family, asked: Mapping[str, Any], composed: request_body.Composed) -> str | None:
    """Return where in the body the limit stands that `retry.max_tokens` raises; None where nothing raises it.

    Raises:
        InvalidRunInput: nothing shows which answers to ask for again, or there is no way to give them a larger limit.
        UnsupportedRequest: the model has a lower limit than `retry.max_tokens`.
    """
    wanted = asked.get("retry")
    if wanted is None:
        return None
    if composed.kind != "text":
        raise InvalidRunInput("retry is for models that answer with text: leave it out.")
    if "truncated" in wanted["outcomes"] and "stop_reason" not in composed.response:
        raise InvalidRunInput(
            "retry.outcomes has truncated, but nothing tells why an answer stopped: give response.stop_reason, or "
            "leave truncated out."
        )
    most = wanted.get("max_tokens")
    if most is None:
        return None
    place = family.body.places.get("max_tokens") if family.body else None
    if place is None:
        raise InvalidRunInput(
            f"retry.max_tokens: the catalogue does not know which field of a request limits the answers of "
            f"{family.model} through {family.invocation_type}. Leave it out."
        )
    if composed.max_tokens is None:
        raise InvalidRunInput(
            "retry.max_tokens has no limit to be larger than: give inference.max_tokens, or, where request is the "
            f"whole body, a number in its {place}."
        )
    if most <= composed.max_tokens:
        raise InvalidRunInput(
            f"retry.max_tokens is {most}: it must be more than max_tokens, which is {composed.max_tokens}."
        )
    limited = copy.deepcopy(composed.request)
    json_pointer.put(limited, place, most)
    refusals.check_body(family, limited)
    return place

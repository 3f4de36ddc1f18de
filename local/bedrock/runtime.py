"""On-demand calls, InvokeModel and Converse: the same answers as in a batch."""

import json
from collections.abc import Mapping
from typing import Any

from local.bedrock import models, references, tiers
from local.bedrock.bodies import Refused
from local.bedrock.documents import digest
from local.bedrock.replies import author
from local.bedrock.service import ApiError, Service

_TIER = "X-Amzn-Bedrock-Service-Tier"
"""The header of InvokeModel; Converse has a member of the body."""


def call(
    service: Service, model_id: str, operation: str, body: dict[str, Any], headers: Mapping[str, str]
) -> tuple[int, dict[str, str], bytes]:
    """Answer one call of a model. The answer has the service tier of the request. Raises ApiError."""
    if models.is_custom(model_id):
        raise ApiError("ValidationException", "The provided model identifier is invalid.")
    model = service.profiles.behind(model_id)
    tier = _tier(operation, body, headers)
    try:
        answer = _answer(service, model, operation, body, called=model_id, tier=tier)
    except ApiError:
        service.on_demand_refused += 1
        raise
    service.on_demand[digest(model, body)] += 1
    answered = {
        "Content-Type": "application/json",
        "X-Amzn-Bedrock-Input-Token-Count": str(answer.input_tokens),
        "X-Amzn-Bedrock-Output-Token-Count": str(answer.output_tokens),
    }
    if tier and operation == "converse":
        return 200, answered, json.dumps(json.loads(answer.body) | {"serviceTier": {"type": tier}}).encode()
    return 200, answered | ({_TIER: tier} if tier else {}), answer.body.encode()


def _tier(operation: str, body: dict[str, Any], headers: Mapping[str, str]) -> str | None:
    """Return the service tier of a call, and remove it from Converse's body. Raises ApiError."""
    if operation != "converse":
        return next((value for name, value in headers.items() if name.lower() == _TIER.lower()), None)
    asked = body.pop("serviceTier", None)
    if asked is None:
        return None
    if not isinstance(asked, dict) or not isinstance(asked.get("type"), str):
        raise ApiError("ValidationException", "serviceTier: type is required.")
    return str(asked["type"])


def _answer(
    service: Service, model: str, operation: str, body: dict[str, Any], *, called: str, tier: str | None
) -> models.Answer:
    text = json.dumps(body | ({"serviceTier": tier} if tier else {}))
    if fault := service.settings.faults.take("fail_invoke", model_id=model, prompt=text):
        raise ApiError(fault["error"], fault.get("message", "Refused by a fault rule."))
    write = author(service.settings.config.answers)
    try:
        tiers.check(called, tier)
        references.check(body, model)
        if operation == "converse":
            return models.converse(model, body, write, nulls=False)
        return models.invoke(model, body, write)
    except Refused as refusal:
        raise ApiError("ValidationException", str(refusal)) from refusal

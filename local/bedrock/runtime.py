"""On-demand calls, InvokeModel and Converse: the same answers as in a batch."""

import json
from typing import Any

from local.bedrock import models, references
from local.bedrock.bodies import Refused
from local.bedrock.documents import digest
from local.bedrock.replies import author
from local.bedrock.service import ApiError, Service


def call(service: Service, model_id: str, operation: str, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    """Answer one call to a model. Raises ApiError."""
    if models.is_custom(model_id):
        raise ApiError("ValidationException", "The provided model identifier is invalid.")
    model = service.profiles.behind(model_id)
    try:
        answer = _answer(service, model, operation, body)
    except ApiError:
        service.on_demand_refused += 1
        raise
    service.on_demand[digest(model, body)] += 1
    headers = {
        "Content-Type": "application/json",
        "X-Amzn-Bedrock-Input-Token-Count": str(answer.input_tokens),
        "X-Amzn-Bedrock-Output-Token-Count": str(answer.output_tokens),
    }
    return 200, headers, answer.body.encode()


def _answer(service: Service, model: str, operation: str, body: dict[str, Any]) -> models.Answer:
    if fault := service.settings.faults.take("fail_invoke", model_id=model, prompt=json.dumps(body)):
        raise ApiError(fault["error"], fault.get("message", "Refused by a fault rule."))
    write = author(service.settings.config.answers)
    try:
        references.check(body, model)
        if operation == "converse":
            return models.converse(model, body, write, nulls=False)
        return models.invoke(model, body, write)
    except Refused as refusal:
        raise ApiError("ValidationException", str(refusal)) from refusal

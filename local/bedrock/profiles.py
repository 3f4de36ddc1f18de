"""Inference profiles: application inference profiles, which users make, and the models of all profiles."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import bedrock as engines_bedrock

from local.bedrock.models import base_model


@dataclass(slots=True)
class Profiles:
    """All application inference profiles by ARN. Cross-Region profiles need no list."""

    made: dict[str, dict[str, Any]] = field(default_factory=dict)

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer CreateInferenceProfile."""
        name, source = request["inferenceProfileName"], request["modelSource"]["copyFrom"]
        profile_id = hashlib.sha256(f"{get_account_id()} {get_region()} {name}".encode()).hexdigest()[:12]
        arn = f"arn:aws:bedrock:{get_region()}:{get_account_id()}:application-inference-profile/{profile_id}"
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        self.made[arn] = _described(name, arn, self.behind(source), "APPLICATION") | {
            "createdAt": now,
            "updatedAt": now,
        }
        engines_bedrock._inference_profiles_apps[profile_id] = {"InferenceProfileArn": arn}  # for the engine's tagging
        if request.get("tags"):
            engines_bedrock._tags[arn] = {tag["key"]: tag["value"] for tag in request["tags"]}
        return {"inferenceProfileArn": arn, "status": "ACTIVE"}

    def find(self, identifier: str) -> dict[str, Any] | None:
        """Return the answer of GetInferenceProfile; None if there is no such profile."""
        for arn, profile in self.made.items():
            if identifier in (arn, profile["inferenceProfileId"]):
                return profile
        profile_id = identifier.rsplit("/", 1)[-1]
        if base_model(profile_id) == profile_id or ":application-inference-profile/" in identifier:
            return None
        arn = f"arn:aws:bedrock:{get_region()}:{get_account_id()}:inference-profile/{profile_id}"
        return _described(profile_id, arn, base_model(profile_id), "SYSTEM_DEFINED")

    def behind(self, model_id: str) -> str:
        """Return the id of the base model of a model id, a profile id or an ARN of either."""
        profile = self.made.get(model_id)
        return base_model(profile["models"][0]["modelArn"] if profile else model_id)


def _described(name: str, arn: str, model: str, kind: str) -> dict[str, Any]:
    return {
        "inferenceProfileName": name,
        "inferenceProfileArn": arn,
        "inferenceProfileId": arn.rsplit("/", 1)[-1],
        "models": [{"modelArn": f"arn:aws:bedrock:{get_region()}::foundation-model/{model}"}],
        "status": "ACTIVE",
        "type": kind,
    }

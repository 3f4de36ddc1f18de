"""Service tiers of on-demand calls: the tiers that a model has, and how Bedrock refuses the others."""

from fnmatch import fnmatchcase

from local.bedrock.bodies import Refused

TIERS = ("priority", "default", "flex", "reserved")

_WITH_FLEX = (
    "amazon.nova-pro-*", "us.amazon.nova-pro-*", "us.amazon.nova-2-lite-*", "jp.amazon.nova-2-lite-*",
    "deepseek.v3.2", "us.deepseek.v3.2", "google.gemma-3-*", "minimax.minimax-m2*",
    "mistral.devstral-2-*", "mistral.magistral-*", "mistral.ministral-3-*", "mistral.mistral-large-3-*",
    "mistral.voxtral-*", "moonshotai.kimi-k2.5", "nvidia.nemotron-*", "openai.gpt-oss-*",
    "qwen.qwen3-235b-*", "qwen.qwen3-32b-*", "qwen.qwen3-coder-next", "writer.palmyra-vision-*",
    "zai.glm-4.7*", "us.zai.glm-5.3", "global.zai.glm-5.3", "us-gov.xai.grok-4.7",
)  # fmt: skip


def has_flex(called: str) -> bool:
    """Return whether a model or profile, given by id or ARN, has the tiers flex and priority."""
    return any(fnmatchcase(called.rsplit("/", 1)[-1], pattern) for pattern in _WITH_FLEX)


def check(called: str, tier: str | None) -> None:
    """Raise Refused for an unknown tier, or for a tier that the model does not have."""
    if tier is None or tier == "default":
        return
    if tier not in TIERS:
        raise Refused("service tier provided is invalid")
    if tier == "reserved":
        raise Refused("Reservation not found.")
    if not has_flex(called):
        raise Refused(f"The service tier {tier} is not supported for this model.")

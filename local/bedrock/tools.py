"""Calls of tools: if the body forces a call, the model makes one, with an input from the prompt's digest."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.bedrock.fitting import fitting

STOP_REASON = "tool_use"


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool, with an id in the style of models."""

    name: str
    input: dict[str, Any]
    id: str


def forced_call(body: Mapping[str, Any], prompt: str) -> Call | None:
    """Return the call that a body forces; None if the model may answer with text."""
    tools, choice = _tools(body)
    if choice is None or not tools:
        return None
    name = choice or next(iter(tools))
    schema = tools.get(name, {})
    digest = hashlib.sha256(prompt.encode()).hexdigest()[:8]
    return Call(name, fitting({"type": "object"} | schema, schema, digest), f"tooluse_{digest}")


def _tools(body: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Return the schemas of tools by name, and the tool that must be called: empty for any, None for none."""
    config = body.get("toolConfig")
    if config:  # Converse and Nova
        specs = [tool["toolSpec"] for tool in config["tools"]]
        chosen = config.get("toolChoice", {})
        forced = chosen["tool"]["name"] if "tool" in chosen else "" if "any" in chosen else None
        return {spec["name"]: spec["inputSchema"]["json"] for spec in specs}, forced
    tools, chosen = body.get("tools") or [], body.get("tool_choice") or {}
    if "anthropic_version" in body:
        forced = {"tool": chosen.get("name"), "any": ""}.get(chosen.get("type", ""))
        return {tool["name"]: tool["input_schema"] for tool in tools}, forced
    functions = {tool["function"]["name"]: tool["function"].get("parameters", {}) for tool in tools}
    if isinstance(chosen, Mapping):
        return functions, chosen["function"]["name"] if chosen else None
    return functions, "" if chosen in ("required", "any") else None

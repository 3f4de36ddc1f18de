"""Checks of request bodies: what the real models are known to refuse, record by record."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any


class Refused(Exception):
    """The model refuses this body: an error of the record in a batch, the same HTTP status on demand."""

    def __init__(self, message: str, code: int = 400) -> None:
        super().__init__(message)
        self.code = code


_AGAIN = ", please reformat your input and try again."
EXTRANEOUS = "Malformed input request: extraneous key [{}] is not permitted" + _AGAIN
MISSING = "Malformed input request: #: required key [{}] not found" + _AGAIN
# Highest accepted number of output tokens, where it is known to be enforced.
_CEILINGS = {
    "amazon.nova-micro": 10_000,
    "amazon.nova-2-lite": 65_535,
    "anthropic.claude-haiku-4-5": 64_000,
    "anthropic.claude-opus-5": 128_000,
    "google.gemma-3": 131_072,
    "meta.llama4": 8_192,
    "openai.gpt-oss": 128_000,
    "qwen.qwen3-32b": 32_768,
}
_ONE_OF_TWO = re.compile(r"anthropic\.claude-(haiku-4-5|sonnet-4-[56]|opus-4-[56])")
_NEITHER = re.compile(r"anthropic\.claude-(opus-4-[7-9]|opus-5|sonnet-5|fable)")


def ceiling(model: str, tokens: Any, temperature: Any, top_p: Any) -> None:
    """Refuse parameters that a model is known to refuse for every record, so that whole jobs are wasted."""
    if tokens is not None and (not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 1):
        raise Refused(f"max tokens: Input should be an integer of at least 1, not {tokens!r}")
    for prefix, most in _CEILINGS.items():
        if model.startswith(prefix) and tokens is not None and tokens > most:
            raise Refused(
                f"The maximum tokens you requested exceeds the model limit of {most}. "
                f"Try again with a maximum tokens value that is lower than {most}."
            )
    if temperature is not None and top_p is not None and _ONE_OF_TWO.match(model):
        raise Refused("`temperature` and `top_p` cannot both be specified for this model. Please use only one.")
    for name, value in (("temperature", temperature), ("top_p", top_p)):
        if value is not None and _NEITHER.match(model):
            raise Refused(f"`{name}` is deprecated for this model.")


def turns(body: dict[str, Any], read: Callable[[Any], str]) -> str:
    """Check the messages and return the text of the last one; `read` checks and joins the content of one."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refused(MISSING.format("messages"))
    if not all(isinstance(message, dict) and "content" in message for message in messages):
        raise Refused("messages: every message needs a role and a content.")
    if messages[0].get("role") == "assistant":
        raise Refused("A conversation must start with a user message. Try again with a conversation that does.")
    return [read(message["content"]) for message in messages][-1]


def blocks(content: Any, members: Sequence[str]) -> str:
    """Return the text of Converse content: blocks with exactly one member each."""
    if not isinstance(content, list) or not content:
        raise Refused("The content field of a message must be a list of content blocks.")
    texts = []
    for block in content:
        if not isinstance(block, dict) or len(block) != 1 or next(iter(block)) not in members:
            raise Refused(f"Malformed input request: a content block must have exactly one known member{_AGAIN}")
        if "cachePoint" in block:
            raise Refused("You do not have access to explicit prompt caching")
        if "text" in block:
            if not isinstance(block["text"], str) or not block["text"].strip():
                raise Refused("The text field in the ContentBlock object is blank. Add text to the text field.")
            texts.append(block["text"])
    return "\n".join(texts)


def typed(content: Any) -> str:
    """Return the text of content as Anthropic and OpenAI write it: a string, or parts with a `type`."""
    if isinstance(content, str):
        parts = [{"type": "text", "text": content}]
    elif isinstance(content, list) and content and all(isinstance(part, dict) for part in content):
        parts = content
    else:
        raise Refused("messages.0.content: Input should be a valid string or list of parts")
    for part in parts:
        if "type" not in part:
            raise Refused("messages.0.content.0.type: Field required")
        if part["type"] == "text" and not (isinstance(part.get("text"), str) and part["text"]):
            raise Refused("messages: text content blocks must be non-empty")
    return "\n".join(part["text"] for part in parts if part["type"] == "text")


def only(body: Mapping[str, Any], members: set[str], text: str) -> None:
    """Refuse members that the model does not know; `text` names the member at `{}`, or after it."""
    for name in body:
        if name not in members:
            raise Refused(text.format(name) if "{}" in text else f"{name}: {text}")


def member(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an optional object within a body; without it an empty one."""
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refused(f"Malformed input request: {name}: expected type: JSONObject{_AGAIN}")
    return value


def text(body: Mapping[str, Any], name: str) -> str:
    """Return a required text that must not be empty."""
    value = body.get(name)
    if value is None:
        raise Refused(MISSING.format(name))
    if not isinstance(value, str):
        raise Refused(f"Malformed input request: {name}: expected type: String{_AGAIN}")
    if not value:
        raise Refused(f"Malformed input request: expected minLength: 1, actual: 0{_AGAIN}")
    return value


def choice(value: Any, allowed: Sequence[int], name: str) -> int:
    """Return a number that must be one of `allowed`."""
    if value not in allowed:
        raise Refused(f"Malformed input request: {name}: {value!r} is not one of {list(allowed)}.")
    return int(value)

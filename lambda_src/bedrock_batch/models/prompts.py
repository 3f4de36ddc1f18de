"""Find the prompt of a run: one of the module's prompts, or one from the run input."""

import difflib
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from bedrock_batch.errors import UnknownPrompt
from bedrock_batch.models import template
from bedrock_batch.models.catalogue import Family

DEFAULT_EMBEDDING_PROMPT = "{input_text}"
"""The prompt of an embedding run without one: the column that the published AWS sample uses."""

MOST_BYTES = 1 << 20
"""Most bytes of all texts of a prompt. Every record repeats them."""

_VARIABLE = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")


def resolve(
    run_input: Mapping[str, Any],
    prompts: Mapping[str, str],
    family: Family,
    *,
    fetched: Mapping[str, Any] | None = None,
) -> dict[str, Any] | None:
    """Return `{"id", "text", "system", "messages", "sha256"}`, of which `id` and `system` may be None.

    `fetched` is the prompt from `s3_uri` or `arn`; `system` and `messages` of the run input replace those in it.
    Returns None if the run input's `request` is the whole body.

    Raises:
        UnknownPrompt: the module has no such prompt, a text model has none, or the turns do not alternate.
    """
    prompt_id = run_input.get("prompt_id")
    if "prompt" in run_input:
        return _prompt(None, **{**(fetched or {}), **_said(run_input["prompt"])})
    if not prompt_id or _is_ignored(prompt_id, prompts, family):
        if "request" in run_input:
            return None
        if family.kind == "embedding":
            return _prompt(None, DEFAULT_EMBEDDING_PROMPT)
        raise UnknownPrompt(f"A text model needs a prompt. Set prompt_id ({_known(prompts)}) or prompt.")
    if prompt_id not in prompts:
        raise UnknownPrompt(_unknown(prompt_id, prompts))
    return _prompt(prompt_id, prompts[prompt_id])


def warnings(run_input: Mapping[str, Any], prompts: Mapping[str, str], family: Family) -> list[str]:
    """Return warnings about a prompt of the run input that `resolve` ignores."""
    prompt_id = run_input.get("prompt_id")
    if not prompt_id or not _is_ignored(prompt_id, prompts, family):
        return []
    instead = "request is the whole body" if "request" in run_input else "the column input_text is embedded"
    return [f"{_unknown(prompt_id, prompts)} It is ignored: {instead}."]


def _is_ignored(prompt_id: str, prompts: Mapping[str, str], family: Family) -> bool:
    """Return whether the prompt does not exist but is not needed either: the AWS sample has none for embeddings."""
    return family.kind == "embedding" and prompt_id not in prompts


def _unknown(prompt_id: str, prompts: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(prompt_id, prompts, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"{_known(prompts)}."
    return f"prompt_id {prompt_id!r} is not one of the module's prompts: {hint}"


def from_document(key: str, body: bytes) -> dict[str, Any]:
    """Return the prompt of an object: its text, or for a `.json` object its `text`, `system` and `messages`.

    Raises:
        UnknownPrompt: the object is not UTF-8, or its JSON has another form.
    """
    try:
        text = body.decode("utf-8-sig")
        if not key.lower().endswith(".json"):
            return {"text": text}
        found = json.loads(text)
        json.dumps(found, ensure_ascii=False).encode()  # No record can hold half a surrogate pair.
    except UnicodeDecodeError as err:
        raise UnknownPrompt(f"The prompt in {key} is not UTF-8 (byte {err.start}). Save it as UTF-8.") from None
    except (ValueError, RecursionError) as err:
        raise UnknownPrompt(f"The prompt in {key} cannot be read: {err}") from err
    if not isinstance(found, dict) or not isinstance(found.get("text"), str) or set(found) - _PARTS:
        raise UnknownPrompt(f"The prompt in {key} must be a JSON object with text and perhaps system and messages.")
    if not _are_turns(found.get("messages", [])) or not isinstance(found.get("system", ""), str):
        raise UnknownPrompt(
            f'The prompt in {key}: system must be a text, messages a list of {{"role": "user", "text": …}}.'
        )
    return found


def from_management(prompt: Mapping[str, Any]) -> dict[str, Any]:
    """Return the default variant of a prompt of Bedrock Prompt Management (the answer of GetPrompt), as templates.

    Its model and its inference parameters are ignored: the run input has its own.

    Raises:
        UnknownPrompt: a batch cannot use this variant.
    """
    name = prompt.get("name", "")
    variants = prompt.get("variants", [])
    variant = next((one for one in variants if one["name"] == prompt.get("defaultVariant")), None)
    variant = variant or (variants[0] if variants else {})
    written: dict[str, Any] = variant.get("templateConfiguration", {})
    if "text" in written:
        return {"text": _template(written["text"]["text"])}
    if "chat" not in written:
        raise UnknownPrompt(f"The prompt {name!r} of Prompt Management has no text. Add one to its default variant.")
    turns = [{"role": turn["role"], "text": _texts(turn["content"])} for turn in written["chat"]["messages"]]
    if not turns or turns[-1]["role"] != "user":
        raise UnknownPrompt(f"The chat prompt {name!r} of Prompt Management must end with a message of the user.")
    found: dict[str, Any] = {"text": turns[-1]["text"]}
    if turns[:-1]:
        found["messages"] = turns[:-1]
    system = _texts(written["chat"].get("system") or [])
    return found | ({"system": system} if system.strip() else {})


_PARTS = {"text", "system", "messages"}


def _said(prompt: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in prompt.items() if key in _PARTS}


def _prompt(
    prompt_id: str | None, text: str, system: str | None = None, messages: list[dict[str, str]] | None = None
) -> dict[str, Any]:
    messages = messages or []
    for index, message in enumerate([*messages, {"role": "user"}]):
        if message["role"] != ("user", "assistant")[index % 2]:
            raise UnknownPrompt(
                "prompt.messages must alternate between user and assistant, begin with user, and end with assistant: "
                f"the prompt itself follows. Message {index + 1} breaks this rule."
            )
    size = sum(len(said.encode(errors="replace")) for said in (text, system or "", *(one["text"] for one in messages)))
    if size > MOST_BYTES:
        raise UnknownPrompt(
            f"{f'The prompt {prompt_id!r}' if prompt_id else 'The prompt'} has {size} bytes, with system prompt and "
            f"examples, but may have at most {MOST_BYTES}, because every record repeats it. Shorten it."
        )
    named = {f"The module's prompt {prompt_id!r}" if prompt_id else "prompt.text": text}
    if system is not None:
        named["prompt.system"] = system
    _check_texts(named | {f"prompt.messages.{index}.text": one["text"] for index, one in enumerate(messages)})
    written = [text, system or "", *(value for message in messages for value in (message["role"], message["text"]))]
    sha256 = hashlib.sha256("\0".join(written).encode(errors="replace")).hexdigest()
    return {"id": prompt_id, "text": text, "system": system, "messages": messages, "sha256": sha256}


def _check_texts(named: Mapping[str, str]) -> None:
    """Refuse a text that models refuse because it is blank, or that has unmatched braces; the message has its name."""
    for where, text in named.items():
        if not text.strip():
            raise UnknownPrompt(f"{where} is blank, so every record would be refused. Write a text into it.")
        template.parse_at(where, text)


def _are_turns(messages: Any) -> bool:
    return isinstance(messages, list) and all(
        isinstance(message, dict)
        and set(message) == {"role", "text"}
        and message["role"] in ("user", "assistant")
        and isinstance(message["text"], str)
        for message in messages
    )


def _template(text: str) -> str:
    """Turn a text of Prompt Management, in which only `{{variable}}` is a place, into our template."""
    split = _VARIABLE.split(text)
    literals = [literal.replace("{", "{{").replace("}", "}}") for literal in split[::2]]
    places = [f"{{{name}}}" for name in split[1::2]]
    return "".join(one for pair in zip(literals, [*places, ""], strict=True) for one in pair)


def _texts(blocks: Any) -> str:
    return "\n".join(_template(block["text"]) for block in blocks if "text" in block)


def _known(prompts: Mapping[str, str]) -> str:
    return f"known prompts: {', '.join(sorted(prompts))}" if prompts else "the module has no prompts yet"

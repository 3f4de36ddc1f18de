"""Find the prompt of a run: one of the module's, or one written in the run input."""

import difflib
import hashlib
from collections.abc import Mapping
from typing import Any

from bedrock_batch.catalogue import Family
from bedrock_batch.errors import UnknownPrompt
from bedrock_batch.requests import DEFAULT_EMBEDDING_PROMPT


def resolve(run_input: Mapping[str, Any], prompts: Mapping[str, str], family: Family) -> dict[str, Any]:
    """Return `{"id", "text", "system", "sha256"}`; `id` and `system` may be None.

    Raises:
        UnknownPrompt: the module has no such prompt, or a text model was given none.
    """
    prompt_id = run_input.get("prompt_id")
    if "prompt" in run_input:
        return _prompt(None, run_input["prompt"]["text"], run_input["prompt"].get("system"))
    if prompt_id is None:
        if family.kind == "embedding":
            return _prompt(None, DEFAULT_EMBEDDING_PROMPT, None)
        raise UnknownPrompt(f"A text model needs a prompt: give prompt_id ({_known(prompts)}) or prompt.")
    if prompt_id not in prompts:
        near = difflib.get_close_matches(prompt_id, prompts, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"{_known(prompts)}."
        raise UnknownPrompt(f"prompt_id {prompt_id!r} is not one of the module's prompts: {hint}")
    return _prompt(prompt_id, prompts[prompt_id], None)


def _prompt(prompt_id: str | None, text: str, system: str | None) -> dict[str, Any]:
    sha256 = hashlib.sha256("\0".join([text, system or ""]).encode()).hexdigest()
    return {"id": prompt_id, "text": text, "system": system, "sha256": sha256}


def _known(prompts: Mapping[str, str]) -> str:
    return f"known prompts: {', '.join(sorted(prompts))}" if prompts else "the module has no prompts yet"

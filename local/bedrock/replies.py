"""The text of a model's answer. It depends only on the prompt, so a test can find the prompt of an answer.

A prompt that asks for JSON by a schema gets an object of that schema, as a model would answer.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from local.bedrock.fitting import fitting, schema_in


@dataclass(frozen=True, slots=True)
class Reply:
    """A text model's answer, its reasoning and its stop reason.

    With the stop reason `guardrail_intervened` the text is a guardrail's message.
    """

    text: str
    stop_reason: str = "end_turn"
    reasoning: str = ""


# Returns the reply to a prompt for a base model id. The default is `reply`; a test may configure others.
Author = Callable[[str, str], Reply]


def reply(prompt: str, model: str = "") -> Reply:
    """Return `answer`, 8 hex digits of the prompt's SHA-256 and the prompt's last five words; or JSON, if asked for."""
    digest = hashlib.sha256(prompt.encode()).hexdigest()[:8]
    schema = schema_in(prompt)
    if schema is not None:
        return Reply(json.dumps(fitting(schema, schema, digest), ensure_ascii=False))
    return Reply(" ".join(["answer", digest, *prompt.split()[-5:]]))


def author(rules: Sequence[Mapping[str, Any]]) -> Author:
    """Return an author that follows the `answers` setting and falls back to `reply`.

    `prompt_contains` may be a list: the prompt must contain one of its texts. `text` may be a list: the prompt's digest
    chooses one. `{hash}` in it becomes the digest, and `{tail}` the last five words.
    """

    def write(prompt: str, model: str) -> Reply:
        for rule in rules:
            wanted = rule.get("prompt_contains", "")
            said = any(text in prompt for text in ([wanted] if isinstance(wanted, str) else wanted))
            if said and rule.get("model_id_contains", "") in model:
                digest = hashlib.sha256(prompt.encode()).hexdigest()[:8]
                texts = rule.get("text", "")
                text = texts if isinstance(texts, str) else texts[int(digest, 16) % len(texts)]
                text = text.replace("{hash}", digest).replace("{tail}", " ".join(prompt.split()[-5:]))
                return Reply(text, rule.get("stop_reason", "end_turn"), rule.get("reasoning", ""))
        return reply(prompt)

    return write


def cut(said: Reply, most: int | None, cut_reason: str, ended: str = "end_turn") -> Reply:
    """Cut a reply after `most` words, each one token, and name the stop reason as the family does."""
    words = said.text.split()
    if most is not None and len(words) > most:
        return replace(said, text=" ".join(words[:most]), stop_reason=cut_reason)
    return replace(said, stop_reason=ended if said.stop_reason == "end_turn" else said.stop_reason)

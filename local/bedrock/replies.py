"""What a text model says: made from the prompt alone, so that a test knows whose answer it is.

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
    """What a text model says, what it thought before, and why it stopped where it did.

    With the stop reason `guardrail_intervened` the text is a guardrail's message.
    """

    text: str
    stop_reason: str = "end_turn"
    reasoning: str = ""


# From a prompt and a base model id to the reply: the built-in one is `reply`, a test may configure others.
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

    `prompt_contains` may be a list, of which one text must be there. `text` may be a list, from which the prompt's
    digest picks one. In it `{hash}` becomes the digest and `{tail}` the last five words.
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

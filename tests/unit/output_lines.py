"""Output lines as Bedrock writes them, and answers as each model family shapes them."""

import json
from typing import Any

CONVERSE = {
    "text": "output.message.content[].text",
    "stop_reason": "stopReason",
    "input_tokens": "usage.inputTokens",
    "output_tokens": "usage.outputTokens",
}
TITAN = {"embedding": "embedding", "input_tokens": "inputTextTokenCount"}

_UNUSED = [
    "text",
    "reasoningContent",
    "toolUse",
    "toolResult",
    "image",
    "audio",
    "video",
    "document",
    "guardContent",
    "cachePoint",
    "citationsContent",
    "searchResult",
]


def block(**members: Any) -> dict[str, Any]:
    """Return a Converse content block: Bedrock writes the members that are not used as nulls."""
    return dict.fromkeys(_UNUSED) | members


def converse(*texts: str, stop: str | None = "end_turn", tokens: tuple[int, int] = (7, 3)) -> dict[str, Any]:
    return {
        "output": {"message": {"role": "assistant", "content": [block(text=text) for text in texts]}},
        "stopReason": stop,
        "usage": {
            "inputTokens": tokens[0],
            "outputTokens": tokens[1],
            "totalTokens": sum(tokens),
            "cacheReadInputTokens": None,
            "cacheReadInputTokenCount": None,
            "serverToolUsage": {"webSearchRequests": None},
        },
        "metrics": {"latencyMs": 812},
    }


def line(record_id: Any, output: Any = None, **members: Any) -> bytes:
    """Return an output line with its echo, without its newline."""
    value = {"recordId": record_id, "modelInput": {"messages": [{"content": [{"text": 'say "hi"\n'}]}]}}
    if output is not None:
        value["modelOutput"] = output
    return json.dumps(value | members, ensure_ascii=False).encode()

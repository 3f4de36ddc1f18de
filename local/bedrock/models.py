"""The answers of models: one function for each family turns a request body into the JSON text of a response body.

No model runs: `replies` makes the text of an answer, `vectors` an embedding, both from the request alone. A
body that the real model refuses raises `bodies.Refused`, as far as its rules are known.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from local.bedrock import bodies
from local.bedrock.replies import Author, Reply, cut, reply
from local.bedrock.tools import STOP_REASON, forced_call
from local.bedrock.vectors import vector


@dataclass(frozen=True, slots=True)
class Answer:
    """A response body as JSON text, and its tokens."""

    body: str
    input_tokens: int
    output_tokens: int


def base_model(model_id: str) -> str:
    """Return the id of the base model behind a model id, a profile id or an ARN of either."""
    _, custom, rest = model_id.partition(_CUSTOM)
    if custom:  # …/amazon.titan-embed-text-v2:0:8k/abc123: `:8k` is not part of the base model's id.
        return re.sub(r":[0-9]+k$", "", rest.split("/")[0])
    return GEOGRAPHY.sub("", model_id.rsplit("/", 1)[-1])


def is_custom(model_id: str) -> bool:
    """Return whether an ARN names a custom model."""
    return _CUSTOM in model_id


_CUSTOM = ":custom-model/"
GEOGRAPHY = re.compile(r"^(us-gov|us|eu|apac|jp|au|ca|global)\.")
"""The beginning of the id of a cross-Region profile; the model's id follows."""


def invoke(model: str, body: dict[str, Any], write: Author = reply) -> Answer:
    """Answer an InvokeModel body. Raises bodies.Refused."""
    family = next((family for prefix, family in _FAMILIES.items() if model.startswith(prefix)), _chat)
    touched = False

    def noted(prompt: str, model: str) -> Reply:
        nonlocal touched
        said = write(prompt, model)
        touched = said.stop_reason == _GUARDRAIL
        return replace(said, stop_reason="end_turn") if touched else said

    answer = family(model, body, noted)
    # The model's own stop reason does not show the guardrail; Bedrock adds a member for that.
    action = {"amazon-bedrock-guardrailAction": "INTERVENED"}
    return replace(answer, body=_json(json.loads(answer.body) | action)) if touched else answer


_GUARDRAIL = "guardrail_intervened"


def converse(model: str, body: dict[str, Any], write: Author = reply, *, nulls: bool = True) -> Answer:
    """Answer a Converse body. With `nulls`, unused members are null: a batch writes them, the API does not."""
    if "embed" in model:
        raise bodies.Refused("This action doesn't support the model that you provided.")
    bodies.only(body, _CONVERSE_MEMBERS, "Extra inputs are not permitted")
    prompt = bodies.turns(body, lambda content: bodies.blocks(content, _CONVERSE_BLOCKS))
    limits = bodies.member(body, "inferenceConfig")
    bodies.ceiling(model, limits.get("maxTokens"), limits.get("temperature"), limits.get("topP"))
    said = cut(write(prompt, model), limits.get("maxTokens"), "max_tokens")
    tokens = _tokens(body), len(said.text.split())
    content, stop_reason = _blocks(body, prompt, said)
    answer: dict[str, Any] = {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop_reason,
        "usage": {"inputTokens": tokens[0], "outputTokens": tokens[1], "totalTokens": sum(tokens)},
        "metrics": {"latencyMs": 10 + tokens[1]},
    }
    if nulls:
        answer["output"]["message"]["content"] = [dict.fromkeys(_CONVERSE_BLOCKS) | block for block in content]
        answer["usage"] |= dict.fromkeys(_UNUSED_USAGE) | {"serverToolUsage": {"webSearchRequests": None}}
    return Answer(_json(answer), *tokens)


def _blocks(body: dict[str, Any], prompt: str, said: Reply) -> tuple[list[dict[str, Any]], str]:
    """Return the content of an answer, as Converse and Nova have it, and the stop reason."""
    thought = {"reasoningContent": {"reasoningText": {"text": said.reasoning, "signature": None}}}
    content: list[dict[str, Any]] = [thought] if said.reasoning else []
    call = forced_call(body, prompt)
    if call:
        return [*content, {"toolUse": {"toolUseId": call.id, "name": call.name, "input": call.input}}], STOP_REASON
    return [*content, *([{"text": said.text}] if said.text else [])], said.stop_reason


_CONVERSE_MEMBERS = {
    "messages", "system", "inferenceConfig", "additionalModelRequestFields", "promptVariables", "toolConfig",
    "additionalModelResponseFieldPaths", "outputConfig", "performanceConfig", "guardrailConfig",
}  # fmt: skip
_CONVERSE_BLOCKS = (
    "text", "reasoningContent", "toolUse", "toolResult", "image", "audio", "video", "document",
    "guardContent", "cachePoint", "citationsContent", "searchResult",
)  # fmt: skip
_UNUSED_USAGE = (
    "cacheReadInputTokens", "cacheWriteInputTokens", "cacheReadInputTokenCount", "cacheWriteInputTokenCount",
    "cacheDetails",
)  # fmt: skip


# --- Families of InvokeModel bodies ---


def _claude(model: str, body: dict[str, Any], write: Author) -> Answer:
    for name in ("anthropic_version", "max_tokens", "messages"):
        if name not in body:
            raise bodies.Refused(f"{name}: Field required")
    bodies.only(body, _CLAUDE_MEMBERS, "Extra inputs are not permitted")
    prompt = bodies.turns(body, bodies.typed)
    bodies.ceiling(model, body["max_tokens"], body.get("temperature"), body.get("top_p"))
    said = cut(write(prompt, model), body["max_tokens"], "max_tokens")
    tokens = _tokens(body), len(said.text.split())
    content: list[dict[str, Any]] = [{"type": "text", "text": said.text}] if said.text else []
    call = forced_call(body, prompt)
    if call:
        content = [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.input}]
    if said.reasoning:
        content.insert(0, {"type": "thinking", "thinking": said.reasoning, "signature": "c2ln"})
    answer = {
        "model": model.removeprefix("anthropic."),
        "id": f"msg_bdrk_{hashlib.sha256(prompt.encode()).hexdigest()[:24]}",
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": STOP_REASON if call else said.stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": tokens[0], "output_tokens": tokens[1]},
    }
    return Answer(_json(answer), *tokens)


_CLAUDE_MEMBERS = {
    "anthropic_version", "anthropic_beta", "max_tokens", "messages", "system", "metadata", "stop_sequences",
    "temperature", "top_p", "top_k", "thinking", "tools", "tool_choice", "output_config",
}  # fmt: skip


def _nova(model: str, body: dict[str, Any], write: Author) -> Answer:
    bodies.only(body, {"schemaVersion", "messages", "system", "inferenceConfig", "toolConfig"}, bodies.EXTRANEOUS)
    limits = bodies.member(body, "inferenceConfig")
    bodies.only(limits, {"maxTokens", "temperature", "topP", "topK", "stopSequences"}, bodies.EXTRANEOUS)
    prompt = bodies.turns(body, lambda content: bodies.blocks(content, _CONVERSE_BLOCKS))
    bodies.ceiling(model, limits.get("maxTokens"), None, None)
    said = cut(write(prompt, model), limits.get("maxTokens"), "max_tokens")
    tokens = _tokens(body), len(said.text.split())
    content, stop_reason = _blocks(body, prompt, said)
    answer = {
        "output": {"message": {"content": content, "role": "assistant"}},
        "stopReason": stop_reason,
        "usage": {
            "inputTokens": tokens[0],
            "outputTokens": tokens[1],
            "totalTokens": sum(tokens),
            "cacheReadInputTokenCount": 0,
            "cacheWriteInputTokenCount": 0,
        },
    }
    return Answer(_json(answer), *tokens)


def _llama(model: str, body: dict[str, Any], write: Author) -> Answer:
    bodies.only(body, {"prompt", "max_gen_len", "temperature", "top_p", "images"}, bodies.EXTRANEOUS)
    prompt = bodies.text(body, "prompt")
    bodies.ceiling(model, body.get("max_gen_len"), None, None)
    said = cut(write(prompt, model), body.get("max_gen_len"), "length", ended="stop")
    tokens = _tokens(body), len(said.text.split())
    answer = {
        "generation": said.text,
        "prompt_token_count": tokens[0],
        "generation_token_count": tokens[1],
        "stop_reason": said.stop_reason,
    }
    return Answer(_json(answer), *tokens)


def _chat(model: str, body: dict[str, Any], write: Author) -> Answer:
    """Answer in the shape of OpenAI chat completions, which most other families share."""
    bodies.only(body, _CHAT_MEMBERS, bodies.EXTRANEOUS)
    prompt = bodies.turns(body, bodies.typed)
    most = body.get("max_completion_tokens", body.get("max_tokens"))
    bodies.ceiling(model, most, None, None)
    said = cut(write(prompt, model), most, "length", ended="stop")
    tokens = _tokens(body), len(said.text.split())
    message: dict[str, Any] = {"role": "assistant", "content": said.text}
    if model.startswith("openai."):  # gpt-oss puts its reasoning in front of the answer under InvokeModel
        message["content"] = f"<reasoning>{said.reasoning or 'A short thought.'}</reasoning>{said.text}"
    elif said.reasoning:
        message["reasoning_content"] = said.reasoning
    call = forced_call(body, prompt)
    if call:
        function = {"name": call.name, "arguments": _json(call.input)}
        message |= {"content": None, "tool_calls": [{"id": call.id, "type": "function", "function": function}]}
    answer = {
        "id": f"chatcmpl-{hashlib.sha256(prompt.encode()).hexdigest()[:24]}",
        "object": "chat.completion",
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if call else said.stop_reason}],
        "usage": {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)},
    }
    return Answer(_json(answer), *tokens)


_CHAT_MEMBERS = {
    "messages", "model", "stream", "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop",
    "seed", "n", "presence_penalty", "frequency_penalty", "response_format", "reasoning_effort", "tools",
    "tool_choice",
}  # fmt: skip


def _mistral_text(model: str, body: dict[str, Any], write: Author) -> Answer:
    """Answer the text body of Mistral's first models. Later ones have the chat body."""
    bodies.only(body, {"prompt", "max_tokens", "temperature", "top_p", "top_k", "stop"}, bodies.EXTRANEOUS)
    prompt = bodies.text(body, "prompt")
    said = cut(write(prompt, model), body.get("max_tokens"), "length", ended="stop")
    answer = {"outputs": [{"text": said.text, "stop_reason": said.stop_reason}]}
    return Answer(_json(answer), _tokens(body), len(said.text.split()))


def _titan_text(model: str, body: dict[str, Any], write: Author) -> Answer:
    bodies.only(body, {"inputText", "dimensions", "normalize", "embeddingTypes"}, bodies.EXTRANEOUS)
    text = bodies.text(body, "inputText")
    dimensions = bodies.choice(body.get("dimensions", 1024), (1024, 512, 256), "dimensions")
    types = body.get("embeddingTypes", ["float"])
    if not isinstance(types, list) or not types or not {"float", "binary"}.issuperset(types):
        raise bodies.Refused("Malformed input request: embeddingTypes must hold float, binary or both.")
    length = 1.0 if body.get("normalize", True) else 10.0
    tokens = _tokens(text)
    vectors = {kind: vector(text, dimensions, length=length, binary=kind == "binary") for kind in types}
    by_type = ", ".join(f'"{kind}": {numbers}' for kind, numbers in vectors.items())
    first = f'"embedding": {vectors["float"]}, ' if "float" in vectors else ""
    return Answer(f'{{{first}"embeddingsByType": {{{by_type}}}, "inputTextTokenCount": {tokens}}}', tokens, 0)


def _titan_multimodal(model: str, body: dict[str, Any], write: Author) -> Answer:
    bodies.only(body, {"inputText", "inputImage", "embeddingConfig"}, bodies.EXTRANEOUS)
    text = f"{body.get('inputText', '')}{body.get('inputImage', '')}"
    if not text:
        raise bodies.Refused(bodies.MISSING.format("inputText"))
    dimensions = bodies.member(body, "embeddingConfig").get("outputEmbeddingLength", 1024)
    bodies.choice(dimensions, (1024, 384, 256), "outputEmbeddingLength")
    tokens = _tokens(body.get("inputText", ""))
    embedding = vector(text, dimensions)
    return Answer(f'{{"embedding": {embedding}, "inputTextTokenCount": {tokens}, "message": null}}', tokens, 0)


def _nova_embeddings(model: str, body: dict[str, Any], write: Author) -> Answer:
    request = bodies.member(body, "singleEmbeddingParams")
    if body.get("taskType") != "SINGLE_EMBEDDING" or "embeddingPurpose" not in request:
        raise bodies.Refused("Malformed input request: expected taskType SINGLE_EMBEDDING with an embeddingPurpose.")
    kind = next((kind for kind in ("text", "image", "video", "audio") if kind in request), None)
    if kind is None:
        raise bodies.Refused("Malformed input request: expected one of text, image, video, audio.")
    dimensions = bodies.choice(request.get("embeddingDimension", 3072), (3072, 1024, 384, 256), "embeddingDimension")
    source = bodies.text(bodies.member(request, "text"), "value") if kind == "text" else _json(request[kind])
    embedding = vector(source, dimensions)
    body_text = f'{{"embeddings": [{{"embeddingType": "{kind.upper()}", "embedding": {embedding}}}]}}'
    return Answer(body_text, _tokens(source), 0)


# The first prefix that fits decides, so the longer ones come first.
_FAMILIES: dict[str, Callable[[str, dict[str, Any], Author], Answer]] = {
    "amazon.titan-embed-text": _titan_text,
    "amazon.titan-embed-image": _titan_multimodal,
    "amazon.nova-2-multimodal-embeddings": _nova_embeddings,
    "amazon.nova": _nova,
    "anthropic.": _claude,
    "meta.": _llama,
    "mistral.mistral-small-2402": _mistral_text,
}


def _tokens(body: Any) -> int:
    """Return a token count: a quarter of the characters of all text, and at least 1."""
    return max(1, len(body if isinstance(body, str) else _json(body)) // 4)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)

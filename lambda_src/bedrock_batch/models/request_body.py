"""Build the body of a record, `modelInput`, as a template: from the catalogue, the prompt and the run input.

String values are templates with `{column}` places; all other text is escaped.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bedrock_batch.errors import InvalidRunInput, UnsupportedRequest
from bedrock_batch.models import json_pointer, refusals
from bedrock_batch.models.answer_paths import answer_paths
from bedrock_batch.models.catalogue import Body, Family

_SCHEMA_PROMPT = "\n\nAnswer with one JSON object that fits this JSON Schema, and with nothing else:\n"


@dataclass(frozen=True, slots=True)
class Composed:
    """A request to the model and the paths of its answer. `max_tokens` is the most tokens of an answer."""

    request: dict[str, Any]
    response: dict[str, str]
    kind: Literal["text", "embedding"]
    dimensions: int | None
    max_tokens: int | None
    warnings: list[str]


def compose(family: Family, asked: Mapping[str, Any], prompt: Mapping[str, Any] | None) -> Composed:
    """Return the body template and the response paths of a run. Without a prompt, `request` is the whole body.

    `asked` is the validated run input. `prompt` comes from `prompts.resolve`.

    Raises:
        UnsupportedRequest: the model refuses what the run asks for, or the catalogue does not know its body.
        InvalidRunInput: keys of the run input contradict each other.
    """
    own = asked.get("request")
    doubts = refusals.check_media(family, asked["media"]) if "media" in asked else []
    if prompt is None:
        _check_whole(asked)
        request = copy.deepcopy(dict(own or {}))
    else:
        request = _merged(_built(family, asked, prompt), own or {})
    if "media" in asked and not _uses_media(request, asked["media"]):
        raise InvalidRunInput(
            f"Without a prompt, request is the whole body. Put {_place(asked['media'])} into it, or remove media."
        )
    response = answer_paths(family, asked, request)
    kind: Literal["text", "embedding"] = "text" if "text" in response else "embedding"
    return Composed(
        request=request,
        response=response,
        kind=kind,
        dimensions=_dimensions(family, asked.get("embedding", {}), request) if kind == "embedding" else None,
        max_tokens=_max_tokens(family, request),
        # Ready-made records have their own bodies, so there is none to check here.
        warnings=_unlisted(family) + doubts + (refusals.check_body(family, request) if request else []),
    )


def _built(family: Family, asked: Mapping[str, Any], prompt: Mapping[str, Any]) -> dict[str, Any]:
    output = asked.get("output", {})
    schema = output.get("schema")
    media = asked.get("media")
    text = prompt["text"]
    if schema is not None and not output.get("enforce"):
        text += _SCHEMA_PROMPT + _escaped(json.dumps(schema, ensure_ascii=False))
    return body_template(
        family,
        prompt=text,
        system=prompt["system"],
        messages=prompt.get("messages", ()),
        inference=asked.get("inference", {}),
        embedding=asked.get("embedding", {}),
        schema=schema if output.get("enforce") else None,
        media=None if media is None or _uses_media(asked.get("request"), media) else media,
    )


def _check_whole(asked: Mapping[str, Any]) -> None:
    if asked.get("inference"):
        raise InvalidRunInput(
            f"Without a prompt, request is the whole body. Move {', '.join(asked['inference'])} from inference into "
            "request, under the model's own names."
        )
    if "normalize" in asked.get("embedding", {}):
        raise InvalidRunInput(
            "Without a prompt, request is the whole body. Move embedding.normalize into request, under the model's own "
            "name."
        )
    if asked.get("output", {}).get("enforce"):
        raise InvalidRunInput(
            "Without a prompt, request is the whole body. Ask for the schema there, and remove output.enforce."
        )


def _unlisted(family: Family) -> list[str]:
    if family.listed:
        return []
    return [
        f"{family.model} is not in the catalogue. The run uses it through {family.invocation_type}, with the default "
        "quotas of the AWS documentation. Only the first job will show whether the model can do batch inference."
    ]


def body_template(
    family: Family,
    *,
    prompt: str,
    system: str | None,
    inference: Mapping[str, Any],
    embedding: Mapping[str, Any],
    messages: Sequence[Mapping[str, str]] = (),
    schema: Mapping[str, Any] | None = None,
    media: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the family's body with all values in their places. `schema` is requested in the model's own way.

    `media` is the run input's object; the media are put before the prompt.

    Raises:
        UnsupportedRequest: the family has no place for a value of the run input.
    """
    known = family.body
    if known is None:
        raise UnsupportedRequest(
            f"The catalogue does not know the {family.invocation_type} body of {family.model}. Remove the prompt, set "
            "request to the whole body with {column} places, and set response to the paths of the answer."
        )
    body = copy.deepcopy(dict(known.request))
    wanted = {**known.defaults, **inference, **embedding}
    if "stop_sequences" in wanted:
        wanted["stop_sequences"] = _escaped(wanted["stop_sequences"])
    if known.turns is None:
        wanted["prompt"] = prompt
        if messages:
            wanted["messages"] = messages
    else:
        system = _converse(body, known.turns, system=system, messages=messages, prompt=prompt)
    if system is not None:
        wanted["system"] = system
    if media is not None:
        _show(body, family, known, media)
    if schema is not None:
        _ask_for(body, family, known, schema)
    sections = dict.fromkeys(inference, "inference") | dict.fromkeys(embedding, "embedding")
    for name, value in wanted.items():
        json_pointer.put(body, _where(family, known, name, section=sections.get(name, "prompt")), value)
    return body


def _where(family: Family, known: Body, name: str, *, section: str) -> str:
    """Return the place of a value of the run input. `section` is the key that has it."""
    if name in known.places:
        return known.places[name]
    raise UnsupportedRequest(
        f"The model family {family.family!r} does not support {section}.{name} through {family.invocation_type}. "
        "Remove it."
    )


def _converse(
    body: dict[str, Any],
    turns: Mapping[str, Any],
    *,
    system: str | None,
    messages: Sequence[Mapping[str, str]],
    prompt: str,
) -> str | None:
    """Write the conversation into the body; return the system prompt if it is not part of the conversation."""
    conversation = [(message["role"], message["text"]) for message in messages] + [("user", prompt)]
    if system is not None and "system" in turns:
        conversation.insert(0, ("system", system))
        system = None
    if "turn" in turns:
        said: Any = [_filled(turns["turn"], {"$role": role, "$text": text}) for role, text in conversation]
    else:
        said = "".join(turns[role].replace("$text", text) for role, text in conversation)
        said = turns["start"] + said + turns["end"]
    json_pointer.put(body, turns["at"], said)
    return system


def _show(body: dict[str, Any], family: Family, known: Body, media: Mapping[str, Any]) -> None:
    """Put the media before the text of the prompt."""
    kind = media["kind"]
    if known.turns is None or kind not in known.media or media["source"] not in known.media_sources:
        raise UnsupportedRequest(
            f"The catalogue does not know how to give {'an' if kind == 'image' else 'a'} {kind} to {family.family!r} "
            f"through {family.invocation_type}. Use Converse, or put {_place(media)} and {{media.format}} into your "
            "request."
        )
    shown = _filled(known.media[kind], {"$source": known.media_sources[media["source"]]})
    body[known.turns["at"].removeprefix("/")][-1]["content"].insert(0, shown)


def _uses_media(request: Any, media: Mapping[str, Any]) -> bool:
    return _place(media) in json.dumps(request)


def _place(media: Mapping[str, Any]) -> str:
    """Return the place in a request that is replaced by the media."""
    return "{media.data}" if media["source"] == "inline" else "{media.uri}"


def _ask_for(body: dict[str, Any], family: Family, known: Body, schema: Mapping[str, Any]) -> None:
    if known.schema is None:
        raise UnsupportedRequest(
            f"output.enforce: the catalogue does not know how to make {family.family!r} through "
            f"{family.invocation_type} follow a schema. Remove output.enforce: then the prompt has the schema. Answers "
            "are validated in both cases."
        )
    text = _escaped(json.dumps(schema, ensure_ascii=False))
    json_pointer.put(
        body, known.schema["at"], _filled(known.schema["value"], {"$schema": _escaped(schema), "$schema_text": text})
    )


def _dimensions(family: Family, embedding: Mapping[str, Any], request: Mapping[str, Any]) -> int:
    """Return the dimensions of the vectors that a request asks for. Ready-made records have no request.

    Raises:
        InvalidRunInput: `embedding.dimensions` differs, or the model does not offer these dimensions.
    """
    place = family.body.places.get("dimensions") if family.body else None
    if place is None or not request:
        return dimensions(family, embedding)
    name = f"request{place.replace('/', '.')}"
    (length,) = json_pointer.found(request, place) or [family.dimensions.get("default")]
    wanted = embedding.get("dimensions", length)
    if wanted != length:
        raise InvalidRunInput(
            f"embedding.dimensions is {wanted}, but the request asks for {length} dimensions. Set {name} to the same "
            "number, or remove embedding.dimensions."
        )
    return dimensions(
        family, {"dimensions": length}, name="embedding.dimensions" if "dimensions" in embedding else name
    )


def dimensions(family: Family, embedding: Mapping[str, Any], *, name: str = "embedding.dimensions") -> int:
    """Return the dimensions of the vectors. `name` is the key that asks for them, for messages.

    Raises:
        InvalidRunInput: the model does not offer these dimensions, or the catalogue does not know any.
    """
    length = embedding.get("dimensions", family.dimensions.get("default"))
    if length is None:
        raise InvalidRunInput(
            f"Set embedding.dimensions: the catalogue does not know the dimensions of the vectors of {family.model}."
        )
    allowed = family.dimensions.get("allowed", [length])
    if length not in allowed:
        raise InvalidRunInput(f"{name} is {length!r}, but {family.family} offers {', '.join(map(str, allowed))}.")
    return int(length)


def _max_tokens(family: Family, request: Any) -> int | None:
    pointer = family.body.places.get("max_tokens") if family.body else None
    values = json_pointer.found(request, pointer) if pointer else []
    return next((value for value in values if isinstance(value, int)), None)


def _merged(body: Any, own: Any) -> Any:
    """Return the body with the members of `own`. Objects are merged; any other value of `own` replaces the body's."""
    if not isinstance(body, dict) or not isinstance(own, Mapping):
        return copy.deepcopy(own)
    return body | {
        key: _merged(body[key], value) if key in body else copy.deepcopy(value) for key, value in own.items()
    }


def _filled(value: Any, marks: Mapping[str, Any]) -> Any:
    """Return JSON in which every string that is a key of `marks` is replaced by its value."""
    if isinstance(value, dict):
        return {key: _filled(member, marks) for key, member in value.items()}
    if isinstance(value, list):
        return [_filled(member, marks) for member in value]
    return marks.get(value, value) if isinstance(value, str) else value


def _escaped(value: Any) -> Any:
    """Return JSON with the braces of all strings doubled, so that no string has a place."""
    if isinstance(value, str):
        return value.replace("{", "{{").replace("}", "}}")
    if isinstance(value, Mapping):
        return {key: _escaped(member) for key, member in value.items()}
    return [_escaped(member) for member in value] if isinstance(value, list) else value

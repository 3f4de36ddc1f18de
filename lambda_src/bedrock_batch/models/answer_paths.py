"""Find the paths of an answer in a model's output, from the catalogue and from the run input."""

from collections.abc import Mapping
from typing import Any

from bedrock_batch.errors import InvalidRunInput, UnsupportedRequest
from bedrock_batch.models import json_pointer
from bedrock_batch.models.catalogue import Family

_ANSWERS = {"text", "embedding"}
_REASONING = {"reasoning", "reasoning_tag"}

_TOOLS = ("/tools", "/toolConfig", "/additionalModelRequestFields/tools")
"""The members of a body that may hold tools, in Converse and in the models' own bodies."""


def answer_paths(family: Family, asked: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, str]:
    """Return the paths of a run's answers, without paths that the run does not need.

    Raises:
        InvalidRunInput: the paths of the answers are not known, or the answers lack something that the run asks for.
        UnsupportedRequest: the request has tools, and the path of tool calls is not known.
    """
    given = asked.get("response", {})
    known = dict(family.body.response) if family.body else {}
    if _ANSWERS & given.keys():
        known = {name: path for name, path in known.items() if name not in _ANSWERS}
    paths: dict[str, str] = known | given
    if ("text" in paths) == ("embedding" in paths):
        raise InvalidRunInput(
            f"The catalogue does not know how {family.model} answers through {family.invocation_type}. Set response to "
            'the path of text or of embedding, such as {"text": "choices[0].message.content"}.'
        )
    output = asked.get("output", {})
    if "embedding" in paths:
        for key in ("schema", "reasoning"):
            if output.get(key):
                raise InvalidRunInput(f"output.{key} is only for models that answer with text. Remove it.")
        return paths
    if output.get("reasoning"):
        _check_reasoning(family, paths)
    elif "reasoning" not in given:
        paths.pop("reasoning", None)
    # The content of ready-made records is known only when they are read.
    if has_tools(request):
        check_tools(family, paths)
    elif "tool_input" not in given and asked.get("input", {}).get("format") != "bedrock_jsonl":
        paths.pop("tool_input", None)
    return paths


def has_tools(body: Mapping[str, Any]) -> bool:
    """Return whether a body gives the model tools to call."""
    return any(tools for pointer in _TOOLS for tools in json_pointer.found(body, pointer))


def check_tools(family: Family, paths: Mapping[str, str]) -> None:
    """Raise UnsupportedRequest if the calls of tools could not be read."""
    if "text" in paths and "tool_input" not in paths:
        raise UnsupportedRequest(
            f"The request has tools, but the catalogue does not know where {family.model} puts the input of a tool "
            f"call through {family.invocation_type}. Set response.tool_input to its path, such as "
            '"choices[0].message.tool_calls[].function.arguments", or remove the tools.'
        )


def _check_reasoning(family: Family, paths: Mapping[str, str]) -> None:
    if not _REASONING & paths.keys():
        raise InvalidRunInput(
            f"output.reasoning: the catalogue does not know where {family.model} puts its reasoning through "
            f"{family.invocation_type}. Set response.reasoning (a path) or response.reasoning_tag, or remove "
            "output.reasoning."
        )

"""Read output lines whose answers are texts.

The answer is the model's text, or if there is a tool call, the call's input. Reasoning is never part of it.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

import msgspec

from bedrock_batch.answers import parse_types, tool_calls
from bedrock_batch.answers.answer import Answer, Answers, Failure, Parsed
from bedrock_batch.answers.lines import lines_of
from bedrock_batch.answers.outcome import GUARDRAIL, INTERVENED, ended
from bedrock_batch.answers.parse_slowly import all_texts, any_count, any_text, as_text, exactly, failure_of
from bedrock_batch.answers.reasoning import BETWEEN, Tag
from bedrock_batch.answers.response_path import Path, WrongKind, compile_choices, find

_ACTION = "amazon-bedrock-guardrailAction"
"""A member that InvokeModel itself adds to the model's body."""

_LEAVES: dict[str, Any] = {
    "text": str,
    "stop_reason": str,
    "input_tokens": parse_types.Count,
    "output_tokens": parse_types.Count,
    "tool_input": msgspec.Raw,
    "reasoning": str,
}

_Read = Callable[[Any], Any]


class TextParser:
    """Parses blocks of whole lines. `response` has the paths, as in `run.json`.

    `reasoning` says whether to return reasoning; it is removed from the text in any case.

    Raises:
        InvalidRunInput: a path is malformed, or two paths contradict each other.
    """

    def __init__(self, response: Mapping[str, str], *, reasoning: bool = False) -> None:
        self._paths = {name: compile_choices(path) for name, path in response.items() if name in _LEAVES}
        if not reasoning:
            self._paths.pop("reasoning", None)
        if "tool_input" in self._paths:
            # A path that is in both lists is read as the tool's input, because that is the answer.
            tools = self._paths["tool_input"]
            self._paths["text"] = tuple(path for path in self._paths["text"] if path not in tools)
        self._tag = Tag(response["reasoning_tag"]) if "reasoning_tag" in response else None
        self._keeps_reasoning = reasoning
        self._is_plain = not (reasoning or self._tag or "tool_input" in self._paths)
        paths: list[tuple[Path, Any]] = [
            (path, _LEAVES[name]) for name, choices in self._paths.items() for path in choices
        ]
        self._decoder = parse_types.line_decoder([*paths, ((_ACTION,), str)])
        self._one_by_one, self._by_column = self._readers(parse_types.choice), self._readers(parse_types.column)
        self._action = attrgetter(parse_types.attribute(_ACTION))
        self._tools = parse_types.choice(self._paths.get("tool_input"), lambda found: list(found) or None)
        self._thoughts = parse_types.choice(self._paths.get("reasoning"), BETWEEN.join)

    def _readers(self, kind: Callable[..., Any]) -> list[_Read]:
        """Return the functions that read text, stop reason and tokens. `kind` is `choice` or `column`."""
        return [
            kind(self._paths.get(name), "".join if name == "text" else parse_types.first)
            for name in ("text", "stop_reason", "input_tokens", "output_tokens")
        ]

    def __call__(self, block: bytes | memoryview) -> Parsed:
        """Return the answers of a block of whole lines."""
        try:
            lines = self._decoder.decode_lines(block)
            try:
                return self._together(lines)
            except (AttributeError, TypeError):
                return [self._one(line) for line in lines]
        except (ValueError, RecursionError):
            return [self._alone(line) for line in lines_of(block)]

    def _together(self, lines: list[Any]) -> Answers:
        """Parse all lines column by column. Raises AttributeError or TypeError unless all are answers."""
        outputs = parse_types.outputs_of(lines)
        texts, stops, input_tokens, output_tokens = (read(outputs) for read in self._by_column)
        if any(map(self._action, outputs)):
            stops = [self._stop_reason(*one) for one in zip(outputs, stops, strict=True)]
        reasonings = None
        if self._is_plain:
            values = [text.encode() if text else None for text in texts]
        else:
            read = [self._text_and_reasoning(*one) for one in zip(outputs, texts, stops, strict=True)]
            values = [text for text, _ in read]
            reasonings = [thought for _, thought in read] if self._keeps_reasoning else None
        return Answers([line.recordId for line in lines], values, stops, input_tokens, output_tokens, reasonings)

    def _one(self, line: Any) -> Answer | Failure:
        output = line.modelOutput
        if output is None or line.error is not None:
            return failure_of(line)
        text, stop, input_tokens, output_tokens = (read(output) for read in self._one_by_one)
        stop = self._stop_reason(output, stop)
        value, reasoning = self._text_and_reasoning(output, text, stop)
        return Answer(line.recordId, value, stop, input_tokens, output_tokens, reasoning)

    def _stop_reason(self, output: Any, said: str | None) -> str | None:
        return GUARDRAIL if self._action(output) == INTERVENED else said

    def _text_and_reasoning(self, output: Any, text: str | None, stop: str | None) -> tuple[bytes | None, bytes | None]:
        """Return the text and the reasoning of a decoded answer."""
        tool = tool_calls.together(tool_calls.raw_texts(self._tools(output)))
        return self._apart(text, tool, self._thoughts(output), stop)

    def _apart(
        self, text: str | None, tool: str | None, thought: str | None, stop: str | None
    ) -> tuple[bytes | None, bytes | None]:
        """Return the answer, and its reasoning if the run keeps it."""
        between_tags = ""
        if text and self._tag:
            text, between_tags = self._tag.split(text, cut=ended(stop) == "cut")
        said = text if tool is None else tool
        thoughts = BETWEEN.join(filter(None, (thought, between_tags))) if self._keeps_reasoning else ""
        return said.encode() if said else None, thoughts.encode() if thoughts else None

    def _alone(self, line: bytes) -> Answer | Failure | None:
        """Parse a line of a block in which some line cannot be decoded."""
        try:
            return self._one(self._decoder.decode(line))
        except (ValueError, RecursionError):
            return exactly(line, self._slowly)

    def _slowly(self, record_id: str | None, output: Any) -> Answer:
        tools = [said for said in all_texts(self._paths.get("tool_input", ()), output) if said]
        found = ("".join(as_text(value) for value in find(path, output)) for path in self._paths["text"])
        text = None
        try:
            text = next(filter(None, found), None)
        except WrongKind:
            if not tools:
                raise
        thoughts = BETWEEN.join(all_texts(self._paths.get("reasoning", ()), output))
        stop = any_text(self._paths.get("stop_reason", ()), output)
        if any_text([(_ACTION,)], output) == INTERVENED:
            stop = GUARDRAIL
        value, reasoning = self._apart(text, tool_calls.together(tools), thoughts, stop)
        return Answer(
            record_id,
            value,
            stop,
            any_count(self._paths.get("input_tokens", ()), output),
            any_count(self._paths.get("output_tokens", ()), output),
            reasoning,
        )

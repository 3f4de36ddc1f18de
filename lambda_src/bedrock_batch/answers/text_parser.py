"""Read output lines whose answers are texts."""

from collections.abc import Callable, Mapping
from typing import Any

from bedrock_batch.answers import parse_types
from bedrock_batch.answers.answer import Answer, Answers, Failure, Parsed
from bedrock_batch.answers.lines import lines_of
from bedrock_batch.answers.parse_slowly import any_count, any_text, as_text, exactly, failure_of
from bedrock_batch.answers.response_path import compile_choices, find

_NAMES = ("text", "stop_reason", "input_tokens", "output_tokens")
"""The paths, in the order of the fields of an `Answer`."""


class TextParser:
    """Parses blocks of whole lines; `response` holds the paths as in `run.json`.

    Raises:
        InvalidRunInput: a path is malformed, or two paths contradict each other.
    """

    def __init__(self, response: Mapping[str, str]) -> None:
        self._paths = {name: compile_choices(path) for name, path in response.items() if name != "reasoning_tag"}
        tag = response.get("reasoning_tag")
        self._reasoning = (f"<{tag}>", f"</{tag}>") if tag is not None else None
        leaves: dict[str, Any] = dict.fromkeys(self._paths, str)
        leaves |= {"input_tokens": parse_types.Count, "output_tokens": parse_types.Count}
        paths = [(path, leaves[name]) for name, choices in self._paths.items() for path in choices]
        self._decoder = parse_types.line_decoder(paths)
        self._text, *self._others = self._readers(parse_types.choice)
        self._all_texts, *self._all_others = self._readers(parse_types.column)

    def _readers(self, kind: Callable[..., Any]) -> list[Callable[[Any], Any]]:
        """Return the functions that read each field of an answer; `kind` is `choice` or `column`."""
        return [kind(self._paths.get(name), "".join if name == "text" else parse_types.first) for name in _NAMES]

    def __call__(self, block: bytes | memoryview) -> Parsed:
        """Return the answers of a block of whole lines."""
        try:
            lines = self._decoder.decode_lines(block)
        except (ValueError, RecursionError):
            return [self._alone(line) for line in lines_of(block)]
        try:
            return self._together(lines)
        except (AttributeError, TypeError):
            return [self._one(line) for line in lines]

    def _together(self, lines: list[Any]) -> Answers:
        """Do as `_one` for all, column by column. Raises AttributeError or TypeError unless all are answers."""
        outputs = parse_types.outputs_of(lines)
        texts = self._all_texts(outputs)
        if self._reasoning:
            texts = map(self._without_reasoning, texts)
        values = [text.encode() if text else None for text in texts]
        return Answers([line.recordId for line in lines], values, *(read(outputs) for read in self._all_others))

    def _one(self, line: Any) -> Answer | Failure:
        output = line.modelOutput
        if output is None or line.error is not None:
            return failure_of(line)
        return Answer(line.recordId, self._encoded(self._text(output)), *(read(output) for read in self._others))

    def _alone(self, line: bytes) -> Answer | Failure | None:
        """Parse a line of a block in which some line cannot be decoded."""
        try:
            return self._one(self._decoder.decode(line))
        except (ValueError, RecursionError):
            return exactly(line, self._slowly)

    def _slowly(self, record_id: str | None, output: Any) -> Answer:
        found = ("".join(as_text(value) for value in find(path, output)) for path in self._paths["text"])
        return Answer(
            record_id,
            self._encoded(next(filter(None, found), None)),
            any_text(self._paths.get("stop_reason", ()), output),
            any_count(self._paths.get("input_tokens", ()), output),
            any_count(self._paths.get("output_tokens", ()), output),
        )

    def _encoded(self, answer: str | None) -> bytes | None:
        if self._reasoning:
            answer = self._without_reasoning(answer)
        return answer.encode() if answer else None

    def _without_reasoning(self, text: str | None) -> str | None:
        """Take reasoning off the start of an answer. If the reasoning does not end, there is no answer behind it."""
        if text is None or self._reasoning is None or not text.startswith(self._reasoning[0]):
            return text
        return text.partition(self._reasoning[1])[2].lstrip()

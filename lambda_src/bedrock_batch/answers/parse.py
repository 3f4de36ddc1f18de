"""Read Bedrock's output lines: `{"recordId": …, "modelInput": …, "modelOutput": …}` or with `error` instead.

The echoed modelInput is most of a line and is never built. A block of lines is decoded by C code straight
into the few fields a run asks for; a block with a line that does not fit is read again line by line, and
that line is taken apart slowly but exactly, so one odd answer costs time and never the shard.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np

from bedrock_batch.answers import parse_types
from bedrock_batch.answers.answer import Answer, Answers, Failure, Parsed
from bedrock_batch.answers.lines import lines_of
from bedrock_batch.answers.number_arrays import ArrayParser, Arrays, Place, take_out
from bedrock_batch.answers.outcome import MODEL_ERROR, WRONG_DIMENSIONS
from bedrock_batch.answers.parse_slowly import MAX_INT64, any_count, any_text, as_text, exactly, failure, no_output
from bedrock_batch.answers.response_path import EVERY, Path, WrongKind, compile_choices, compile_path, find
from bedrock_batch.errors import InvalidRunInput

_Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_INT64)]

_ODD = (ValueError, RecursionError, LookupError, TypeError, RuntimeError, FloatingPointError)
"""What a line raises that does not fit: not JSON, absent or of another kind, a number beyond 32 bits."""


Parse = Callable[[bytes | memoryview], Parsed]


def parser(response: Mapping[str, str], dimensions: int | None) -> Parse:
    """Return the parser of a run's answers: of vectors where they have `dimensions`, else of texts.

    Raises:
        InvalidRunInput: a path of `response` cannot be followed.
    """
    return text_parser(response) if dimensions is None else embedding_parser(response, dimensions)


def text_parser(response: Mapping[str, str]) -> Parse:
    """Return the parser for text answers; `response` holds the paths as in `run.json`.

    Raises:
        InvalidRunInput: a path is malformed, or two paths contradict each other.
    """
    paths = {name: compile_choices(path) for name, path in response.items() if name != "reasoning_tag"}
    without_reasoning = _reasoning_remover(response.get("reasoning_tag"))
    leaves: dict[str, Any] = dict.fromkeys(paths, str) | {"input_tokens": _Count, "output_tokens": _Count}
    decoder = _line_decoder([(path, leaves[name]) for name, choices in paths.items() for path in choices])
    text, *others = _text_readers(paths, parse_types.choice)
    all_texts, *all_others = _text_readers(paths, parse_types.column)

    def encoded(answer: str | None) -> bytes | None:
        answer = without_reasoning(answer) if without_reasoning else answer
        return answer.encode() if answer else None

    def read(line: Any) -> Answer | Failure:
        error, output = line.error, line.modelOutput
        if error is not None:
            return failure(line.recordId, error.errorCode, error.errorMessage, error.expired or line.expired)
        if output is None:
            return no_output(line.recordId, line.expired)
        return Answer(line.recordId, encoded(text(output)), *(read(output) for read in others))

    def together(lines: list[Any]) -> Answers:
        """Do as `read` for all, column by column. Raises AttributeError or TypeError unless all are answers."""
        outputs = _outputs(lines)
        texts = map(without_reasoning, all_texts(outputs)) if without_reasoning else all_texts(outputs)
        values = [text.encode() if text else None for text in texts]
        return Answers([line.recordId for line in lines], values, *(read(outputs) for read in all_others))

    def slowly(record_id: str | None, output: Any) -> Answer:
        found = ("".join(as_text(value) for value in find(path, output)) for path in paths["text"])
        return Answer(
            record_id,
            encoded(next(filter(None, found), None)),
            any_text(paths.get("stop_reason", ()), output),
            any_count(paths.get("input_tokens", ()), output),
            any_count(paths.get("output_tokens", ()), output),
        )

    def one(line: bytes) -> Answer | Failure | None:
        try:
            return read(decoder.decode(line))
        except (ValueError, RecursionError):
            return exactly(line, slowly)

    def parse(block: bytes | memoryview) -> Parsed:
        try:
            lines = decoder.decode_lines(block)
        except (ValueError, RecursionError):
            return [one(line) for line in lines_of(block)]
        try:
            return together(lines)
        except (AttributeError, TypeError):
            return [read(line) for line in lines]

    return parse


def embedding_parser(response: Mapping[str, str], dimensions: int) -> Parse:
    """Return the parser for vectors of `dimensions` floats; `response` holds the paths as in `run.json`.

    Raises:
        InvalidRunInput: a path is malformed, or the vector's path stands for several vectors.
    """
    path = compile_path(response["embedding"])
    if EVERY in path:
        raise InvalidRunInput(
            f"response.embedding {response['embedding']!r} must lead to one vector: write [0] instead of []"
        )
    tokens_path = compile_path(response["input_tokens"]) if "input_tokens" in response else None
    # Titan Multimodal reports an error as `message` of an answer like any other.
    message_path: Path = ("message",)
    paths = [(path, Place), (message_path, str), *([(tokens_path, _Count)] if tokens_path else [])]
    decoder = _line_decoder(paths)
    place, message, input_tokens = (
        parse_types.reader(one, parse_types.first) for one in (path, message_path, tokens_path)
    )
    all_places, all_messages, all_tokens = (
        parse_types.column([one] if one else None, parse_types.first) for one in (path, message_path, tokens_path)
    )
    numbers = ArrayParser()

    def read(block: bytes) -> Parsed:
        shortened, arrays = take_out(block)
        lines = decoder.decode_lines(shortened)
        try:
            return together(lines, arrays)
        except (AttributeError, TypeError):
            return [one(line, arrays) for line in lines]

    def together(lines: list[Any], arrays: Arrays) -> Answers:
        """Do as `one` for all lines, column by column. Raises AttributeError or TypeError unless all are answers."""
        outputs = _outputs(lines)
        if any(said is not None for said in all_messages(outputs)):
            raise TypeError("not only answers")
        vectors = numbers.parse([arrays[place] for place in all_places(outputs)], dimensions)
        nothing: list[Any] = [None] * len(lines)
        return Answers([line.recordId for line in lines], vectors, nothing, all_tokens(outputs), nothing)

    def one(line: Any, arrays: Arrays) -> Answer | Failure:
        error, output = line.error, line.modelOutput
        if error is not None:
            return failure(line.recordId, error.errorCode, error.errorMessage, error.expired or line.expired)
        if output is None:
            return no_output(line.recordId, line.expired)
        said = message(output)
        if said is not None:
            return Failure(line.recordId, MODEL_ERROR, said)
        (vector,) = numbers.parse([arrays[place(output)]], dimensions)
        return Answer(line.recordId, vector, None, input_tokens(output))

    def slowly(record_id: str | None, output: Any) -> Answer | Failure:
        if isinstance(output, dict) and output.get("message") is not None:
            return Failure(record_id, MODEL_ERROR, as_text(output["message"]))
        found = next(find(path, output), None)
        tokens = any_count([tokens_path] if tokens_path else [], output)
        if found is None or found == []:
            return Answer(record_id, None, None, tokens)
        if not isinstance(found, list) or not all(type(number) in (int, float) for number in found):
            raise WrongKind(f"a list of numbers was expected at {response['embedding']}")
        if len(found) != dimensions:
            detail = f"the vector has {len(found)} dimensions instead of {dimensions}"
            return Failure(record_id, WRONG_DIMENSIONS, detail)
        try:
            with np.errstate(over="raise"):
                value = np.array(found, np.float64).astype(np.float32)
        except ArithmeticError:  # also of an integer beyond 64-bit floats
            value = np.array([np.nan])
        if not np.isfinite(value).all():
            raise WrongKind("a number does not fit into a 32-bit float")
        return Answer(record_id, value, None, tokens)

    def alone(line: bytes) -> Answer | Failure | None:
        try:
            (found,) = read(line)
            return found
        except _ODD:
            return exactly(line, slowly)

    def parse(block: bytes | memoryview) -> Parsed:
        whole = bytes(block)
        with np.errstate(over="raise"):
            try:
                return read(whole)
            except _ODD:
                return [alone(line) for line in lines_of(whole)]

    return parse


def _line_decoder(paths: list[tuple[Path, Any]]) -> msgspec.json.Decoder[Any]:
    error = msgspec.defstruct(
        "Error",
        [
            ("errorCode", int | str | None, None),
            ("errorMessage", str | None, None),
            ("expired", bool | None, None),
        ],
        gc=False,
    )
    line = msgspec.defstruct(
        "Line",
        [
            ("recordId", str | None, None),
            ("modelOutput", parse_types.type_of(paths), None),
            ("error", error | None, None),
            ("expired", bool | None, None),
        ],
        gc=False,
    )
    return msgspec.json.Decoder(line)


def _outputs(lines: list[Any]) -> list[Any]:
    """Return what the models put out. Raises TypeError unless all lines have such an output."""
    outputs = [line.modelOutput for line in lines if line.error is None and line.modelOutput is not None]
    if len(outputs) < len(lines):
        raise TypeError("not only answers")
    return outputs


def _text_readers(paths: Mapping[str, Sequence[Path]], kind: Callable[..., Any]) -> list[Callable[[Any], Any]]:
    """Return the functions that read text, stop reason, input and output tokens; `kind` is `choice` or `column`."""
    names = ("text", "stop_reason", "input_tokens", "output_tokens")
    return [kind(paths.get(name), "".join if name == "text" else parse_types.first) for name in names]


def _reasoning_remover(tag: str | None) -> Callable[[str | None], str | None] | None:
    """Return the function that takes reasoning off the start of an answer; one that never ends is all there is."""
    if tag is None:
        return None
    begin, end = f"<{tag}>", f"</{tag}>"

    def remove(text: str | None) -> str | None:
        if text is None or not text.startswith(begin):
            return text
        return text.partition(end)[2].lstrip()

    return remove

"""Read Bedrock's output lines: `{"recordId": …, "modelInput": …, "modelOutput": …}` or with `error` instead.

Most of a line is the echoed modelInput, which is never decoded. C code decodes a block of lines into only the fields
that a run needs. If that fails for one line of a block, the block is read again line by line, and `parse_slowly` reads
that line. So an unusual answer costs time, but never the shard.
"""

from collections.abc import Callable, Mapping

from bedrock_batch.answers.answer import Parsed
from bedrock_batch.answers.text_parser import TextParser
from bedrock_batch.answers.vector_parser import VectorParser
from bedrock_batch.errors import InvalidRunInput

Parse = Callable[[bytes | memoryview], Parsed]


def parser(response: Mapping[str, str], dimensions: int | None, *, reasoning: bool = False) -> Parse:
    """Return the parser of a run's answers: for vectors if `dimensions` is given, otherwise for texts.

    `reasoning` says whether the run keeps the models' reasoning.

    Raises:
        InvalidRunInput: a path of `response` is not valid.
    """
    return TextParser(response, reasoning=reasoning) if dimensions is None else VectorParser(response, dimensions)


def without_contradictions(
    response: Mapping[str, str], given: Mapping[str, str], dimensions: int | None
) -> dict[str, str]:
    """Return the paths of a run, without paths of the catalogue that contradict the user's paths, `given`.

    Raises:
        InvalidRunInput: a path of the user is not valid, or contradicts another one.
    """
    answer = "text" if dimensions is None else "embedding"
    kept = {name: path for name, path in response.items() if name in given or name == answer}
    parser(kept, dimensions, reasoning=True)
    for name in [name for name in response if name not in kept]:
        try:
            parser(kept | {name: response[name]}, dimensions, reasoning=True)
        except InvalidRunInput:
            continue
        kept[name] = response[name]
    return {name: path for name, path in response.items() if name in kept}

"""Read Bedrock's output lines: `{"recordId": …, "modelInput": …, "modelOutput": …}` or with `error` instead.

The echoed modelInput is most of a line and is never built. C code decodes a block of lines straight into the few
fields that a run needs. When one line of a block cannot be decoded so, the block is read again line by line, and
`parse_slowly` reads that line: one odd answer costs time and never the shard.
"""

from collections.abc import Callable, Mapping

from bedrock_batch.answers.answer import Parsed
from bedrock_batch.answers.text_parser import TextParser
from bedrock_batch.answers.vector_parser import VectorParser

Parse = Callable[[bytes | memoryview], Parsed]


def parser(response: Mapping[str, str], dimensions: int | None) -> Parse:
    """Return the parser of a run's answers: of vectors where they have `dimensions`, else of texts.

    Raises:
        InvalidRunInput: a path of `response` cannot be followed.
    """
    return TextParser(response) if dimensions is None else VectorParser(response, dimensions)

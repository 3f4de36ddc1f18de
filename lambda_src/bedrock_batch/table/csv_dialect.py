"""The dialect of a table's CSV files, from the run input and the files' names."""

from collections.abc import Mapping, Sequence
from typing import Any

from bedrock_batch.aws.s3 import Object
from bedrock_batch.contracts.run import Source
from bedrock_batch.errors import InvalidRunInput
from bedrock_batch.table.text_stream import suffixes


def dialect(objects: Sequence[Object | Source], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the dialect: delimiter, quote, escape, encoding, lines to skip, texts for null, columns and their types.

    `csv_head` later finds what a file itself shows. Raises InvalidRunInput, naming the key.
    """
    given = options.get("csv") or {}
    delimiter = given.get("delimiter") or _delimiter_of(objects)
    quote = given.get("quote") or '"'
    escape = given.get("escape") or quote
    for key, value in (("delimiter", delimiter), ("quote", quote), ("escape", escape)):
        if len(value) != 1 or not 0 < ord(value) < 128 or value in "\r\n":
            raise InvalidRunInput(
                f"input.csv.{key} must be one ASCII character, but no line end and no NUL, not {value!r}."
            )
    if delimiter in (quote, escape):
        other = "quote" if delimiter == quote else "escape"
        raise InvalidRunInput(f"input.csv.delimiter and input.csv.{other} are both {delimiter!r}. Change one of them.")
    header, columns = given.get("header"), given.get("columns")
    if header and not columns:
        raise InvalidRunInput(f'input.csv.header is "{header}", so input.csv.columns must name the columns.')
    nulls = given.get("null_values") or []
    for text in nulls:
        if escape != quote and escape in text:
            raise InvalidRunInput(
                f"input.csv.null_values has {text!r}, which contains the character of input.csv.escape. An escape is "
                "never part of a cell. Write nulls as another text."
            )
    return {
        "delimiter": delimiter,
        "stated": bool(given.get("delimiter")),
        "quote": quote,
        # A quote that escapes itself is CSV's doubled quote: no escape character is needed.
        "escape": escape if escape != quote else None,
        "encoding": given.get("encoding") or "utf-8",
        "skip_lines": given.get("skip_lines") or 0,
        "null_values": nulls,
        "header": header,
        "columns": columns,
        "types": options.get("types") or {},
    }


def _delimiter_of(objects: Sequence[Object | Source]) -> str:
    """Return the delimiter that follows from the files' suffixes."""
    defaults = {"\t" if suffixes(item.key)[0] == "tsv" else "," for item in objects}
    if len(defaults) > 1:
        raise InvalidRunInput("The input has both .csv and .tsv files. Set input.csv.delimiter.")
    return defaults.pop()


def has_header(csv_: Mapping[str, Any]) -> bool:
    """Return whether the files of a dialect have a header row."""
    return csv_["columns"] is None or csv_.get("header") == "replace"

"""How the CSV files of a table are written, as the run input and their names say it."""

from collections.abc import Mapping, Sequence
from typing import Any

from bedrock_batch.aws.s3 import Object
from bedrock_batch.contracts.run import Source
from bedrock_batch.errors import InvalidRunInput
from bedrock_batch.table.text_stream import suffixes


def dialect(objects: Sequence[Object | Source], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what reading needs besides the schema.

    That is delimiter, quote, escape, encoding, lines to skip, texts that mean null, types, and the columns' names where
    the files do not have them. What a file shows itself comes later: `csv_head`.
    """
    given = options.get("csv") or {}
    delimiter = given.get("delimiter") or _delimiter_of(objects)
    quote = given.get("quote") or '"'
    escape = given.get("escape") or quote
    for key, value in (("delimiter", delimiter), ("quote", quote), ("escape", escape)):
        if len(value) != 1 or ord(value) > 127 or value in "\r\n":
            raise InvalidRunInput(f"input.csv.{key} must be one ASCII character other than a line end, not {value!r}.")
    if delimiter in (quote, escape):
        other = "quote" if delimiter == quote else "escape"
        raise InvalidRunInput(f"input.csv.delimiter and input.csv.{other} are both {delimiter!r}.")
    header, columns = given.get("header"), given.get("columns")
    if header and not columns:
        raise InvalidRunInput(f'input.csv.header "{header}" needs input.csv.columns: the names of the columns.')
    nulls = given.get("null_values") or []
    for text in nulls:
        if escape != quote and escape in text:
            raise InvalidRunInput(
                f"input.csv.null_values has {text!r}, which holds input.csv.escape: an escape is never part of a cell. "
                "Have nulls written as another text."
            )
    return {
        "delimiter": delimiter,
        "stated": bool(given.get("delimiter")),
        "quote": quote,
        # Quotes that are doubled need no escape.
        "escape": escape if escape != quote else None,
        "encoding": given.get("encoding") or "utf-8",
        "skip_lines": given.get("skip_lines") or 0,
        "null_values": nulls,
        "header": header,
        "columns": columns,
        "types": options.get("types") or {},
    }


def _delimiter_of(objects: Sequence[Object | Source]) -> str:
    """Return the delimiter that the files' names show."""
    defaults = {"\t" if suffixes(item.key)[0] == "tsv" else "," for item in objects}
    if len(defaults) > 1:
        raise InvalidRunInput("The input mixes .csv and .tsv files: set input.csv.delimiter.")
    return defaults.pop()


def has_header(csv_: Mapping[str, Any]) -> bool:
    """Tell whether the files of a dialect have a header row."""
    return csv_["columns"] is None or csv_.get("header") == "replace"

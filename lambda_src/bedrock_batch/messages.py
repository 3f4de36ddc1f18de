"""What several messages say, in one wording."""

from collections.abc import Callable, Sequence
from difflib import get_close_matches

from bedrock_batch.errors import MissingColumn

ROWS_COUNT = "(rows count from 1, without header and blank lines)"
"""Stands behind the fact in every message that names a row."""

_MOST_COLUMNS = 50


def missing_column(
    said: str,
    name: str,
    columns: Sequence[str],
    *,
    owner: str = "the table",
    paths: Sequence[str] = (),
    write: Callable[[str], str] = str,
) -> MissingColumn:
    """Return the error of a column that is not there: `said` names it, then come near misses and all that are there.

    `paths` are the near misses to choose from, where it may be a part of a column; `write` puts one as the user would.
    """
    wanted, known = name.strip(), paths or columns
    near = get_close_matches(wanted, known, n=3) or [one for one in known if one.lower() == wanted.lower()]
    hint = f" Did you mean {' or '.join(map(write, near))}?" if near else ""
    return MissingColumn(f"{said}, but {owner} has no such column.{hint} {columns_are(columns)}")


def columns_are(known: Sequence[str]) -> str:
    """Return a sentence that lists a table's columns."""
    return f"Its columns are: {', '.join(known[:_MOST_COLUMNS])}{' …' if len(known) > _MOST_COLUMNS else ''}."

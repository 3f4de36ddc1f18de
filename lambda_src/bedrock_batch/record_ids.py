"""Record ids, which are a shard and a row in digits, and the lines that begin with one.

Every line that we write for Bedrock looks like this, here for shard 42, row 17:
`{"recordId":"00042000017","modelInput":{…}}`.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]

SHARD_DIGITS, ROW_DIGITS = 5, 6
LENGTH = SHARD_DIGITS + ROW_DIGITS

LINE_START = b'{"recordId":"'
BEFORE_BODY = b'","modelInput":'
LINE_END = b"}\n"

_FORMAT = f"%0{SHARD_DIGITS}d%0{ROW_DIGITS}d"
_PLACE = slice(len(LINE_START), len(LINE_START) + LENGTH)
_POWERS = 10 ** np.arange(ROW_DIGITS, dtype=np.int64)[::-1]


def record_id(shard: int, row: int) -> str:
    """Return a record id: the digits of the shard, then the digits of the row within the shard."""
    return _FORMAT % (shard, row)


def shard_prefix(shard: int) -> str:
    """Return the digits that begin the ids of a shard's records."""
    return f"{shard:0{SHARD_DIGITS}d}"


def id_in(line: bytes) -> str:
    """Return the record id of a line that we wrote."""
    return line[_PLACE].decode()


def row_of(record_id: str | None, prefix: str, rows: int) -> int | None:
    """Return the row of a record id; None unless it is one of the `rows` rows of the shard with this prefix."""
    if record_id is None or len(record_id) != LENGTH or not record_id.startswith(prefix):
        return None
    if not (record_id.isascii() and record_id.isdigit()):
        return None
    row = int(record_id[SHARD_DIGITS:])
    return row if row < rows else None


def rows_of(record_ids: Sequence[str | None], prefix: str) -> Rows | None:
    """Return the rows of record ids; None unless all ids begin with the shard's prefix and no two are the same."""
    if len(set(record_ids)) != len(record_ids):
        return None
    try:
        text = "".join(record_ids).encode("ascii")  # type: ignore[arg-type]  # a None is caught
    except (TypeError, UnicodeEncodeError):
        return None
    if set(map(len, cast(Sequence[str], record_ids))) != {LENGTH}:
        return None
    digits = np.frombuffer(text, np.uint8).reshape(-1, LENGTH)
    if not (digits[:, :SHARD_DIGITS] == np.frombuffer(prefix.encode(), np.uint8)).all():
        return None
    digits = digits[:, SHARD_DIGITS:] - np.uint8(ord("0"))
    return None if (digits > 9).any() else digits @ _POWERS

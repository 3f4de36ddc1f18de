"""Record ids: a shard and a row of it, in digits."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]

LENGTH, SHARD_DIGITS = 11, 5
_POWERS = 10 ** np.arange(LENGTH - SHARD_DIGITS, dtype=np.int64)[::-1]


def record_id(shard: int, row: int) -> str:
    """Return the 11 characters that name a record: 5 digits of shard, 6 of the row within it."""
    return f"{shard:05d}{row:06d}"


def row_of(record_id: str | None, prefix: str, rows: int) -> int | None:
    """Return the row of a record id of the shard `prefix`, which has so many rows; None when it is none of these."""
    if record_id is None or len(record_id) != LENGTH or not record_id.startswith(prefix):
        return None
    if not (record_id.isascii() and record_id.isdigit()):
        return None
    row = int(record_id[SHARD_DIGITS:])
    return row if row < rows else None


def rows_of(record_ids: Sequence[str | None], prefix: str) -> Rows | None:
    """Return the rows of record ids of the shard `prefix`, or None unless all are such and no two are the same."""
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

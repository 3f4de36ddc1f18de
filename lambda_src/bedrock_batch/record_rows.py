"""From record ids to the rows of a shard, many at a time."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]

LENGTH, SHARD_DIGITS = 11, 5
_POWERS = 10 ** np.arange(LENGTH - SHARD_DIGITS, dtype=np.int64)[::-1]


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

"""Make the parts of a report that a run can do without. Their errors are warnings."""

import logging
from collections.abc import Callable
from traceback import extract_tb
from typing import Any, TypeVar

from bedrock_batch.aws.transient import is_transient

_LOG = logging.getLogger(__name__)

T = TypeVar("T")


def made_or_warned(make: Callable[[], T], otherwise: Callable[[], T], document: dict[str, Any], warning: str) -> T:
    """Return what `make` returns. If it fails, return `otherwise()`, and add `warning` to the report `document`.

    The `{}` in `warning` is for the error's name. Errors after which the next call may succeed are raised.
    """
    try:
        return make()
    except Exception as err:  # The table is complete and paid: no error here may change how the run ends.
        if is_transient(err):
            raise
        last, why = extract_tb(err.__traceback__)[-1], type(err).__name__
        # The error's message is left out of logs, because it may repeat the text of a cell.
        _LOG.warning(
            "a part of the report was not made",
            extra={"run_id": document["run_id"], "why": why, "where": f"{last.name}, line {last.lineno}"},
        )
        document["warnings"] = [*document.get("warnings", ()), warning.format(why)]
        return otherwise()

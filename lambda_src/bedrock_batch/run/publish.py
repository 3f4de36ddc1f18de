"""Write the files for people when a run has ended: report.json, report.html, which is made from it, and table.sql.

No code writes report.json alone; a test checks this.
"""

import logging
from collections.abc import Mapping, Sequence
from traceback import extract_tb
from typing import Any

from bedrock_batch.aws.s3 import S3
from bedrock_batch.aws.s3_upload import Overtaken
from bedrock_batch.contracts.run import Run
from bedrock_batch.keys import RunKeys
from bedrock_batch.page import page, table_sql

_LOG = logging.getLogger(__name__)

_HTML, _SQL = "text/html; charset=utf-8", "text/plain; charset=utf-8"

_NOT_DRAWN = (
    "report.html says only how the run ended, because the page could not be drawn ({}); report.json has everything"
)
_NOT_MADE = "table.sql has no statement, because it could not be made ({}); the table itself is complete"


def publish(
    s3: S3,
    bucket: str,
    keys: RunKeys,
    document: Mapping[str, Any],
    runs: Sequence[Run] = (),
    *,
    replaces: str | None = None,
) -> tuple[dict[str, Any], bool]:
    """Write the three files, the report last. Return the report that was made, and whether another one existed.

    `runs` are the documents of the models, if the run was planned. `replaces` is the ETag of the report that this one
    may replace. Where somebody else, such as the redriven run, has written another one meanwhile, that one stays, and
    the page is made from it. A page that cannot be drawn is a warning of the report, and no error of the run.
    """
    written = dict(document)
    statement = _statement(written, keys, runs)
    drawn = _drawn(written, bucket, keys)
    s3.put(bucket, keys.table_sql, statement.encode(), content_type=_SQL)
    s3.put(bucket, keys.page, drawn, content_type=_HTML)
    try:
        s3.put_json(bucket, keys.report, written, replaces=replaces, indent=2)
    except Overtaken:
        s3.put(bucket, keys.page, _drawn(s3.get_json(bucket, keys.report), bucket, keys), content_type=_HTML)
        return written, True
    return written, False


def _drawn(document: dict[str, Any], bucket: str, keys: RunKeys) -> bytes:
    """Return the page. If it cannot be drawn, return a short one, and add a warning to the report."""
    place = f"s3://{bucket}/{keys.root}"
    try:
        return page.draw(document, place=place).encode()
    except Exception as err:  # No error of the page may change how the run ends.
        why, where = type(err).__name__, _place(err)
        _LOG.warning("the page was not drawn", extra={"run_id": keys.run_id, "why": why, "where": where})
        _warn(document, _NOT_DRAWN, err)
        return page.draw_end(document).encode()


def _statement(document: dict[str, Any], keys: RunKeys, runs: Sequence[Run]) -> str:
    """Return the statement. If it cannot be made, return a comment, and add a warning to the report."""
    if not runs:
        return table_sql.none(keys.run_id, "it ended before it was planned, or is so old that its plan is not read")
    try:
        return table_sql.statement(runs)
    except Exception as err:  # No error of the statement may change how the run ends.
        why, where = type(err).__name__, _place(err)
        _LOG.warning("the statement was not made", extra={"run_id": keys.run_id, "why": why, "where": where})
        _warn(document, _NOT_MADE, err)
        return table_sql.none(keys.run_id, "its columns could not be described; the parts themselves have them")


def _place(err: Exception) -> str:
    """Return where an error arose. Its message is left out of logs, because it may repeat the text of a cell."""
    last = extract_tb(err.__traceback__)[-1]
    return f"{last.name}, line {last.lineno}"


def _warn(document: dict[str, Any], warning: str, err: Exception) -> None:
    document["warnings"] = [*document.get("warnings", ()), warning.format(type(err).__name__)]

"""Write the files for people when a run has ended: report.json, report.html, which is made from it, and table.sql.

No code writes report.json alone; a test checks this.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bedrock_batch.aws.s3 import S3
from bedrock_batch.aws.s3_upload import Overtaken
from bedrock_batch.contracts.run import Run
from bedrock_batch.keys import RunKeys
from bedrock_batch.page import page, remedies, table_sql
from bedrock_batch.run.optional import made_or_warned

_END = ("contract", "run_id", "status", "failed_children", "error", "message")

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
    the other two files are made from it. A page that cannot be drawn is a warning of the report, and no error of the
    run.
    """
    written = _with_remedy(document, _place(bucket, keys))
    _put_beside(s3, bucket, keys, written, runs)
    try:
        s3.put_json(bucket, keys.report, written, replaces=replaces, indent=2)
    except Overtaken:
        _put_beside(s3, bucket, keys, s3.get_json(bucket, keys.report), runs)
        return written, True
    return written, False


def _put_beside(s3: S3, bucket: str, keys: RunKeys, document: dict[str, Any], runs: Sequence[Run]) -> None:
    """Write the statement, then the page, which shows the statement's warning if there is one."""
    statement = _statement(document, keys, runs)
    drawn = _drawn(document, bucket, keys)
    s3.put(bucket, keys.table_sql, statement.encode(), content_type=_SQL)
    s3.put(bucket, keys.page, drawn, content_type=_HTML)


def _place(bucket: str, keys: RunKeys) -> str:
    return f"s3://{bucket}/{keys.root}"


def _with_remedy(document: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return a report that says what to do behind its end, if the run did not end well."""
    written = {key: value for key, value in document.items() if key != "what_to_do"}
    if written["status"] == "SUCCEEDED":
        return written
    do = remedies.with_commands(remedies.of_report(written).do)
    do = remedies.plain(do, remedies.values(written["run_id"], place))
    return {key: written[key] for key in _END if key in written} | {"what_to_do": do} | written


def _drawn(document: dict[str, Any], bucket: str, keys: RunKeys) -> bytes:
    """Return the page; a short one, if it cannot be drawn."""
    place = _place(bucket, keys)
    html = made_or_warned(
        lambda: page.draw(document, place=place), lambda: page.draw_end(document), document, _NOT_DRAWN
    )
    return html.encode()


def _statement(document: dict[str, Any], keys: RunKeys, runs: Sequence[Run]) -> str:
    """Return the statement; a comment, if it cannot be made."""
    if not runs:
        return table_sql.none(keys.run_id, "it ended before it was planned, or is so old that its plan is not read")
    if "output" not in document and not runs[0].dry_run:
        return table_sql.none(keys.run_id, "it ended before its first job, so it has no table")
    why_none = "its columns could not be described; the parts themselves have them"
    return made_or_warned(
        lambda: table_sql.statement(runs), lambda: table_sql.none(keys.run_id, why_none), document, _NOT_MADE
    )

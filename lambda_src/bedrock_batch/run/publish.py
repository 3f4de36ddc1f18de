"""Write the files for people when a run has ended: report.json, report.html, which is made from it, and table.sql.

No code writes report.json alone; a test checks this.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bedrock_batch.aws.s3 import S3
from bedrock_batch.aws.s3_upload import Overtaken
from bedrock_batch.contracts.run import Run
from bedrock_batch.errors import InputNotFound
from bedrock_batch.keys import RunKeys
from bedrock_batch.page import page, remedies, table_sql
from bedrock_batch.run.optional import made_or_warned

_END = ("contract", "run_id", "status", "failed_children", "error", "message")

_HTML, _SQL = "text/html; charset=utf-8", "text/plain; charset=utf-8"

_NOT_DRAWN = (
    "report.html says only how the run ended, because the page could not be drawn ({}); report.json has everything"
)
_NO_REMEDY = "the report does not say what to do, because that could not be found ({}); docs/operations.md says it"
_NOT_MADE = "table.sql has no statement, because it could not be made ({}); the table itself is complete"

_MOST_TURNS = 5
"""More than two writers need. It only keeps the loop from going on for ever."""


class _File(NamedTuple):
    """The contents of a file beside the report."""

    body: bytes
    content_type: str


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
    beside = _beside(bucket, keys, written, runs)
    _put(s3, bucket, beside)
    overtaken = False
    try:
        s3.put_json(bucket, keys.report, written, replaces=replaces, indent=2)
    except Overtaken:
        overtaken = True
    _settle(s3, bucket, keys, written, runs, beside)
    return written, overtaken


def report_so_far(s3: S3, bucket: str, keys: RunKeys) -> dict[str, Any]:
    """Return the report that a run has; {} if it has none, or if somebody has edited it so that it is no report."""
    try:
        found = s3.get_json(bucket, keys.report)
    except (InputNotFound, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _settle(
    s3: S3, bucket: str, keys: RunKeys, document: dict[str, Any], runs: Sequence[Run], beside: dict[str, _File]
) -> None:
    """Write the files beside the report again, until they are those of the report that stands.

    stop-run and the redriven run may write at the same time, each file after the other's. Whoever writes last also
    looks last, so in the end all files have the same end of the run. `beside` are the files of `document`.
    """
    for _ in range(_MOST_TURNS):
        stands = report_so_far(s3, bucket, keys) or document
        if stands != document:
            document, beside = stands, _beside(bucket, keys, stands, runs)
        if all(_holds(s3, bucket, key, file.body) for key, file in beside.items()):
            return
        _put(s3, bucket, beside)


def _beside(bucket: str, keys: RunKeys, document: dict[str, Any], runs: Sequence[Run]) -> dict[str, _File]:
    """Return statement and page of a report by key. The page shows the statement's warning if there is one."""
    statement = _statement(document, keys, runs)
    drawn = _drawn(document, bucket, keys)
    return {keys.table_sql: _File(statement.encode(), _SQL), keys.page: _File(drawn, _HTML)}


def _put(s3: S3, bucket: str, files: Mapping[str, _File]) -> None:
    for key, file in files.items():
        s3.put(bucket, key, file.body, content_type=file.content_type)


def _holds(s3: S3, bucket: str, key: str, body: bytes) -> bool:
    try:
        return s3.read(bucket, key) == body
    except InputNotFound:
        return False


def _place(bucket: str, keys: RunKeys) -> str:
    return f"s3://{bucket}/{keys.root}"


def _with_remedy(document: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return a report that says what to do behind its end, if the run did not end well."""
    written = {key: value for key, value in document.items() if key != "what_to_do"}
    if written["status"] == "SUCCEEDED":
        return written

    def remedy() -> dict[str, str]:
        do = remedies.with_commands(remedies.of_report(written).do)
        return {"what_to_do": remedies.plain(do, remedies.values(written["run_id"], place))}

    found: dict[str, Any] = made_or_warned(remedy, dict, written, _NO_REMEDY)
    return {key: written[key] for key in _END if key in written} | found | written


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

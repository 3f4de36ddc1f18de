"""Join shard: lay the answers of a shard's jobs beside its rows and write its part of the output table."""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from bedrock_batch import keys
from bedrock_batch.answers.answer import Parsed
from bedrock_batch.answers.answer_schema import Reader
from bedrock_batch.answers.raw_outputs import RawOutputs
from bedrock_batch.answers.refused_jobs import MOST_JOBS, is_refusal
from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.aws.s3_upload import Overtaken
from bedrock_batch.contracts.lines import JobEnd, Joined, Shard
from bedrock_batch.contracts.run import Run
from bedrock_batch.errors import after_spend
from bedrock_batch.handlers.edge import at_edge
from bedrock_batch.join import ask_again, write
from bedrock_batch.join.joiner import Joiner
from bedrock_batch.join.output_columns import answer_column, kept_columns, output_schema
from bedrock_batch.record_ids import record_id, row_of
from bedrock_batch.table import read
from bedrock_batch.table.schemas import unpacked

RECORD_ID = slice(13, 24)
"""Where a record's id stands in a line that prepare_shard wrote: `{"recordId":"00042000017",…`."""

_LOG = logging.getLogger(__name__)
_LOG.setLevel(logging.INFO)


@at_edge
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the shard's counts and the key of its part, as `Joined`.

    The event is a shard with `skipped_key` (or null), `jobs`, a list of `JobEnd` in the order of time
    (without jobs its rows are missing), and `step` (or null), which says where its leftovers are written. With
    `replaces`, the part's ETag, a part that was written since then stays.
    """
    return join_shard(S3(clients.s3()), event).to_json()


def join_shard(s3: S3, event: dict[str, Any]) -> Joined:
    """Write the shard's part; the same raw outputs give the same bytes, so it may be done again at any time.

    Memory: answers up to `HELD_BYTES` (when there are more, the raw outputs are read again for the rows behind),
    some 100 bytes a row, one row group of output and a few blocks of 8 MB; the echoed input and the rest of the
    raw output pass by.

    Raises:
        InputChanged: a source object is no longer the planned one.
    """
    shard = Shard.from_json(event)
    raw = f"s3://{shard.bucket}/{keys.folder_of(shard.run_key)}raw/"
    with after_spend(
        f"All answers of shard {shard.shard:05d} are kept in {raw}; a redrive joins the shard again, asks the model "
        "nothing and costs nothing."
    ):
        return _join(s3, shard, event)


def _join(s3: S3, shard: Shard, event: dict[str, Any]) -> Joined:
    run = Run.from_json(s3.get_json(shard.bucket, shard.run_key))
    jobs = [JobEnd.from_json(job) for job in event["jobs"]]
    answer_schema = run.output.get("schema")
    reader = Reader(answer_schema, prefix=run.output["prefix"]) if answer_schema else None
    records_of = run.rendered(shard.shard)
    joiner = Joiner(shard=records_of, rows=shard.rows, kind=run.kind, dimensions=run.dimensions, reader=reader)
    if event.get("skipped_key"):
        joiner.skip(s3.lines(shard.bucket, event["skipped_key"]), first_row=shard.first_row)
    joiner.end(jobs)
    raw = RawOutputs(s3, run, jobs)
    chooser = None
    if run.retry and any(job.leftovers_step is not None for job in jobs):
        # Before any answer is held, as the first of two is not the one that counts.
        chooser = ask_again.Chooser(shard=records_of, rows=shard.rows, retry=run.retry, reader=reader)
        for number, job in enumerate(jobs):
            chooser.look(job.leftovers_step, raw.of(number))

    def answers() -> Iterator[Parsed]:
        for number in range(len(jobs)):
            yield from raw.of(number) if chooser is None else chooser.counting(number, raw.of(number))

    for some in answers():
        joiner.add(some)
    for job, rows in _refused(s3, run, shard, jobs, raw):
        joiner.refuse(rows, job)
    size, overtaken = _write_part(s3, run, shard, joiner, answers, replaces=event.get("replaces"))
    joined = joiner.joined(output_key=run.output_key(shard.shard), size=size)
    came = {name: counts.to_json() for name, counts in raw.came.items()}
    joined = replace(joined, shard=shard.shard, jobs=len(jobs), came=came)
    due = ask_again.Due([], [])
    if run.retry:
        due = ask_again.due(joiner, chooser, run.retry)
        joined = ask_again.counted(joined, joiner, chooser, due)
    if event.get("step") is not None:
        joined = _write_leftovers(s3, run, joined, joiner.leftover_rows(), due, step=event["step"])
    told = {
        **{key: value for key, value in joined.to_json().items() if key not in ("messages", "came")},
        "message": "joined",
        "overtaken": overtaken,
        "run_id": run.run_id,
        "jobs": [job.job_name for job in jobs],
        "raw_bytes": raw.size,
        "foreign_lines": joiner.foreign,
        "duplicate_lines": joiner.duplicates,
        "broken_lines": joiner.broken,
    }
    _LOG.info(json.dumps(told))
    return joined


def _refused(s3: S3, run: Run, shard: Shard, jobs: list[JobEnd], raw: RawOutputs) -> Iterator[tuple[JobEnd, list[int]]]:
    """Yield each job that refused records for the last time, with their rows.

    A job may have had some of a shard's records only, so the rows are read from the file that it was sent.
    """
    refusals = [job for number, job in enumerate(jobs) if is_refusal(job) and not raw.wrote(number)]
    if len(refusals) < MOST_JOBS:
        return
    times = Counter[int]()
    for job in refusals:
        rows = list(_rows_sent(s3, run, shard, job))
        times.update(rows)
        yield job, [row for row in rows if times[row] == MOST_JOBS]


def _rows_sent(s3: S3, run: Run, shard: Shard, job: JobEnd) -> Iterator[int]:
    """Yield the rows of a shard whose records a job was sent; with them skipped ones, where it was sent all others."""
    step = job.leftovers_step
    if step is None and job.start == 0 and job.stop is None:
        yield from range(shard.rows)
        return
    key = run.input_key(shard.shard) if step is None else keys.leftovers_key(run.run_id, step, shard.shard)
    prefix = f"{run.rendered(shard.shard):05d}"
    for line in islice(s3.raw_lines(run.bucket, key), job.start, job.stop):
        row = row_of(line[RECORD_ID].decode(), prefix, shard.rows)
        if row is not None:
            yield row


def _write_part(
    s3: S3, run: Run, shard: Shard, joiner: Joiner, answers: Callable[[], Iterator[Parsed]], *, replaces: str | None
) -> tuple[int, bool]:
    """Write the rows with their answers; return the part's size, and whether a part that knows more was there."""
    form, prefix = run.output["format"], run.output["prefix"]
    table = kept_columns(unpacked(run.table["schema"]), run.output.get("columns"))
    schema = output_schema(
        table, kind=run.kind, prefix=prefix, dimensions=run.dimensions, answer_schema=run.output.get("schema")
    )
    rows = read.read_shard(s3, run, shard, columns=table.names)
    out = s3.writer(run.bucket, run.output_key(shard.shard), replaces=replaces)
    try:
        with out:
            joined = joiner.join(rows, schema, answers)
            write.write(joined, schema, out, form=form, answer=answer_column(run.kind, prefix))
    except Overtaken:
        return out.size, True
    return out.size, False


def _write_leftovers(s3: S3, run: Run, joined: Joined, rows: list[int], due: ask_again.Due, *, step: int) -> Joined:
    """Write the records of these rows as they were prepared, and those to ask once more as they are asked then.

    Records that are asked once more for the first time are the first lines. When all records are left as they were
    prepared, the input file will do.
    """
    asked_again = bool(due.first or due.again)
    if not asked_again and (not rows or len(rows) == joined.rows - joined.outcomes.get("skipped", 0)):
        return joined
    with s3.writer(run.bucket, keys.leftovers_key(run.run_id, step, joined.shard)) as out:
        for wanted in filter(None, (due.first, due.again, rows)):
            for line in _records(s3, run, joined.shard, wanted):
                out.write((line if wanted is rows or not run.retry else ask_again.larger(line, run.retry)) + b"\n")
    return replace(joined, leftovers_step=step, leftover_bytes=out.size)


def _records(s3: S3, run: Run, shard: int, rows: list[int]) -> Iterator[bytes]:
    """Yield the lines of these rows in the shard's input file."""
    wanted = {record_id(run.rendered(shard), row).encode() for row in rows}
    for line in s3.raw_lines(run.bucket, run.input_key(shard)):
        if line[RECORD_ID] in wanted:
            yield line

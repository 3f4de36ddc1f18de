"""The records of a joined shard: those that its jobs received, those that they refused, and those to send next."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from bedrock_batch.answers.raw_outputs import RawOutputs
from bedrock_batch.answers.refused_jobs import MOST_JOBS, is_refusal
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import JobEnd, ShardJoin
from bedrock_batch.contracts.results import Joined
from bedrock_batch.contracts.run import Run
from bedrock_batch.join import ask_again
from bedrock_batch.record_ids import id_in, record_id, row_of, shard_prefix


def refused(s3: S3, run: Run, shard: ShardJoin, raw: RawOutputs) -> Iterator[tuple[JobEnd, list[int]]]:
    """Yield each job that refused records a last time, with the rows of these records.

    A job may have only some of a shard's records, so the rows are read from the job's input file.
    """
    refusals = [job for number, job in enumerate(shard.jobs) if is_refusal(job) and not raw.wrote(number)]
    if len(refusals) < MOST_JOBS:
        return
    times = Counter[int]()
    for job in refusals:
        rows = list(_rows_sent(s3, run, shard, job))
        times.update(rows)
        yield job, [row for row in rows if times[row] == MOST_JOBS]


def _rows_sent(s3: S3, run: Run, shard: ShardJoin, job: JobEnd) -> Iterator[int]:
    """Yield the rows of a shard whose records a job received. For a job of all records, skipped rows are included."""
    step = job.leftovers_step
    if step is None and job.start == 0 and job.stop is None:
        yield from range(shard.rows)
        return
    key = run.input_key(shard.shard) if step is None else run.keys.leftovers(step, shard.shard)
    prefix = shard_prefix(run.rendered(shard.shard))
    for line in islice(s3.raw_lines(run.bucket, key), job.start, job.stop):
        row = row_of(id_in(line), prefix, shard.rows)
        if row is not None:
            yield row


def write_leftovers(s3: S3, run: Run, joined: Joined, rows: list[int], due: ask_again.Due, *, step: int) -> Joined:
    """Write the records to send next; return `joined` with the step and the size of their file.

    First come the retries, with the larger limit: `due.first`, then `due.again`. The records of `rows` follow, as they
    were prepared. If the file would be the same as the shard's input file, it is not written.
    """
    asked_again = bool(due.first or due.again)
    if not asked_again and (not rows or len(rows) == joined.rows - joined.outcomes.get("skipped", 0)):
        return joined
    with s3.writer(run.bucket, run.keys.leftovers(step, joined.shard)) as out:
        for wanted in filter(None, (due.first, due.again, rows)):
            for line in _records(s3, run, joined.shard, wanted):
                out.write((line if wanted is rows or not run.retry else ask_again.larger(line, run.retry)) + b"\n")
    return replace(joined, leftovers_step=step, leftover_bytes=out.size)


def _records(s3: S3, run: Run, shard: int, rows: list[int]) -> Iterator[bytes]:
    """Yield the lines of these rows in the shard's input file."""
    wanted = {record_id(run.rendered(shard), row) for row in rows}
    for line in s3.raw_lines(run.bucket, run.input_key(shard)):
        if id_in(line) in wanted:
            yield line

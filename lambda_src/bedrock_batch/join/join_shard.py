"""Join a shard: match the raw outputs of its jobs with its frame, write its part of the table and its leftovers."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from bedrock_batch import keys
from bedrock_batch.answers.answer import Parsed
from bedrock_batch.answers.answer_schema import Reader
from bedrock_batch.answers.raw_outputs import RawOutputs
from bedrock_batch.aws.run_documents import read_run
from bedrock_batch.aws.s3 import S3
from bedrock_batch.aws.s3_upload import Overtaken
from bedrock_batch.contracts.lines import JobEnd, Shard, ShardJoin
from bedrock_batch.contracts.results import Joined
from bedrock_batch.contracts.run import Run
from bedrock_batch.errors import after_spend
from bedrock_batch.join import ask_again, sent_records
from bedrock_batch.join.examples import Examples
from bedrock_batch.join.held_answers import MOST_HELD_BYTES
from bedrock_batch.join.joiner import Joiner
from bedrock_batch.join.output_columns import answer_column, output_schema
from bedrock_batch.table import frame, write

_LOG = logging.getLogger(__name__)


def join_shard(s3: S3, shard: ShardJoin, *, held_bytes: int = MOST_HELD_BYTES) -> Joined:
    """Write the shard's part. The same raw outputs give the same bytes, so a shard may be joined again at any time.

    Memory holds answers up to `held_bytes`, about 100 bytes for each row, one row group of output and a few blocks of
    8 MB. If there are more answers, the raw outputs are read again for the later rows.
    """
    raw = f"s3://{shard.bucket}/{keys.folder_of(shard.run_key)}raw/"
    with after_spend(
        f"All answers of shard {keys.shard_name(shard.shard)} are kept in {raw}. A redrive joins the shard again; it "
        "calls no model, so it costs no tokens."
    ):
        return _join(s3, read_run(s3, shard.bucket, shard.run_key), shard, held_bytes)


def _join(s3: S3, run: Run, shard: ShardJoin, held_bytes: int) -> Joined:
    answer_schema = run.output.get("schema")
    reader = Reader(answer_schema) if answer_schema else None
    raw = RawOutputs(s3, run, shard.jobs)
    chooser = _chooser(run, shard, raw, reader)
    answers = partial(_answers, raw, len(shard.jobs), chooser)
    joiner = _joiner(s3, run, shard, reader, held_bytes)
    for some in answers():
        joiner.add(some)
    for job, rows in sent_records.refused(s3, run, shard, raw):
        joiner.outcomes.refuse(rows, job)
        if chooser is not None:
            chooser.refuse(rows)
    size, overtaken = _write_part(s3, run, shard, joiner, answers, replaces=shard.replaces)
    joined = replace(
        joiner.joined(output_key=run.output_key(shard.shard), size=size),
        shard=shard.shard,
        jobs=len(shard.jobs),
        came=raw.came,
    )
    due = ask_again.Due([], [])
    if run.retry:
        due = ask_again.due(joiner, chooser, run.retry)
        joined = ask_again.counted(joined, joiner, chooser, due)
    if shard.step is not None:
        joined = sent_records.write_leftovers(s3, run, joined, joiner.outcomes.leftover_rows(), due, step=shard.step)
    _log(run, shard.jobs, joined, joiner, raw_bytes=raw.size, overtaken=overtaken)
    return joined


def _joiner(s3: S3, run: Run, shard: ShardJoin, reader: Reader | None, held_bytes: int) -> Joiner:
    """Return a joiner without answers. It has the skipped rows and the ends of the jobs."""
    joiner = Joiner(
        shard=run.rendered(shard.shard),
        rows=shard.rows,
        kind=run.kind,
        dimensions=run.dimensions,
        reader=reader,
        held_bytes=held_bytes,
        reasoning=run.output.get("reasoning", False),
        first_row=shard.first_row if run.output.get("row_number") else None,
    )
    if shard.skipped_key:
        joiner.skip(s3.lines(shard.bucket, shard.skipped_key), first_row=shard.first_row)
    joiner.end(shard.jobs)
    return joiner


def _chooser(run: Run, shard: ShardJoin, raw: RawOutputs, reader: Reader | None) -> ask_again.Chooser | None:
    """Return the chooser between two answers of a row; None if no row can have two.

    It looks at all answers before the joiner holds any, because the first answer of a row may not be kept.
    """
    if not run.retry or all(job.leftovers_step is None for job in shard.jobs):
        return None
    chooser = ask_again.Chooser(shard=run.rendered(shard.shard), rows=shard.rows, retry=run.retry, reader=reader)
    for number, job in enumerate(shard.jobs):
        chooser.look(job.leftovers_step, raw.of(number))
    return chooser


def _answers(raw: RawOutputs, jobs: int, chooser: ask_again.Chooser | None) -> Iterator[Parsed]:
    """Yield the answers to keep, of all jobs, in the order of time."""
    for number in range(jobs):
        yield from raw.of(number) if chooser is None else chooser.counting(number, raw.of(number))


def _write_part(
    s3: S3, run: Run, shard: Shard, joiner: Joiner, answers: Callable[[], Iterator[Parsed]], *, replaces: str | None
) -> tuple[int, bool]:
    """Write the rows with their answers.

    Returns the part's size in bytes, and whether another join has written the part since: then that part stays.
    """
    form, prefix = run.output["format"], run.output["prefix"]
    schema = output_schema(frame.schema_of(run), run.output, kind=run.kind, dimensions=run.dimensions)
    rows = frame.read_frame(s3, run, shard)
    out = s3.writer(run.bucket, run.output_key(shard.shard), replaces=replaces)
    examples = Examples(prefix, shard.first_row)
    try:
        with out:
            joined = joiner.join(rows, schema, answers)
            if run.examples:
                joined = examples.of(joined)
            write.write(joined, schema, out, form=form, unique=[answer_column(run.kind, prefix)])
    except Overtaken:
        return out.size, True
    if run.examples:
        s3.put_json(run.bucket, run.keys.examples(shard.shard), examples.rows)
    return out.size, False


def _log(run: Run, jobs: Sequence[JobEnd], joined: Joined, joiner: Joiner, *, raw_bytes: int, overtaken: bool) -> None:
    counts = {key: value for key, value in joined.to_json().items() if key not in ("messages", "came")}
    names = [job.job_name for job in jobs]
    _LOG.info(
        "joined",
        extra={
            **counts,
            "run_id": run.run_id,
            "job_name": names[-1] if names else None,
            "job_names": names,
            "overtaken": overtaken,
            "raw_bytes": raw_bytes,
            "foreign_lines": joiner.foreign,
            "duplicate_lines": joiner.duplicates,
            "broken_lines": joiner.broken,
        },
    )

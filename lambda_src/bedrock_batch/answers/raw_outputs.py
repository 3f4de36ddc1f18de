"""Read the raw outputs of a shard's jobs as answers. Bedrock wrote them, or the function answer_on_demand did."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from bedrock_batch.answers.answer import Answer, Answers, Parsed
from bedrock_batch.answers.lines import lines_of, whole_lines
from bedrock_batch.answers.parse import parser
from bedrock_batch.aws.s3 import S3, Object
from bedrock_batch.contracts import routes
from bedrock_batch.contracts.lines import JobEnd
from bedrock_batch.contracts.results import JobCounts
from bedrock_batch.contracts.run import Run
from bedrock_batch.errors import file_of_a_chunk
from bedrock_batch.keys import is_on_demand


class _Tier(msgspec.Struct):
    """The service tier in an answer on demand. The output of a batch job has none."""

    serviceTier: str | None = None


_TIER = msgspec.json.Decoder(_Tier)


class RawOutputs:
    """The raw outputs of some jobs. They are listed once and can be read several times.

    `size` is the size of all in bytes. `came` has the counts of the records that were read, by job name and route.
    """

    def __init__(self, s3: S3, run: Run, jobs: Sequence[JobEnd]) -> None:
        self._s3 = s3
        self._parse = parser(run.response, run.dimensions, reasoning=run.output.get("reasoning", False))
        self._names = [job.job_name for job in jobs]
        self.came: dict[str, dict[str, JobCounts]] = {}
        # Bedrock puts the output into a folder named by the job's id, beside a manifest.
        self._files = [
            [item for item in s3.list(run.bucket, job.raw_prefix) if item.key.endswith(".jsonl.out")] for job in jobs
        ]
        self.size = sum(item.size for files in self._files for item in files)

    def wrote(self, job: int) -> bool:
        """Return whether a job, by its number from 0, wrote anything."""
        return any(item.size for item in self._files[job])

    def of(self, job: int) -> Iterator[Parsed]:
        """Yield the answers of a job, by its number from 0, a block at a time and always in the same order.

        Raises ChunkTaken: a call on demand that outlived its run has written the file since it was listed.
        """
        name, came = self._names[job], dict[str, JobCounts]()
        for item in self._files[job]:
            for route, block in _routed(self._read(item, name), on_demand=is_on_demand(name)):
                parsed = self._parse(block)
                came[route] = _more(came.get(route, JobCounts()), parsed)
                yield parsed
        self.came[name] = came

    def _read(self, item: Object, name: str) -> Iterator[bytes | memoryview]:
        blocks = whole_lines(self._s3.stream(item.bucket, item.key, start=0, end=item.size, etag=item.etag))
        if not is_on_demand(name):
            yield from blocks
            return
        with file_of_a_chunk(f"s3://{item.bucket}/{item.key}"):
            yield from blocks


def _routed(blocks: Iterable[bytes | memoryview], *, on_demand: bool) -> Iterator[tuple[str, bytes | memoryview]]:
    """Yield blocks of lines, each with the route of its answers. For answers on demand, a block is one line."""
    for block in blocks:
        if not on_demand:
            yield routes.BATCH, block
            continue
        for line in lines_of(block):
            yield routes.of_tier(_tier(line)), line


def _tier(line: bytes) -> str | None:
    """Return the service tier of an output line; None if it has none or cannot be read."""
    try:
        return _TIER.decode(line).serviceTier
    except (ValueError, RecursionError):
        return None


def _more(before: JobCounts, parsed: Parsed) -> JobCounts:
    """Return the counts plus the records of a block and the tokens of its answers."""
    if isinstance(parsed, Answers):
        tokens = parsed.input_tokens, parsed.output_tokens
        records = answered = len(parsed.record_ids)
    else:
        answers = [one for one in parsed if isinstance(one, Answer)]
        tokens = [one.input_tokens for one in answers], [one.output_tokens for one in answers]
        records, answered = sum(one is not None for one in parsed), len(answers)
    input_tokens, output_tokens = (sum(filter(None, some)) for some in tokens)
    return JobCounts(
        records=before.records + records,
        answered=before.answered + answered,
        input_tokens=before.input_tokens + input_tokens,
        output_tokens=before.output_tokens + output_tokens,
    )

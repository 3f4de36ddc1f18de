"""The raw outputs of the jobs of a shard, read as answers. Bedrock wrote them, or Answer on demand in its place."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from bedrock_batch.answers.answer import Answer, Answers, Parsed
from bedrock_batch.answers.lines import lines_of, whole_lines
from bedrock_batch.answers.parse import parser
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts import routes
from bedrock_batch.contracts.lines import JobEnd
from bedrock_batch.contracts.results import JobCounts
from bedrock_batch.contracts.run import Run
from bedrock_batch.keys import is_on_demand


class _Tier(msgspec.Struct):
    """What an answer on demand says of its service tier; a batch job's output says nothing."""

    serviceTier: str | None = None


_TIER = msgspec.json.Decoder(_Tier)


class RawOutputs:
    """The raw outputs of some jobs, listed once and read as often as need be.

    `size` is the size of all in bytes. `came` has the counts of those that were read, by the job's name and
    the route.
    """

    def __init__(self, s3: S3, run: Run, jobs: Sequence[JobEnd]) -> None:
        self._s3 = s3
        self._parse = parser(run.response, run.dimensions, reasoning=run.output.get("reasoning", False))
        self._names = [job.job_name for job in jobs]
        self.came: dict[str, dict[str, JobCounts]] = {}
        # A folder named by the job's id lies in between, and a manifest beside the output.
        self._files = [
            [item for item in s3.list(run.bucket, job.raw_prefix) if item.key.endswith(".jsonl.out")] for job in jobs
        ]
        self.size = sum(item.size for files in self._files for item in files)

    def wrote(self, job: int) -> bool:
        """Tell whether there is anything of a job, counted from 0."""
        return any(item.size for item in self._files[job])

    def of(self, job: int) -> Iterator[Parsed]:
        """Yield the answers of a job, counted from 0, a block at a time and always in the same order."""
        name, came = self._names[job], dict[str, JobCounts]()
        for item in self._files[job]:
            blocks = self._s3.stream(item.bucket, item.key, start=0, end=item.size, etag=item.etag)
            for route, block in _routed(whole_lines(blocks), on_demand=is_on_demand(name)):
                parsed = self._parse(block)
                came[route] = _more(came.get(route, JobCounts()), parsed)
                yield parsed
        self.came[name] = came


def _routed(blocks: Iterable[bytes | memoryview], *, on_demand: bool) -> Iterator[tuple[str, bytes | memoryview]]:
    """Yield blocks of lines, each with the route of its answers: for answers on demand a line at a time."""
    for block in blocks:
        if not on_demand:
            yield routes.BATCH, block
            continue
        for line in lines_of(block):
            yield routes.of_tier(_tier(line)), line


def _tier(line: bytes) -> str | None:
    """Return the service tier that an output line names; None where it names none, or cannot be read."""
    try:
        return _TIER.decode(line).serviceTier
    except (ValueError, RecursionError):
        return None


def _more(before: JobCounts, parsed: Parsed) -> JobCounts:
    """Add the records of a block, and the tokens that its answers name."""
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

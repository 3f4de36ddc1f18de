"""The raw outputs of the jobs of a shard, read as answers. Bedrock wrote them, or Answer on demand in its place."""

from collections.abc import Iterator, Sequence

from bedrock_batch.answers.answer import Answer, Answers, Parsed
from bedrock_batch.answers.lines import whole_lines
from bedrock_batch.answers.parse import parser
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import JobCounts, JobEnd
from bedrock_batch.contracts.run import Run


class RawOutputs:
    """The raw outputs of some jobs, listed once and read as often as need be.

    `size` is the size of all in bytes. `came` has the counts of those that were read, by the job's name.
    """

    def __init__(self, s3: S3, run: Run, jobs: Sequence[JobEnd]) -> None:
        self._s3 = s3
        self._parse = parser(run.response, run.dimensions, reasoning=run.output.get("reasoning", False))
        self._names = [job.job_name for job in jobs]
        self.came: dict[str, JobCounts] = {}
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
        came = [0, 0, 0]
        for item in self._files[job]:
            blocks = self._s3.stream(item.bucket, item.key, start=0, end=item.size, etag=item.etag)
            for parsed in map(self._parse, whole_lines(blocks)):
                came = [before + more for before, more in zip(came, _counts(parsed), strict=True)]
                yield parsed
        self.came[self._names[job]] = JobCounts(*came)


def _counts(parsed: Parsed) -> tuple[int, int, int]:
    """Return the records of a block, and the tokens that its answers name."""
    if isinstance(parsed, Answers):
        tokens = parsed.input_tokens, parsed.output_tokens
        records = len(parsed.record_ids)
    else:
        answers = [one for one in parsed if isinstance(one, Answer)]
        tokens = [one.input_tokens for one in answers], [one.output_tokens for one in answers]
        records = sum(one is not None for one in parsed)
    input_tokens, output_tokens = (sum(filter(None, some)) for some in tokens)
    return records, input_tokens, output_tokens

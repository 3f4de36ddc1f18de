"""What Bedrock wrote for the jobs of a shard, or Answer on demand in its place, as answers."""

from collections.abc import Iterator, Sequence

from bedrock_batch.adapters.s3 import S3
from bedrock_batch.answers import Parsed
from bedrock_batch.blocks import whole_lines
from bedrock_batch.contracts import JobEnd, Run
from bedrock_batch.parse import parser


class RawOutputs:
    """The raw outputs of some jobs, listed once and read as often as need be; `size` is that of all."""

    def __init__(self, s3: S3, run: Run, jobs: Sequence[JobEnd]) -> None:
        self._s3 = s3
        self._parse = parser(run.response, run.dimensions)
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
        for item in self._files[job]:
            blocks = self._s3.stream(item.bucket, item.key, start=0, end=item.size, etag=item.etag)
            yield from map(self._parse, whole_lines(blocks))

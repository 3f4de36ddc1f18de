"""The records of parts: lines of leftovers files and input files, in Bedrock's format."""

from collections.abc import Iterable, Iterator
from itertools import islice

from bedrock_batch import keys
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import Part
from bedrock_batch.contracts.run import Run
from bedrock_batch.errors import PoolIncomplete


def read_parts(s3: S3, run: Run, parts: Iterable[Part]) -> Iterator[bytes]:
    """Yield the lines of all parts, which are of the model's shards, in order, without their newlines.

    Raises:
        PoolIncomplete: a file has fewer lines than were planned with.
    """
    for part in parts:
        key = run.input_key(part.shard)
        if part.step is not None:
            key = keys.leftovers_key(run.run_id, part.step, part.shard)
        count = 0
        for line in islice(s3.raw_lines(run.bucket, key), part.start, part.stop):
            count += 1
            yield line
        if count != part.stop - part.start:
            raise PoolIncomplete(
                f"s3://{run.bucket}/{key} ends before line {part.stop}, with which these records were to be sent. It "
                f"was changed or deleted meanwhile. Nothing of it was paid again, and all answers so far are kept in "
                f"s3://{run.bucket}/{keys.run_prefix(run.run_id)}/raw/. The records stay without an answer: start a "
                "new run over their rows."
            )

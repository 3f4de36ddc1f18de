"""Read leftovers: lines of leftovers files and of input files."""

from collections.abc import Iterable, Iterator
from itertools import islice

from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import LeftoverLines
from bedrock_batch.contracts.run import Run
from bedrock_batch.errors import PoolIncomplete


def read_leftover_lines(s3: S3, run: Run, wanted: Iterable[LeftoverLines]) -> Iterator[bytes]:
    """Yield the lines in the order of `wanted`, without their newlines. `wanted` has lines of the model's shards.

    Raises:
        PoolIncomplete: a file has fewer lines than planned.
    """
    for one in wanted:
        key = run.input_key(one.shard)
        if one.step is not None:
            key = run.keys.leftovers(one.step, one.shard)
        count = 0
        for line in islice(s3.raw_lines(run.bucket, key), one.start, one.stop):
            count += 1
            yield line
        if count != one.records:
            raise PoolIncomplete(
                f"s3://{run.bucket}/{key} ends before line {one.stop}, which is one of the records to send. The file "
                f"was changed or deleted. None of the records was paid again, and all answers so far are kept in "
                f"s3://{run.bucket}/{run.keys.raw_folder}. The records stay without an answer. Start a "
                "new run over their rows."
            )

"""Write the input file of a pooled job: the leftovers of many shards."""

import logging
from contextlib import nullcontext

from bedrock_batch.aws.leftover_lines import read_leftover_lines
from bedrock_batch.aws.run_documents import read_run
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import Pool
from bedrock_batch.errors import TooLarge
from bedrock_batch.records.media_folder import Mover

_LOG = logging.getLogger(__name__)


def pool_leftovers(s3: S3, pool: Pool) -> dict[str, int]:
    """Write the records one after the other; return their number and bytes. Record ids stay, for the join.

    Objects that the records refer to are copied into the folder of the job.

    Raises:
        PoolIncomplete: a leftovers file is not the planned one.
        TooLarge: the file is larger than the model's quota.
    """
    run = read_run(s3, pool.bucket, pool.run_key)
    most = run.quotas["max_file_bytes"]
    records = 0
    mover = Mover(s3, run, pool.input_key) if run.own_folders else None
    with s3.writer(pool.bucket, pool.input_key) as out, mover or nullcontext():
        for line in read_leftover_lines(s3, run, pool.leftover_lines):
            out.write((mover.moved(line) if mover else line) + b"\n")
            records += 1
            if out.size > most:
                raise TooLarge(f"{pool.input_key} would have more than the {most / 1e6:.0f} MB that a file may have.")
    pooled = {"records": records, "bytes": out.size}
    _LOG.info("pooled", extra={"run_id": run.run_id, "job_name": run.pooled_job(pool.input_key), **pooled})
    return pooled

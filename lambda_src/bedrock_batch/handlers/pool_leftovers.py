"""Pool leftovers: write the input file of a job that answers the leftovers of many shards."""

import json
import logging
from contextlib import nullcontext
from typing import Any

from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import Part
from bedrock_batch.contracts.run import Run
from bedrock_batch.errors import TooLarge, after_spend
from bedrock_batch.handlers.edge import at_edge
from bedrock_batch.records.leftover_lines import read_parts
from bedrock_batch.records.media_folder import Mover

_LOG = logging.getLogger(__name__)
_LOG.setLevel(logging.INFO)


@at_edge
def handler(event: dict[str, Any], context: object) -> dict[str, int]:
    """Return the number of records and bytes written; the event is the `pool` of a line of `jobs-*.jsonl`."""
    with after_spend(
        "No job was made of these records, and none of them was paid again. They stay without an answer: the next "
        "round sends them, or a new run over the rows without an answer."
    ):
        return pool_leftovers(S3(clients.s3()), event)


def pool_leftovers(s3: S3, event: dict[str, Any]) -> dict[str, int]:
    """Write the lines of the parts one after the other. Record ids stay: the join goes by them.

    Objects that the records refer to are copied into the folder of the job.

    Raises:
        PoolIncomplete: a leftovers file is not the planned one.
        TooLarge: the file passes the model's quota.
    """
    bucket = event["bucket"]
    run = Run.from_json(s3.get_json(bucket, event["run_key"]))
    most = run.quotas["max_file_bytes"]
    records = 0
    mover = Mover(s3, run, event["input_key"]) if run.own_folders else None
    with s3.writer(bucket, event["input_key"]) as out, mover or nullcontext():
        for line in read_parts(s3, run, map(Part.from_json, event["parts"])):
            out.write((mover.moved(line) if mover else line) + b"\n")
            records += 1
            if out.size > most:
                raise TooLarge(f"{event['input_key']} would have more than the {most / 1e6:.0f} MB of a file.")
    pooled = {"records": records, "bytes": out.size}
    _LOG.info(json.dumps({"message": "pooled", "run_id": run.run_id, "input_key": event["input_key"], **pooled}))
    return pooled

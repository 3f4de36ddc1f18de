"""Answer on demand: send a chunk of records to the model one by one, and write the answers as a batch would."""

import json
import logging
from typing import Any

from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.aws.s3_upload import Overtaken
from bedrock_batch.contracts.lines import Part
from bedrock_batch.contracts.run import Run
from bedrock_batch.errors import ChunkTaken, OnDemandRefused, after_spend
from bedrock_batch.handlers.edge import at_edge
from bedrock_batch.records.leftover_lines import read_parts
from bedrock_batch.run import invoke

_LOG = logging.getLogger(__name__)
_LOG.setLevel(logging.INFO)


@at_edge
def handler(event: dict[str, Any], context: object) -> dict[str, int]:
    """Return the chunk's counts; the event is a line of `answers-*.jsonl`."""
    with after_spend(
        f"The chunk's answers so far are kept in s3://{event['bucket']}/{event['raw_key']}. Its other records stay "
        "without an answer: a new run over their rows pays for no others."
    ):
        return answer_on_demand(S3(clients.s3()), clients.client("bedrock-runtime"), event)


def answer_on_demand(s3: S3, runtime: Any, event: dict[str, Any]) -> dict[str, int]:
    """Answer the records that the chunk's file does not hold yet.

    The file is written after every answer: a call that dies leaves one record at most to be paid again. So does a
    call that outlives a stop of its run and meets the one of the redrive: who writes second stops. A record whose
    call is refused does not hold up the others.

    Raises:
        ChunkTaken: the file is no longer as this call wrote it.
        OnDemandRefused: of the first such record, when the others have been asked.
    """
    bucket, raw_key = event["bucket"], event["raw_key"]
    run = Run.from_json(s3.get_json(bucket, event["run_key"]))
    lines, etag = _written(s3, bucket, raw_key)
    done = {json.loads(line)["recordId"] for line in lines}
    refusals: list[OnDemandRefused] = []
    for text in read_parts(s3, run, map(Part.from_json, event["parts"])):
        record = json.loads(text)
        if record["recordId"] in done:
            continue
        try:
            line = invoke.answer(runtime, record, model_id=run.model_id, invocation_type=run.invocation_type)
        except OnDemandRefused as err:
            refusals.append(err)
            continue
        lines.append(invoke.to_line(line))
        try:
            with s3.writer(bucket, raw_key, replaces=etag) as out:
                out.write(b"".join(lines))
        except Overtaken as err:
            raise ChunkTaken(f"another call answers the records of s3://{bucket}/{raw_key} too") from err
        etag = out.etag
    if refusals:
        raise refusals[0]
    failed = sum("error" in json.loads(line) for line in lines)
    counts = {"chunk": event["chunk"], "records": len(lines), "failed": failed}
    _LOG.info(json.dumps({"message": "answered", "run_id": run.run_id, "raw_key": raw_key, **counts}))
    return counts


def _written(s3: S3, bucket: str, key: str) -> tuple[list[bytes], str]:
    """Return the lines that are there, and the ETag of a file that holds no more than these."""
    found = next(iter(s3.list(bucket, key)), None)
    if found is None:
        return [], ""
    return [line + b"\n" for line in s3.raw_lines(bucket, key)], found.etag

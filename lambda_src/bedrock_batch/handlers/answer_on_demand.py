"""Answer on demand: send a chunk of records to the model one by one, and write the answers as a batch would."""

import json
import logging
from typing import Any

from bedrock_batch.adapters import clients, on_demand
from bedrock_batch.adapters.parts import read_parts
from bedrock_batch.adapters.s3 import S3
from bedrock_batch.contracts import Part, Run

_LOG = logging.getLogger(__name__)
_LOG.setLevel(logging.INFO)


def handler(event: dict[str, Any], context: object) -> dict[str, int]:
    """Return the chunk's counts; the event is a line of `answers-*.jsonl`."""
    return answer_on_demand(S3(clients.s3()), clients.client("bedrock-runtime"), event)


def answer_on_demand(s3: S3, runtime: Any, event: dict[str, Any]) -> dict[str, int]:
    """Answer the records that the chunk's file does not hold yet.

    The file is written after every answer: a call that dies leaves one record at most to be paid again.
    """
    bucket, raw_key = event["bucket"], event["raw_key"]
    run = Run.from_json(s3.get_json(bucket, event["run_key"]))
    lines = _written(s3, bucket, raw_key)
    done = {json.loads(line)["recordId"] for line in lines}
    for text in read_parts(s3, bucket, run.run_id, map(Part.from_json, event["parts"])):
        record = json.loads(text)
        if record["recordId"] not in done:
            line = on_demand.answer(runtime, record, model_id=run.model_id, invocation_type=run.invocation_type)
            lines.append(on_demand.to_line(line))
            s3.put(bucket, raw_key, b"".join(lines))
    failed = sum("error" in json.loads(line) for line in lines)
    counts = {"chunk": event["chunk"], "records": len(lines), "failed": failed}
    _LOG.info(json.dumps({"message": "answered", "run_id": run.run_id, "raw_key": raw_key, **counts}))
    return counts


def _written(s3: S3, bucket: str, key: str) -> list[bytes]:
    if next(iter(s3.list(bucket, key)), None) is None:
        return []
    return [line + b"\n" for line in s3.raw_lines(bucket, key)]

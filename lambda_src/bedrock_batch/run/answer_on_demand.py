"""Answer a chunk of records on demand. Its file of answers on S3 is like a batch job's output."""

import json
import logging
from collections.abc import Iterable, Iterator
from typing import Any

from bedrock_batch.aws.leftover_lines import read_leftover_lines
from bedrock_batch.aws.run_documents import read_run
from bedrock_batch.aws.s3 import S3
from bedrock_batch.aws.s3_upload import Overtaken
from bedrock_batch.contracts.lines import Chunk
from bedrock_batch.errors import ChunkTaken, OnDemandRefused
from bedrock_batch.run import invoke

_LOG = logging.getLogger(__name__)
_LOG.setLevel(logging.INFO)


def answer_on_demand(s3: S3, runtime: Any, chunk: Chunk) -> dict[str, int]:
    """Answer the records that the chunk's file does not hold yet, and return the chunk's counts.

    The file is written after every answer: a call that dies leaves one record at most to be paid again. So does a
    call that outlives a stop of its run and meets the one of the redrive: who writes second stops. A record whose
    call is refused does not hold up the others.

    Raises:
        ChunkTaken: the file is no longer as this call wrote it.
        OnDemandRefused: of the first such record, when the others have been asked.
    """
    run = read_run(s3, chunk.bucket, chunk.run_key)
    answers = _Answers(s3, chunk.bucket, chunk.raw_key)
    refusals: list[OnDemandRefused] = []
    for record in _without_answer(read_leftover_lines(s3, run, chunk.leftover_lines), answers.lines):
        try:
            answer = invoke.answer(runtime, record, model_id=run.model_id, invocation_type=run.invocation_type)
        except OnDemandRefused as err:
            refusals.append(err)
            continue
        answers.add(invoke.to_line(answer))
    if refusals:
        raise refusals[0]
    failed = sum("error" in json.loads(line) for line in answers.lines)
    counts = {"chunk": chunk.chunk, "records": len(answers.lines), "failed": failed}
    _LOG.info(json.dumps({"message": "answered", "run_id": run.run_id, "raw_key": chunk.raw_key, **counts}))
    return counts


def _without_answer(records: Iterable[bytes], answers: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    done = {json.loads(line)["recordId"] for line in answers}
    return (record for record in map(json.loads, records) if record["recordId"] not in done)


class _Answers:
    """The chunk's file of answers: `lines` are all that it holds."""

    def __init__(self, s3: S3, bucket: str, key: str) -> None:
        self._s3, self._bucket, self._key = s3, bucket, key
        # Listed first: the ETag is then that of a file that holds no more than these lines.
        found = next(iter(s3.list(bucket, key)), None)
        self._etag = found.etag if found else ""
        self.lines = [line + b"\n" for line in s3.raw_lines(bucket, key)] if found else []

    def add(self, line: bytes) -> None:
        """Write the file with one more line. Raises ChunkTaken where another call has written it meanwhile."""
        self.lines.append(line)
        try:
            with self._s3.writer(self._bucket, self._key, replaces=self._etag) as out:
                out.write(b"".join(self.lines))
        except Overtaken as err:
            raise ChunkTaken(f"another call answers the records of s3://{self._bucket}/{self._key} too") from err
        self._etag = out.etag

"""Answer a chunk of records on demand. The file of answers on S3 has the format of a batch job's output."""

import json
import logging
import time
from collections.abc import Iterable, Iterator
from typing import Any

from bedrock_batch import keys
from bedrock_batch.aws.causes import without_data
from bedrock_batch.aws.leftover_lines import read_leftover_lines
from bedrock_batch.aws.run_documents import read_run
from bedrock_batch.aws.s3 import S3
from bedrock_batch.aws.s3_upload import Overtaken
from bedrock_batch.contracts.lines import Chunk
from bedrock_batch.contracts.results import ChunkAnswered
from bedrock_batch.contracts.routes import FLEX
from bedrock_batch.contracts.run import Run
from bedrock_batch.errors import ChunkTaken, OnDemandRefused, file_of_a_chunk
from bedrock_batch.run import invoke

_LOG = logging.getLogger(__name__)

_RESERVED_SECONDS = 300
"""Part of the function's time that is kept for the chunk's other records. They then do not wait for capacity."""

_FIRST_PAUSE, _LONGEST_PAUSE = 5, 60
"""Seconds between two calls at the tier flex. The client also waits for capacity within each call."""


def answer_on_demand(s3: S3, runtime: Any, chunk: Chunk, *, seconds: float = 0) -> ChunkAnswered:
    """Answer the records that are not in the chunk's file yet, and return the chunk's counts.

    The file is written after every answer, so if a call dies, at most one record is paid again. The same holds if a
    call goes on after its run was stopped, and a redrive starts a second call for the chunk: the one that writes second
    stops. If a record is refused, the other records are still answered. `seconds` is how long the function may still
    run.

    Raises:
        ChunkTaken: another call has changed the file.
        OnDemandRefused: Bedrock refused a record for a reason that is not the record's. It is raised after the other
            records; the message is that of the first one.
    """
    run = read_run(s3, chunk.bucket, chunk.run_key)
    answers = _Answers(s3, chunk.bucket, chunk.raw_key)
    calls = _Calls(runtime, run, patience=seconds - _RESERVED_SECONDS)
    refusals: list[OnDemandRefused] = []
    for record in _without_answer(read_leftover_lines(s3, run, chunk.leftover_lines), answers.lines):
        try:
            answer = calls.answer(record)
        except OnDemandRefused as err:
            refusals.append(err)
            continue
        answers.add(invoke.to_line(answer))
    if refusals:
        raise refusals[0]
    failed = sum("error" in json.loads(line) for line in answers.lines)
    counts = ChunkAnswered(chunk.chunk, records=len(answers.lines), failed=failed)
    job_name = keys.name_of_folder(chunk.raw_key)
    _LOG.info("answered", extra={"run_id": run.run_id, "job_name": job_name, **counts.to_json()})
    return counts


def _without_answer(records: Iterable[bytes], answers: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    done = {json.loads(line)["recordId"] for line in answers}
    return (record for record in map(json.loads, records) if record["recordId"] not in done)


class _Calls:
    """Calls the model for a chunk: at the run's service tier, or at the default tier once that tier was refused.

    If the tier flex has no capacity, the call waits, for `patience` seconds in all. It never uses the dearer tier.
    """

    def __init__(self, runtime: Any, run: Run, *, patience: float) -> None:
        self._runtime, self._run = runtime, run
        self._tier = FLEX if run.limits.get("on_demand_tier") == FLEX else None
        self._until = time.monotonic() + patience

    def answer(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return the record's output line. Raises OnDemandRefused."""
        pause = _FIRST_PAUSE
        while True:
            try:
                line = self._call(record)
            except invoke.TierRefused as err:
                _LOG.warning("tier refused", extra={"run_id": self._run.run_id, "why": without_data(str(err))})
                self._tier = None
                continue
            if self._tier is None or not invoke.is_throttled(line) or time.monotonic() + pause > self._until:
                return line
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _call(self, record: dict[str, Any]) -> dict[str, Any]:
        model_id, invocation_type = self._run.model_id, self._run.invocation_type
        return invoke.answer(self._runtime, record, model_id=model_id, invocation_type=invocation_type, tier=self._tier)


class _Answers:
    """The chunk's file of answers. `lines` are its lines."""

    def __init__(self, s3: S3, bucket: str, key: str) -> None:
        self._s3, self._bucket, self._key = s3, bucket, key
        self._uri = f"s3://{bucket}/{key}"
        # List before reading: if the file changes in between, its ETag differs from the listed one.
        found = next(iter(s3.list(bucket, key)), None)
        self._etag = found.etag if found else ""
        with file_of_a_chunk(self._uri):
            self.lines = [line + b"\n" for line in s3.raw_lines(bucket, key)] if found else []

    def add(self, line: bytes) -> None:
        """Write the file with one more line. Raises ChunkTaken if another call has written it since."""
        self.lines.append(line)
        try:
            with self._s3.writer(self._bucket, self._key, replaces=self._etag) as out:
                out.write(b"".join(self.lines))
        except Overtaken as err:
            raise ChunkTaken(f"Another call is answering the records of {self._uri}.") from err
        self._etag = out.etag

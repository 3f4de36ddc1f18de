"""The lines of the files that Distributed Maps read. What their children return is in `results.py`."""

from dataclasses import dataclass, field
from typing import Any

from bedrock_batch.contracts.shape import Shape, Sparse
from bedrock_batch.contracts.version import CONTRACT

TERMINAL_STATUSES = ("Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired")

IN_FLIGHT_STATUSES = ("Submitted", "Validating", "Scheduled", "InProgress", "Stopping")
"""Bedrock's job statuses, in Bedrock's spelling."""

NOT_CREATED = "NotCreated"
"""Our own job status: Bedrock refused to create the job."""


@dataclass(frozen=True, slots=True)
class Piece(Sparse):
    """A contiguous range of one source: bytes [start, end) of a text file, rows [start, end) of a Parquet file.

    Planning knows the offset of every n-th record of a text file only, so the bytes may hold `skip` rows before
    and `tail` rows after the `rows` that are meant.
    """

    source: int
    start: int
    end: int
    rows: int
    skip: int = 0
    tail: int = 0


@dataclass(frozen=True, slots=True)
class Event(Shape):
    """What a function is called with. At its edge the contract is looked at first."""

    contract: int = field(default=CONTRACT, kw_only=True)


@dataclass(frozen=True, slots=True)
class Shard(Event):
    """Rows [first_row, first_row + rows) of the table, for the model whose document `run_key` is."""

    bucket: str
    run_key: str
    shard: int
    first_row: int
    rows: int


@dataclass(frozen=True, slots=True)
class PlannedShard(Shard):
    """A line of `plan.jsonl`: a shard of the table, for all models, as pieces of its sources."""

    pieces: list[Piece]


@dataclass(frozen=True, slots=True)
class JobEnd(Shape):
    """How a job ended, for the join: `raw_prefix` is searched whatever the status says."""

    job_name: str
    status: str
    raw_prefix: str
    message: str = ""
    leftovers_step: int | None = None
    """The step of the leftovers file that the job was made from; None if that was the shard's input file."""
    start: int = 0
    stop: int | None = None
    """The job had lines [start, stop) of that file; where `stop` is None, all from `start` on."""
    processed: int | None = None
    """How many records it processed, as Bedrock counts; None if that is not known."""


@dataclass(frozen=True, slots=True)
class ShardJoin(Shard):
    """The event of Join shard: a shard, and `jobs`, its ended jobs in the order of time.

    Without jobs its rows are missing.
    """

    jobs: list[JobEnd]
    skipped_key: str | None = None
    """The key of its skipped rows, if there are any."""
    step: int | None = None
    """Of the leftovers file to write, `leftovers/<step>/`; None: no leftovers are written."""
    replaces: str | None = None
    """The ETag of the part that this join may replace; a part that was written since then stays. None: any part."""
    function: str | None = None
    """The version of `join_shard` to call for a run that was stopped: the Map's children know only their line."""


@dataclass(frozen=True, slots=True)
class LeftoverLines(Shape):
    """Lines [start, stop) of the file that holds a shard's leftovers: records to send.

    The file is that of `leftovers/<step>/`. Where `step` is None all records of the shard are left, and the file is
    its input file.
    """

    shard: int
    start: int
    stop: int
    step: int | None = None

    @property
    def records(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Pool(Event):
    """`pool` in a line of `jobs-<round>.jsonl`: the records of a pooled job, and the input file they are written to."""

    bucket: str
    run_key: str
    input_key: str
    leftover_lines: list[LeftoverLines]


@dataclass(frozen=True, slots=True)
class JobLine(Sparse):
    """A line of `jobs-<round>.jsonl`: the request that creates a job, and what its child needs beside it.

    A job of a whole shard has the event that joins it (`join`), a pooled job the one that writes its file (`pool`).
    """

    run_id: str
    job_name: str
    round: int
    number: int
    records: int
    check_seconds: int
    expires_at: str
    """From then on the job is not made any more (`Run.last_job_at`)."""
    raw_prefix: str
    request: dict[str, Any]
    join: ShardJoin | None = None
    pool: Pool | None = None

    @property
    def model_id(self) -> str:
        return str(self.request["ModelId"])

    @property
    def shards(self) -> list[int]:
        """The shards whose records the job has."""
        if self.pool:
            return sorted({one.shard for one in self.pool.leftover_lines})
        return [self.join.shard] if self.join else []


@dataclass(frozen=True, slots=True)
class Chunk(Event):
    """A line of `answers-<pass>.jsonl`: records that one call answers on demand, and the file of their answers."""

    bucket: str
    run_key: str
    chunk: int
    leftover_lines: list[LeftoverLines]
    raw_key: str

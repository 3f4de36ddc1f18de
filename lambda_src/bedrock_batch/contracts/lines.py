"""The lines of the files that Distributed Maps read. `results.py` has what their children return."""

from dataclasses import dataclass, field
from typing import Any

from bedrock_batch.contracts.shape import Shape, Sparse
from bedrock_batch.contracts.version import CONTRACT

TERMINAL_STATUSES = ("Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired")
"""Bedrock's statuses of jobs that have ended."""

NOT_CREATED = "NotCreated"
"""Our own job status: Bedrock refused to create the job."""


@dataclass(frozen=True, slots=True)
class Piece(Sparse):
    """A contiguous range of one source: bytes [start, end) of a text file, rows [start, end) of a Parquet file.

    Planning knows only the offset of every n-th record of a text file. So the bytes may also hold `skip` rows before
    the piece's `rows`, and `tail` rows after them.
    """

    source: int
    start: int
    end: int
    rows: int
    skip: int = 0
    tail: int = 0


@dataclass(frozen=True, slots=True)
class Event(Shape):
    """The event of a function. The function's edge checks the contract first."""

    contract: int = field(default=CONTRACT, kw_only=True)


@dataclass(frozen=True, slots=True)
class Shard(Event):
    """Rows [first_row, first_row + rows) of the table, for the model of the run document at `run_key`."""

    bucket: str
    run_key: str
    shard: int
    first_row: int
    rows: int


@dataclass(frozen=True, slots=True)
class PlannedShard(Shard):
    """A line of `plan.jsonl`: a shard of the table, for all models, with the pieces of its sources."""

    pieces: list[Piece]


@dataclass(frozen=True, slots=True)
class JobEnd(Shape):
    """The end of a job, for the join. The join searches `raw_prefix` for any status."""

    job_name: str
    status: str
    raw_prefix: str
    message: str = ""
    leftovers_step: int | None = None
    """Step of the leftovers file that the job was made from; None if it was made from the shard's input file."""
    start: int = 0
    stop: int | None = None
    """The job had lines [start, stop) of that file. If `stop` is None, it had all lines from `start` on."""
    processed: int | None = None
    """The number of records that the job processed, as counted by Bedrock; None if not known."""


@dataclass(frozen=True, slots=True)
class ShardJoin(Shard):
    """The event of Join shard: a shard, and its ended `jobs` in the order of time.

    Without jobs, its rows are missing.
    """

    jobs: list[JobEnd]
    skipped_key: str | None = None
    """The key of the shard's skipped rows, if there are any."""
    step: int | None = None
    """Step of the leftovers file to write, `leftovers/<step>/`; None to write no leftovers."""
    replaces: str | None = None
    """ETag of the part that this join may replace; a later part stays. None to replace any part."""
    function: str | None = None
    """Version of `join_shard` to call for a run that was stopped: the Map's children know only their line."""


@dataclass(frozen=True, slots=True)
class LeftoverLines(Shape):
    """Records to send: lines [start, stop) of the file that has a shard's leftovers.

    The file is in `leftovers/<step>/`. If `step` is None, all records of the shard are leftovers, and the file is the
    shard's input file.
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
    """`pool` in a line of `jobs-<round>.jsonl`: the records of a pooled job, and the key of its input file."""

    bucket: str
    run_key: str
    input_key: str
    leftover_lines: list[LeftoverLines]


@dataclass(frozen=True, slots=True)
class JobLine(Sparse):
    """A line of `jobs-<round>.jsonl`: the request that creates a job, and what else its child needs.

    A job of a whole shard has the event that joins the shard (`join`). A pooled job has the event that writes its input
    file (`pool`).
    """

    run_id: str
    job_name: str
    round: int
    number: int
    records: int
    check_seconds: int
    expires_at: str
    """Time after which the job is not created any more (`Run.last_job_at`)."""
    raw_prefix: str
    request: dict[str, Any]
    join: ShardJoin | None = None
    pool: Pool | None = None

    @property
    def model_id(self) -> str:
        return str(self.request["ModelId"])

    @property
    def shards(self) -> list[int]:
        """The shards of the job's records."""
        if self.pool:
            return sorted({one.shard for one in self.pool.leftover_lines})
        return [self.join.shard] if self.join else []


@dataclass(frozen=True, slots=True)
class Chunk(Event):
    """A line of `answers-<pass>.jsonl`: records that one call answers on demand, and the key of their answers."""

    bucket: str
    run_key: str
    chunk: int
    leftover_lines: list[LeftoverLines]
    raw_key: str

"""The lines of the files that Distributed Maps read, and what their children return."""

from dataclasses import dataclass, field

from bedrock_batch.contracts.shape import Shape
from bedrock_batch.contracts.version import CONTRACT

TERMINAL_STATUSES = ("Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired")

IN_FLIGHT_STATUSES = ("Submitted", "Validating", "Scheduled", "InProgress", "Stopping")
"""Bedrock's job statuses, in Bedrock's spelling."""

NOT_CREATED = "NotCreated"
"""Our own job status: Bedrock refused to create the job."""


@dataclass(frozen=True, slots=True)
class Piece(Shape):
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

    pieces: list[dict[str, int]]

    def read_pieces(self) -> list[Piece]:
        return [Piece.from_json(piece) for piece in self.pieces]


@dataclass(frozen=True, slots=True)
class Prepared(Shape):
    """The records of one model's shard: `records` lines of `bytes` bytes await Bedrock, `skipped` rows do not."""

    shard: int
    rows: int
    records: int
    skipped: int
    bytes: int
    input_tokens_estimate: int
    skipped_key: str | None = None
    blank: int = 0
    """How many of the records have a place with a blank text; see `Rendered` in records/render.py."""


@dataclass(frozen=True, slots=True)
class PreparedShard(Shape):
    """What `prepare_shard` returns: the size of the frame in bytes, and the records of every distinct body."""

    shard: int
    frame_bytes: int
    prepared: list[Prepared]


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
class Joined(Shape):
    """What `join_shard` returns: the shard's part of the output table and its counts."""

    shard: int
    rows: int
    output_key: str
    bytes: int
    outcomes: dict[str, int]
    leftovers: int
    input_tokens: int
    output_tokens: int
    errors: dict[str, int] = field(default_factory=dict)
    """The most frequent error codes of its rows: why rows have no answer."""
    jobs: int = 0
    """How many ended jobs it took into account; when more have ended since, the shard is to be joined again."""
    leftovers_step: int | None = None
    """The step of its leftovers file; None if nothing is left, or if all records are, and the input file holds them."""
    leftover_bytes: int = 0
    """The size of that file in bytes."""
    retries: int = 0
    """How many records have an answer and are to be asked again for a better one: the first lines of that file. A
    record counts here once; if it was sent again and got no second answer, it counts among `leftovers`."""
    retried: dict[str, int] = field(default_factory=dict)
    """The outcomes of the rows that a model answered for the second time."""
    messages: dict[str, str] = field(default_factory=dict)
    """What the first failed or missing row of each of `errors` says."""
    met_max_tokens: int = 0
    """How many of its truncated answers met their limit."""
    came: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    """What the raw output of each of its jobs holds, as `JobCounts` by route, records of other shards included."""


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


@dataclass(frozen=True, slots=True)
class JobCounts(Shape):
    """Records of a job that came back, as answers or errors, how many are answers, and the tokens that these name."""

    records: int = 0
    answered: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


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
class Chunk(Event):
    """A line of `answers-<pass>.jsonl`: records that one call answers on demand, and the file of their answers."""

    bucket: str
    run_key: str
    chunk: int
    leftover_lines: list[LeftoverLines]
    raw_key: str

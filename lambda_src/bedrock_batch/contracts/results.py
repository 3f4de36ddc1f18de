"""What the children of Distributed Maps return."""

from dataclasses import dataclass, field

from bedrock_batch.contracts.shape import Shape, Sparse


@dataclass(frozen=True, slots=True)
class Prepared(Shape):
    """The prepared records of one model's shard: `records` lines of `bytes` bytes; `skipped` rows have no record."""

    shard: int
    rows: int
    records: int
    skipped: int
    bytes: int
    input_tokens_estimate: int
    skipped_key: str | None = None
    blank: int = 0
    """The number of records with a blank text in a place; see `Rendered` in records/render.py."""


@dataclass(frozen=True, slots=True)
class PreparedShard(Shape):
    """The result of `prepare_shard`: the frame's size in bytes, and the records of every distinct body."""

    shard: int
    frame_bytes: int
    prepared: list[Prepared]


@dataclass(frozen=True, slots=True)
class Failure(Sparse):
    """The result of a shard's or a chunk's child whose function failed: the function's error."""

    error: str
    cause: str
    shard: int | None = None
    chunk: int | None = None


@dataclass(frozen=True, slots=True)
class ChunkAnswered(Shape):
    """The result of `answer_on_demand`: the numbers of records with an answer or an error, and with an error."""

    chunk: int
    records: int
    failed: int


@dataclass(frozen=True, slots=True)
class JobCounts(Shape):
    """The records of a job that came back, as answers or errors; how many are answers; the answers' tokens."""

    records: int = 0
    answered: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, more: "JobCounts") -> "JobCounts":
        return JobCounts(
            self.records + more.records,
            self.answered + more.answered,
            self.input_tokens + more.input_tokens,
            self.output_tokens + more.output_tokens,
        )


@dataclass(frozen=True, slots=True)
class Joined(Shape):
    """The result of `join_shard`: the shard's part of the output table and its counts."""

    shard: int
    rows: int
    output_key: str
    bytes: int
    outcomes: dict[str, int]
    leftovers: int
    input_tokens: int
    output_tokens: int
    errors: dict[str, int] = field(default_factory=dict)
    """The most frequent error codes of rows without an answer, with their numbers of rows."""
    jobs: int = 0
    """The number of ended jobs in this join. If more jobs have ended since, the shard must be joined again."""
    leftovers_step: int | None = None
    """Step of the leftovers file; None if nothing is left, or if everything is and the input file serves."""
    leftover_bytes: int = 0
    """The size of the leftovers file in bytes."""
    retries: int = 0
    """The number of records to ask again for a better answer: the first lines of the leftovers file. A record counts
    here only once. If it is sent again and gets no second answer, it counts in `leftovers`."""
    retried: dict[str, int] = field(default_factory=dict)
    """The outcomes of the rows that a model answered a second time."""
    messages: dict[str, str] = field(default_factory=dict)
    """For each code of `errors`, the message of its first row."""
    met_max_tokens: int = 0
    """The number of truncated answers that met `max_tokens`."""
    came: dict[str, dict[str, JobCounts]] = field(default_factory=dict)
    """The counts of the raw output of each job, by route. They include records of other shards."""


@dataclass(frozen=True, slots=True)
class ShardJoined(Shape):
    """The result of a child of Join shards."""

    joined: Joined


@dataclass(frozen=True, slots=True)
class JobResult(Sparse):
    """The result of a child of Run jobs: how its job ended. For a job of a whole shard there is `joined`."""

    job_name: str
    records: int
    status: str
    message: str
    processed: int | None = None
    """The number of records that the job processed, as counted by Bedrock; None if not known."""
    joined: Joined | None = None
    model_id: str = ""
    """No child returns this. Readers add it in a run of several models."""

"""What the children of Distributed Maps return."""

from dataclasses import dataclass, field

from bedrock_batch.contracts.shape import Shape, Sparse


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
class Failure(Sparse):
    """What the child of a shard or of a chunk returns in place of a result: the error of its function."""

    error: str
    cause: str
    shard: int | None = None
    chunk: int | None = None


@dataclass(frozen=True, slots=True)
class ChunkAnswered(Shape):
    """What `answer_on_demand` returns: how many records have an answer or an error, and how many an error."""

    chunk: int
    records: int
    failed: int


@dataclass(frozen=True, slots=True)
class JobCounts(Shape):
    """Records of a job that came back, as answers or errors, how many are answers, and the tokens that these name."""

    records: int = 0
    answered: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


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
    came: dict[str, dict[str, JobCounts]] = field(default_factory=dict)
    """What the raw output of each of its jobs holds, by route, records of other shards included."""


@dataclass(frozen=True, slots=True)
class ShardJoined(Shape):
    """What a child of Join shards returns."""

    joined: Joined


@dataclass(frozen=True, slots=True)
class JobResult(Sparse):
    """What a child of Run jobs returns: how its job ended. `joined` is there where it had a whole shard."""

    job_name: str
    records: int
    status: str
    message: str
    processed: int | None = None
    """How many records the job processed, as Bedrock counts; None if that is not known."""
    joined: Joined | None = None
    model_id: str = ""
    """No child returns it: readers add it where a run has several models."""

"""The shapes that travel between the functions and the state machines.

Each line of `plan.jsonl`, `jobs-*.jsonl`, `answers-*.jsonl` and `joins-*.jsonl` is self-contained, because
variables of a state machine do not reach the children of its Distributed Map. What all of a run's children share
lies in `run.json` and is fetched from there.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self

from bedrock_batch import ids

OUTCOMES = ("succeeded", "truncated", "invalid", "failed", "skipped", "missing")
"""What became of a row. `missing`: no answer and no error came back."""

ANSWERED = ("succeeded", "truncated")
"""Outcomes of rows with an answer that can be used: what `invalid` rows have is none of the schema's."""

TERMINAL_STATUSES = ("Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired")
IN_FLIGHT_STATUSES = ("Submitted", "Validating", "Scheduled", "InProgress", "Stopping")
"""Bedrock's job statuses, in Bedrock's spelling."""

NOT_CREATED = "NotCreated"
"""Our own job status: Bedrock refused to create the job."""


class Shape:
    """A dataclass that reads itself from, and writes itself to, plain JSON values."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Build the shape from the keys it knows; further keys are the business of other shapes."""
        return cls(**{f.name: value[f.name] for f in fields(cls) if f.name in value})  # type: ignore[arg-type]  # every subclass is a dataclass

    def to_json(self) -> dict[str, Any]:
        return asdict(self)  # type: ignore[call-overload, no-any-return]  # every subclass is a dataclass


@dataclass(frozen=True, slots=True)
class Source(Shape):
    """One input file as shards read it: `rows` data rows in `size` bytes.

    An S3 object, pinned by its ETag; if it is the plain copy of a compressed one, `origin` is that one's URI. Or,
    with `dataset`, a file of the Hugging Face hub at the commit `revision`.
    """

    bucket: str
    key: str
    etag: str
    size: int
    rows: int
    origin: str = ""
    dataset: str = ""
    revision: str = ""

    @property
    def uri(self) -> str:
        """The name of the user's own file."""
        if self.dataset:
            return f"hf://datasets/{self.dataset}@{self.revision}/{self.key}"
        return self.origin or f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class Piece(Shape):
    """A contiguous part of one source: bytes [start, end) of a text file, rows [start, end) of a Parquet file.

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
class Shard(Shape):
    """A line of `plan.jsonl`: rows [first_row, first_row + rows) of the table, as pieces of its sources."""

    bucket: str
    run_key: str
    shard: int
    first_row: int
    rows: int
    pieces: list[dict[str, int]]

    def parts(self) -> list[Piece]:
        return [Piece.from_json(piece) for piece in self.pieces]


@dataclass(frozen=True, slots=True)
class Prepared(Shape):
    """What `prepare_shard` returns: `records` lines of `bytes` bytes await Bedrock, `skipped` rows do not."""

    shard: int
    rows: int
    records: int
    skipped: int
    bytes: int
    input_tokens_estimate: int
    skipped_key: str | None = None
    blank: int = 0
    """How many of the records have a place with a blank text; see `render.Rendered`."""


@dataclass(frozen=True, slots=True)
class JobEnd(Shape):
    """How a job ended, for the join: `raw_prefix` is searched whatever the status says."""

    job_name: str
    status: str
    raw_prefix: str
    message: str = ""
    leftovers_step: int | None = None
    """Which leftovers of the shard it was sent, `leftovers/<step>/`; None: lines of the input file."""
    start: int = 0
    stop: int | None = None
    """Which lines of that file it was sent, [start, stop); None: all from `start` on."""
    processed: int | None = None
    """How many records it processed, as Bedrock counts; None: that is not known."""


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
    """Where its leftovers lie, `leftovers/<step>/`; None when there are none, or when all its records are."""
    leftover_bytes: int = 0
    """The size of that file."""
    retries: int = 0
    """How many records are to be sent once more for their answer's sake, for the first time: the first lines of that
    file. Those that were sent so before, and not answered, are among the leftovers."""
    retried: dict[str, int] = field(default_factory=dict)
    """The outcomes of the rows that a model answered for the second time."""
    messages: dict[str, str] = field(default_factory=dict)
    """What the first failed or missing row of each of `errors` says."""
    met_max_tokens: int = 0
    """How many of its truncated answers met their limit."""
    came: dict[str, dict[str, int]] = field(default_factory=dict)
    """What the raw output of each of its jobs holds, as `JobCounts`, records of other shards included."""


@dataclass(frozen=True, slots=True)
class JobCounts(Shape):
    """Records of a job that came back, as answers or errors, and the tokens that they name."""

    records: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Part(Shape):
    """Records of a pooled job or of a chunk to answer: lines [start, stop) of a shard's leftovers.

    `step` names the leftovers file; None stands for the shard's whole input file.
    """

    shard: int
    start: int
    stop: int
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Column(Shape):
    """A column of the input table; `type` is the text form of its Arrow type, for people."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Table(Shape):
    """The input as a whole. `schema` is the Arrow schema in IPC form, base64: exact, unlike its text form."""

    format: Literal["csv", "jsonl", "bedrock_jsonl", "parquet"]
    rows: int
    schema: str
    columns: list[dict[str, str]]
    csv: dict[str, Any] = field(default_factory=dict)
    """How CSV is read: delimiter, quote and so on (`csv_files.dialect`)."""
    jsonl: dict[str, Any] = field(default_factory=dict)
    """Of JSON lines, the names of the columns that hold JSON text (`as_json`) and of the declared ones (`typed`)."""


@dataclass(frozen=True, slots=True)
class Run(Shape):
    """`run.json`: everything decided at plan time. `request` is a template with `{column}` places."""

    run_id: str
    execution_arn: str
    input: dict[str, Any]
    input_digest: str
    bucket: str
    name: str
    model_id: str
    family: str
    kind: Literal["text", "embedding"]
    invocation_type: Literal["InvokeModel", "Converse"]
    service_role_arn: str
    kms_key_arn: str | None
    request: dict[str, Any]
    response: dict[str, str]
    dimensions: int | None
    nulls: Literal["error", "skip", "empty"]
    prompt: dict[str, Any] | None
    table: dict[str, Any]
    sources: list[dict[str, Any]]
    shards: int
    """How many the table is cut into; in a run of several models each has so many of its own."""
    quotas: dict[str, int]
    limits: dict[str, Any]
    output: dict[str, Any]
    dry_run: bool
    canary: bool = False
    """Whether shard 0 is a trial that is answered on demand before any job is made."""
    quota_origins: dict[str, str] = field(default_factory=dict)
    """Where each of `quotas` was found: `applied`, `default` (both of Service Quotas) or `catalogue`. For media that
    records refer to, `max_records` is lowered to what a job has room for."""
    media: dict[str, Any] | None = None
    """The run input's `media`: what stands in the records beside text."""
    warnings: list[str] = field(default_factory=list)
    """What plan_run was not sure of; repeated in the report."""
    retry: dict[str, Any] | None = None
    """Which answers are asked for once more and how, as `retries.settle` returns it."""
    models: list[str] = field(default_factory=list)
    """In a run of several models all of them; each has a document like this one (`ids.run_key`)."""
    number: int = 0
    """Which of `models` this is. Shard s of the table is, for this model, the shard number * shards + s."""
    rendered_as: int = 0
    """The number of the model whose records are sent to this one too: its own, or an earlier one of the same body."""
    folder: str = ""
    """The folder below `output/` that holds its parts, where there are several models."""
    tags: dict[str, str] = field(default_factory=dict)
    """The module's, for its jobs: what they cost can be told apart by them."""

    @property
    def numbers(self) -> range:
        """The numbers of its shards."""
        return range(self.number * self.shards, (self.number + 1) * self.shards)

    @property
    def label(self) -> str:
        """What tells it from the other models of its run; nothing where it is the only one."""
        return self.model_id if self.models else ""

    def rendered(self, shard: int) -> int:
        """Return the shard that was prepared, and has the record ids, for this shard of the model."""
        return shard + (self.rendered_as - self.number) * self.shards

    @property
    def own_folders(self) -> bool:
        """Whether each job reads a folder of its own, which holds the objects that its records refer to."""
        return (self.media or {}).get("source") == "s3_location"

    def input_key(self, shard: int) -> str:
        """Return the key of a shard's records."""
        return ids.input_key(self.run_id, self.rendered(shard), own_folder=self.own_folders)

    def output_key(self, shard: int) -> str:
        """Return the key of a shard's part of the table."""
        return ids.output_key(self.run_id, shard - self.numbers.start, self.output["format"], self.folder)

"""What run.json holds: everything decided at plan time."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from bedrock_batch.contracts.shape import Shape, Sparse
from bedrock_batch.keys import RunKeys, job_names, model_folder, run_digest

InvocationType = Literal["InvokeModel", "Converse"]

Nulls = Literal["error", "skip", "empty"]

_TIME_TO_JOIN = timedelta(days=1)

REDRIVE_DAYS = 14
"""Step Functions takes a redrive for so long after the end of an execution."""


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
    columns: list[str] | None = None
    """The columns of a CSV file in its own order, where that is not the table's."""
    dialect: dict[str, Any] = field(default_factory=dict)
    """What a CSV file itself shows of its dialect, where that is not the table's (`table/csv_head.py`)."""
    path_values: dict[str, str | None] = field(default_factory=dict)
    """The values of columns that its folders name (`dt=2024-01-01/`)."""

    @property
    def uri(self) -> str:
        """The name of the user's own file."""
        if self.dataset:
            return f"hf://datasets/{self.dataset}@{self.revision}/{self.key}"
        return self.origin or f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class Column(Shape):
    """A column of the input table; `type` is the text form of its Arrow type, for people."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class OutputColumn(Sparse):
    """A column of the output: `type` is what Athena reads its files as, in the words of Hive.

    It is empty where Athena has no type that reads them. `note` says what a reader of the statement should know.
    """

    name: str
    type: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table(Shape):
    """The input as a whole. `schema` is the Arrow schema in IPC form, base64: exact, unlike its text form."""

    format: Literal["csv", "jsonl", "bedrock_jsonl", "parquet"]
    rows: int
    schema: str
    columns: list[Column]
    csv: dict[str, Any] = field(default_factory=dict)
    """How CSV is read: delimiter, quote and so on (`dialect` in table/csv_dialect.py)."""
    jsonl: dict[str, Any] = field(default_factory=dict)
    """For JSON lines: the names of the columns that hold JSON text (`as_json`) and of the declared ones (`typed`)."""
    path_columns: list[str] = field(default_factory=list)
    """The columns that are in no file: the folders of the files name them."""


@dataclass(frozen=True, slots=True)
class Run(Shape):
    """`run.json`: everything decided at plan time. `request` is a template with `{column}` places.

    What the run input says is read from `input`, and stands nowhere else.
    """

    contract: int
    bucket: str
    root: str
    run_id: str
    execution_arn: str
    started_at: str
    input: dict[str, Any]
    """The run input as it was validated; of several models each has one of its own."""
    name: str
    family: str
    kind: Literal["text", "embedding"]
    invocation_type: InvocationType
    service_role_arn: str
    kms_key_arn: str | None
    request: dict[str, Any]
    response: dict[str, str]
    dimensions: int | None
    prompt: dict[str, Any] | None
    table: Table
    sources: list[Source]
    shards: int
    """How many shards the table is cut into; in a run of several models each model has this number of shards."""
    quotas: dict[str, int]
    quota_origins: dict[str, str] = field(default_factory=dict)
    """Where each of `quotas` was found: `applied`, `default` (both of Service Quotas) or `catalogue`. For media that
    records refer to, `max_records` is lowered to what a job has room for."""
    warnings: list[str] = field(default_factory=list)
    """The warnings of the plan; the report repeats them."""
    retry_place: str | None = None
    """Where in a record's body the limit stands that `retry.max_tokens` raises."""
    models: list[str] = field(default_factory=list)
    """In a run of several models all of them; each has a document like this one (`keys.run_key`)."""
    number: int = 0
    """Which of `models` this is. Shard s of the table is, for this model, the shard number * shards + s."""
    rendered_as: int = 0
    """The number of the model whose records are sent to this one too: its own, or an earlier one of the same body."""
    tags: dict[str, str] = field(default_factory=dict)
    """The module's tags for its jobs, which show in the bill."""
    left_out: dict[str, Any] = field(default_factory=dict)
    """How many objects below the input's prefixes are not the table's, and the `first` of them."""

    model_behind: str = ""
    """The ARN of the model that an application inference profile calls; empty for every other id."""
    output_columns: list[OutputColumn] = field(default_factory=list)
    """The columns of the output, in order."""
    functions: dict[str, str] = field(default_factory=dict)
    """The versions of functions that the run began with, as its claim names them."""
    work_days: int = 90
    """How many days after its start the run's work may be deleted: it cannot be redriven then."""

    @property
    def model_id(self) -> str:
        return str(self.input["model_id"])

    @property
    def limits(self) -> dict[str, Any]:
        limits: dict[str, Any] = self.input["limits"]
        return limits

    @property
    def output(self) -> dict[str, Any]:
        output: dict[str, Any] = self.input["output"]
        return output

    @property
    def nulls(self) -> Nulls:
        nulls: Nulls = self.input["input"]["nulls"]
        return nulls

    @property
    def media(self) -> dict[str, Any] | None:
        """What stands in the records beside text."""
        return self.input.get("media")

    @property
    def retry(self) -> dict[str, Any] | None:
        """Which records are asked again, with which limit, and its `place` in their bodies."""
        asked = self.input.get("retry")
        return asked and {"max_tokens": None, **asked, "place": self.retry_place}

    @property
    def examples(self) -> bool:
        """Whether texts of rows and prompts may stand in its report."""
        return bool(self.input.get("report", {}).get("examples"))

    @property
    def dry_run(self) -> bool:
        return bool(self.input["dry_run"])

    @property
    def canary(self) -> bool:
        """Whether shard 0 is a trial that is answered on demand before any job is made."""
        return bool(self.limits["canary_records"])

    @property
    def folder(self) -> str:
        """The folder below the run's output that holds its parts, where there are several models."""
        return model_folder(self.output["prefix"], self.label) if self.label else ""

    @property
    def keys(self) -> RunKeys:
        """Where everything of the run lies."""
        return RunKeys(self.root, self.run_id)

    @property
    def expires_at(self) -> datetime:
        """When the first of the run's files may be deleted; from then on nothing more is done with it."""
        return datetime.fromisoformat(self.started_at) + timedelta(days=self.work_days)

    @property
    def last_job_at(self) -> datetime:
        """From then on no job is made: its answers would be paid, and could come too late for their join."""
        return self.expires_at - timedelta(hours=self.limits["job_timeout_hours"]) - _TIME_TO_JOIN

    @property
    def digest(self) -> str:
        """The part of its jobs' names that is this run's alone."""
        return run_digest(self.execution_arn, self.started_at)

    @property
    def job_names(self) -> str:
        """How the names of its jobs begin."""
        return job_names(name=self.name, label=self.input.get("job_name_prefix") or "", digest=self.digest)

    def pooled_job(self, input_key: str) -> str:
        """Return the name of a pooled job: its input file is named after the job's round and number too."""
        return f"{self.job_names}-{input_key.rpartition('/')[2].removesuffix('.jsonl')}"

    @property
    def numbers(self) -> range:
        """The numbers of its shards."""
        return range(self.number * self.shards, (self.number + 1) * self.shards)

    @property
    def label(self) -> str:
        """The name that its messages begin with in a run of several models; empty where it is the only one."""
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
        return self.keys.input(self.rendered(shard), own_folder=self.own_folders)

    def frame_key(self, shard: int) -> str:
        """Return the key of a shard's frame, which all models share."""
        return self.keys.frame(shard - self.numbers.start)

    def output_key(self, shard: int) -> str:
        """Return the key of a shard's part of the table."""
        return self.keys.part(shard - self.numbers.start, self.output["format"], self.folder)

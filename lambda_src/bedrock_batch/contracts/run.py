"""The run document, `run.json`: everything decided at plan time."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from bedrock_batch.contracts.shape import Shape, Sparse
from bedrock_batch.keys import RunKeys, job_names, model_folder, run_digest

InvocationType = Literal["InvokeModel", "Converse"]

Nulls = Literal["error", "skip", "empty"]

_TIME_TO_JOIN = timedelta(days=1)

REDRIVE_DAYS = 14
"""Days after the end of an execution in which Step Functions accepts a redrive."""


@dataclass(frozen=True, slots=True)
class Source(Shape):
    """One input file as Prepare shard reads it: `rows` rows in `size` bytes.

    It is an S3 object, pinned by its ETag. If it is a plain copy, `origin` is the URI of the original. With `dataset`,
    it is a file of the Hugging Face hub at the commit `revision`.
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
    """The columns of a file in its own order, if that differs from the table's."""
    dialect: dict[str, Any] = field(default_factory=dict)
    """The part of a CSV file's dialect that differs from the table's (`table/csv_head.py`)."""
    path_values: dict[str, str | None] = field(default_factory=dict)
    """The columns that the file's folders name (`dt=2024-01-01/`), with their values."""

    @property
    def uri(self) -> str:
        """The URI of the user's own file."""
        if self.dataset:
            return f"hf://datasets/{self.dataset}@{self.revision}/{self.key}"
        return self.origin or f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class Column(Shape):
    """A column of the input table; `type` is the text of its Arrow type, for people."""

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
    """The input table. `schema` is the Arrow schema in IPC form as base64. It is exact, unlike the schema's text."""

    format: Literal["csv", "jsonl", "bedrock_jsonl", "parquet"]
    rows: int
    schema: str
    columns: list[Column]
    csv: dict[str, Any] = field(default_factory=dict)
    """The dialect of CSV: delimiter, quote and so on (`dialect` in table/csv_dialect.py)."""
    jsonl: dict[str, Any] = field(default_factory=dict)
    """For JSON lines: the columns that hold JSON text (`as_json`), those of them with texts and other values (`mixed`),
    and the columns with a declared type (`typed`)."""
    path_columns: list[str] = field(default_factory=list)
    """The columns that are not in the files, only in the names of their folders."""


@dataclass(frozen=True, slots=True)
class Run(Shape):
    """`run.json`: everything decided at plan time. `request` is a template with `{column}` places.

    The run input's keys are only in `input`, never copied to other fields.
    """

    contract: int
    bucket: str
    root: str
    run_id: str
    execution_arn: str
    started_at: str
    input: dict[str, Any]
    """The validated run input. In a run of several models, each model has its own."""
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
    """The number of shards of the table. In a run of several models, each model has that many shards."""
    quotas: dict[str, int]
    quota_origins: dict[str, str] = field(default_factory=dict)
    """Where each of `quotas` was found: `applied`, `default` (both from Service Quotas) or `catalogue`. If records
    refer to media, `max_records` is lowered so that the media fit into a job."""
    warnings: list[str] = field(default_factory=list)
    """The warnings of the plan; the report repeats them."""
    retry_place: str | None = None
    """The place in a record's body of the limit that `retry.max_tokens` raises."""
    models: list[str] = field(default_factory=list)
    """All models, in a run of several models. Each has a run document (`RunKeys.run`)."""
    number: int = 0
    """The index of this model in `models`. Shard s of the table is this model's shard number * shards + s."""
    rendered_as: int = 0
    """The number of the model whose records this model gets: its own, or an earlier model's with the same body."""
    tags: dict[str, str] = field(default_factory=dict)
    """The module's tags for jobs. They show in the bill."""
    network: dict[str, list[str]] | None = None
    """`subnet_ids` and `security_group_ids` of the VPC from which jobs reach S3. None: Bedrock's own network."""
    left_out: dict[str, Any] = field(default_factory=dict)
    """The number of objects below the input's prefixes that are not the table's files, and the `first` few of them."""

    model_behind: str = ""
    """The ARN of the model that an application inference profile calls; empty for other ids."""
    output_columns: list[OutputColumn] = field(default_factory=list)
    """The columns of the output, in order."""
    functions: dict[str, str] = field(default_factory=dict)
    """The versions of functions that the run began with, as its claim names them."""
    work_days: int = 90
    """Days after the run's start when its work may be deleted. After that it cannot be redriven."""

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
        """The run input's `media`: what records have beside text."""
        return self.input.get("media")

    @property
    def retry(self) -> dict[str, Any] | None:
        """The run input's `retry`, and the `place` of its limit in the body."""
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
        """Whether shard 0 is a canary: it is answered on demand before any job."""
        return bool(self.limits["canary_records"])

    @property
    def folder(self) -> str:
        """The model's folder in the run's output, in a run of several models."""
        return model_folder(self.output["prefix"], self.label) if self.label else ""

    @property
    def keys(self) -> RunKeys:
        """The keys of the run's files."""
        return RunKeys(self.root, self.run_id)

    @property
    def expires_at(self) -> datetime:
        """Time when the first of the run's files may be deleted. After that the run cannot go on."""
        return datetime.fromisoformat(self.started_at) + timedelta(days=self.work_days)

    @property
    def last_job_at(self) -> datetime:
        """Time after which no job is created: its answers would be paid, but could come too late for the join."""
        return self.expires_at - timedelta(hours=self.limits["job_timeout_hours"]) - _TIME_TO_JOIN

    @property
    def digest(self) -> str:
        """The part of the jobs' names that only this run has."""
        return run_digest(self.execution_arn, self.started_at)

    @property
    def job_names(self) -> str:
        """The beginning of the names of the run's jobs."""
        return job_names(name=self.name, label=self.input.get("job_name_prefix") or "", digest=self.digest)

    def pooled_job(self, input_key: str) -> str:
        """Return the name of a pooled job, from its input file: the file's name has the job's round and number too."""
        return f"{self.job_names}-{input_key.rpartition('/')[2].removesuffix('.jsonl')}"

    @property
    def numbers(self) -> range:
        """The numbers of the model's shards."""
        return range(self.number * self.shards, (self.number + 1) * self.shards)

    @property
    def label(self) -> str:
        """The model's name, with which messages begin in a run of several models; empty for the only model."""
        return self.model_id if self.models else ""

    def rendered(self, shard: int) -> int:
        """Return the shard that was prepared for this shard of the model. It has the record ids."""
        return shard + (self.rendered_as - self.number) * self.shards

    @property
    def own_folders(self) -> bool:
        """Whether each job has its own folder, with the objects that its records refer to."""
        return (self.media or {}).get("source") == "s3_location"

    def input_key(self, shard: int) -> str:
        """Return the key of a shard's records."""
        return self.keys.input(self.rendered(shard), own_folder=self.own_folders)

    def frame_key(self, shard: int) -> str:
        """Return the key of a shard's frame. All models share it."""
        return self.keys.frame(shard - self.numbers.start)

    def output_key(self, shard: int) -> str:
        """Return the key of a shard's part of the output table."""
        return self.keys.part(shard - self.numbers.start, self.output["format"], self.folder)

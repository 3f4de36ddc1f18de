"""Make every id and every S3 key of a run, from ids alone: no clock, no randomness.

`root` is the installation's place in the bucket. Below it, keys are grouped by kind, because lifecycle rules, IAM and
Athena work on prefixes:

    <root>/config/…                    settings and packages; Terraform writes them
    <root>/claims/<run>.json           the execution that owns the run's name; it never expires
    <root>/work/<run>/…                all that the run needs until it ends, and after that for a redrive:
        run.json                       the resolved run, frozen at plan time
        run-1.json                     the same for the second model, in a run of several
        plan.jsonl                     one line for each shard to prepare
        staged/00003.csv               the plain copy of an input file that is compressed or not in UTF-8
        staged/00003.scan.json         where the records of a file begin; only when planning ran out of time
        frame/00042.parquet            the columns of the table's shard 42 that the output keeps, for all models
        skipped/00042.jsonl            rows refused before submission, with the reason; only if there are any
        input/00042.jsonl              what Bedrock reads: the records of shard 42
        input/r1-00003.jsonl           what Bedrock reads: leftovers of many shards, pooled for a job of round 1
        input/00042/                   if records refer to objects: 00042.jsonl and copies of the objects
        jobs-0.jsonl                   one line for each job of round 0
        answers-0.jsonl                one line for each chunk of records that are answered on demand
        joins-3.jsonl                  one line for each shard that step 3 joins
        leftovers/3/00042.jsonl        the leftovers of shard 42 after its join of step 3: first the retries, then the
                                       records without an answer
        results/<state>/…              what the children of a Distributed Map returned
        examples/00042.json            a few rows of shard 42 with their answers, where the run asks for examples
        raw/<job_name>/…               what Bedrock wrote, untouched
        raw/on-demand-0/…              answers on demand, in Bedrock's batch format; on-demand-0-1/ for the second model
    <root>/output/<run>/part-00042.parquet
                                       the output table, in order; in a run of several models, each model has a folder
                                       `bedrock_model=…/`
    <root>/reports/<run>/estimate.json what the run would send and cost, known before any spend
    <root>/reports/<run>/report.json   the report
    <root>/reports/<run>/report.html   the report as a page for people
    <root>/reports/<run>/table.sql     the statement that makes the output a table of Athena
"""

import hashlib
import re
from dataclasses import dataclass

MAX_SHARDS = 100_000
MAX_SHARD_ROWS = 1_000_000
RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
"""Step Functions allows more characters in an execution's name, but Bedrock refuses most of them in an S3 URI."""

_JOB_PREFIX_LENGTH = 16

_ON_DEMAND = re.compile(r"on-demand-[0-9]+(-[0-9]+)?")
"""Matches what `on_demand_name` returns. A job's name never matches: it ends in `-r`, its round and its number."""

SHARD_NAME = r"[0-9]{5}"
"""The regular expression of `shard_name`."""


@dataclass(frozen=True, slots=True)
class RunKeys:
    """The keys of a run of the installation at `root`. Names that end in `folder` are prefixes with a slash."""

    root: str
    run_id: str

    @property
    def claim(self) -> str:
        return f"{self.root}/claims/{self.run_id}.json"

    @property
    def work(self) -> str:
        """The prefix of the run's work, without a slash at its end."""
        return f"{self.root}/work/{self.run_id}"

    def run(self, model: int = 0) -> str:
        """Return the key of a model's run document; `model` is its number in a run of several models, from 0."""
        return f"{self.work}/run{_behind_first(model)}.json"

    @property
    def plan(self) -> str:
        return f"{self.work}/plan.jsonl"

    def jobs(self, round_: int) -> str:
        return f"{self.work}/jobs-{round_}.jsonl"

    def answers(self, pass_: int) -> str:
        return f"{self.work}/answers-{pass_}.jsonl"

    def joins(self, step: int | str) -> str:
        return f"{self.work}/joins-{step}.jsonl"

    @property
    def input_folder(self) -> str:
        return f"{self.work}/input/"

    def input(self, shard: int, *, own_folder: bool = False) -> str:
        return self._input(shard_name(shard), own_folder)

    def pooled(self, round_: int, number: int, *, own_folder: bool = False) -> str:
        return self._input(f"r{round_}-{number:05d}", own_folder)

    def _input(self, name: str, own_folder: bool) -> str:
        """Return the key of a job's input file. Bedrock names the answers after the file, so its name is unique."""
        return f"{self.input_folder}{f'{name}/' if own_folder else ''}{name}.jsonl"

    @property
    def staged_folder(self) -> str:
        return f"{self.work}/staged/"

    @property
    def skipped_folder(self) -> str:
        return f"{self.work}/skipped/"

    def skipped(self, shard: int) -> str:
        return f"{self.skipped_folder}{shard_name(shard)}.jsonl"

    def frame(self, shard: int) -> str:
        """Return the key of a frame; `shard` is the number of a shard of the table."""
        return f"{self.work}/frame/{shard_name(shard)}.parquet"

    def leftovers(self, step: int, shard: int) -> str:
        """Return the key of the leftovers that a join of `step` writes.

        Each join has its own key, so a leftovers file never changes. A pooled job relies on that: its plan refers to
        lines of the file.
        """
        return f"{self.work}/leftovers/{step}/{shard_name(shard)}.jsonl"

    @property
    def results_folder(self) -> str:
        return f"{self.work}/results/"

    @property
    def examples_folder(self) -> str:
        return f"{self.work}/examples/"

    def examples(self, shard: int) -> str:
        """Return the key of a shard's examples of rows, which only a run has that asks for them."""
        return f"{self.examples_folder}{shard_name(shard)}.json"

    @property
    def raw_folder(self) -> str:
        return f"{self.work}/raw/"

    def raw(self, job_name: str) -> str:
        """Return the folder that Bedrock writes a job's answers to."""
        return f"{self.raw_folder}{job_name}/"

    def on_demand(self, pass_: int, chunk: int, model: int = 0) -> str:
        return f"{self.raw(on_demand_name(pass_, model))}{chunk:05d}.jsonl.out"

    def output_folder(self, of_model: str = "") -> str:
        return f"{self.root}/output/{self.run_id}/" + (f"{of_model}/" if of_model else "")

    def part(self, part: int, suffix: str, of_model: str = "") -> str:
        """Return the key of a part. `of_model` is the model's folder (`model_folder`) in a run of several models."""
        return f"{self.output_folder(of_model)}part-{part:05d}.{suffix}"

    @property
    def reports_folder(self) -> str:
        return f"{self.root}/reports/{self.run_id}/"

    @property
    def report(self) -> str:
        return f"{self.reports_folder}report.json"

    @property
    def page(self) -> str:
        return f"{self.reports_folder}report.html"

    @property
    def table_sql(self) -> str:
        return f"{self.reports_folder}table.sql"

    @property
    def estimate(self) -> str:
        return f"{self.reports_folder}estimate.json"


def shard_name(shard: int) -> str:
    """Return the name of a shard's files and folders: its number in five digits."""
    return f"{shard:05d}"


def folder_of(key: str) -> str:
    """Return the folder of a key, with the slash at its end."""
    return key.rpartition("/")[0] + "/"


def name_of_folder(key: str) -> str:
    """Return the name of the folder that holds a key: the run's id for `run.json`, the job's name for raw output."""
    return folder_of(key).rstrip("/").rpartition("/")[2]


def on_demand_name(pass_: int, model: int = 0) -> str:
    """Return the name that an on-demand pass has in place of a job's name.

    Each model has names of its own, because several models may share record ids.
    """
    return f"on-demand-{pass_}{_behind_first(model)}"


def is_on_demand(job_name: str) -> bool:
    """Return whether a name is that of an on-demand pass. If not, it is a job's."""
    return _ON_DEMAND.fullmatch(job_name) is not None


def model_column(prefix: str) -> str:
    """Return the name of the column that readers take from the models' folders.

    `prefix` is `output.prefix` of the run input.
    """
    return f"{prefix}model"


def model_folder(prefix: str, model_id: str) -> str:
    """Return a model's folder in a run of several models: `bedrock_model=amazon.nova-…`."""
    return f"{model_column(prefix)}={safe(model_id)}"


def safe(model_id: str) -> str:
    """Return a model's id or ARN as a folder's name, with `-` for each character that Bedrock refuses in a URI."""
    return re.sub(r"[^A-Za-z0-9.-]", "-", model_id)


def run_digest(execution_arn: str, started_at: str) -> str:
    """Return the part of the jobs' names that only this run has. It is a digest of what the run's claim names."""
    return hashlib.sha256(f"{execution_arn} {started_at}".encode()).hexdigest()[:10]


def job_names(*, name: str, label: str, digest: str) -> str:
    """Return the beginning of the names of a run's jobs. No other run has the same.

    `name` is the installation's: the event rule filters on it. `label` is the user's text; it is cut if it is too
    long. `digest` comes from `run_digest`.
    """
    label = re.sub(r"[^A-Za-z0-9]+", "-", label).strip("-")[:_JOB_PREFIX_LENGTH].rstrip("-")
    return "-".join(part for part in (name, label, digest) if part)


def job_name(beginning: str, round_: int, number: int) -> str:
    """Return the job's name. It is unique, legal for Bedrock (63 characters, no underscore) and known in advance.

    `beginning` comes from `job_names`. `number` is the job's number within its round. For a job of one whole shard it
    is the shard's number.
    """
    return f"{beginning}-r{round_}-{number:05d}"


def client_request_token(job_name: str) -> str:
    """Return the token by which Bedrock recognizes a repeated CreateModelInvocationJob. Job names are unique."""
    return hashlib.sha256(job_name.encode()).hexdigest()


def _behind_first(model: int) -> str:
    return f"-{model}" if model else ""

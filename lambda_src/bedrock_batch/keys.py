"""Every id and every S3 key of a run is made here, from ids alone: no clock, no randomness.

Keys lie by kind below `root`, the installation's place in the bucket, because lifecycle rules, IAM and Athena take
prefixes:

    <root>/config/…                    settings and packages; Terraform writes them
    <root>/claims/<run>.json           whose execution the name is; it never expires
    <root>/work/<run>/…                all that the run needs until it has ended, and may be redriven:
        run.json                       the resolved run, frozen at plan time
        run-1.json                     the same for the second model, in a run of several
        plan.jsonl                     one line a shard to prepare
        staged/00003.csv               the plain copy of a compressed input file; of no other
        staged/00003.scan.json         where the records of a file begin; only when planning ran out of time
        frame/00042.parquet            the columns of the table's shard 42 that the output keeps, for all models
        skipped/00042.jsonl            rows refused before submission, with the reason; only where there are any
        input/00042.jsonl              what Bedrock reads: the records of shard 42
        input/r1-00003.jsonl           what Bedrock reads: leftovers of many shards, pooled for a job of round 1
        input/00042/                   where records refer to objects: the file of that name, and copies of the objects
        jobs-0.jsonl                   one line a job of round 0
        answers-0.jsonl                one line a chunk of records that are answered on demand
        joins-3.jsonl                  one line a shard to join; each turn of Gather leftovers is a step
        leftovers/3/00042.jsonl        the records of shard 42 that its join of step 3 found without an answer, and
                                       before them those to ask again for a better one
        results/<state>/…              what the children of a Distributed Map returned
        examples/00042.json            a few rows of shard 42 with their answers, where the run asks for examples
        raw/<job_name>/…               what Bedrock wrote, untouched
        raw/on-demand-0/…              answers on demand, in Bedrock's batch format; on-demand-0-1/ of the second model
    <root>/output/<run>/part-00042.parquet
                                       the table, in order; of several models each has a folder `bedrock_model=…/`
    <root>/reports/<run>/estimate.json what the run would send and cost, known before any spend
    <root>/reports/<run>/report.json   the reconciled counts
    <root>/reports/<run>/report.html   the same as a page for people
    <root>/reports/<run>/table.sql     the statement that makes the output a table of Athena
"""

import hashlib
import re
from dataclasses import dataclass

MAX_SHARDS = 100_000
MAX_SHARD_ROWS = 1_000_000
RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
"""Execution names may hold more, but Bedrock refuses most of it in an S3 URI."""

_JOB_PREFIX_LENGTH = 16

_ON_DEMAND = re.compile(r"on-demand-[0-9]+(-[0-9]+)?")
"""What `on_demand_name` returns. No job has such a name: a job's ends with `-r` and the number of its round."""

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
        """The prefix of all that is work, without a slash at its end."""
        return f"{self.root}/work/{self.run_id}"

    def run(self, model: int = 0) -> str:
        """Return the key of a model's document; `model` is its number in a run of several."""
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
        """Return the key of a job's file. Bedrock names its answers after the file alone, so that name is unique."""
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
        """Return the key of a frame; `shard` is the table's."""
        return f"{self.work}/frame/{shard_name(shard)}.parquet"

    def leftovers(self, step: int, shard: int) -> str:
        """Return the key of a join's leftovers; a later join of the shard has a key of its own.

        A job that waits to be pooled counts lines of the file it was planned with, so that file never changes.
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
        """Return the key of a part of the table; several models have a folder each (`model_folder`)."""
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
    """Return what the files and folders of a shard are called."""
    return f"{shard:05d}"


def folder_of(key: str) -> str:
    """Return the folder of a key, with the slash at its end."""
    return key.rpartition("/")[0] + "/"


def name_of_folder(key: str) -> str:
    """Return the name of the folder that a key lies in: the run's for its document, the job's for its raw output."""
    return folder_of(key).rstrip("/").rpartition("/")[2]


def on_demand_name(pass_: int, model: int = 0) -> str:
    """Return what stands for a job's name where records are answered on demand.

    Models whose records are the same have the same record ids, so their answers lie apart.
    """
    return f"on-demand-{pass_}{_behind_first(model)}"


def is_on_demand(job_name: str) -> bool:
    """Tell whether a name stands for an on-demand pass, and not for a job."""
    return _ON_DEMAND.fullmatch(job_name) is not None


def model_column(prefix: str) -> str:
    """Return the column that readers make of the folders of several models; `prefix` is the run input's."""
    return f"{prefix}model"


def model_folder(prefix: str, model_id: str) -> str:
    """Return the folder of one of several models: `bedrock_model=amazon.nova-…`."""
    return f"{model_column(prefix)}={safe(model_id)}"


def safe(model_id: str) -> str:
    """Return a model's id or ARN as one step of a URI, without what Bedrock refuses there."""
    return re.sub(r"[^A-Za-z0-9.-]", "-", model_id)


def run_digest(execution_arn: str, started_at: str) -> str:
    """Return the part of its jobs' names that is this run's alone: of what its claim names."""
    return hashlib.sha256(f"{execution_arn} {started_at}".encode()).hexdigest()[:10]


def job_names(*, name: str, label: str, digest: str) -> str:
    """Return how the names of a run's jobs begin; no other run's do.

    `name` is the module's (the event rule filters on it), `label` the user's own words. `digest` is `run_digest`;
    when the whole is too long the label gives way, never the unique tail.
    """
    label = re.sub(r"[^A-Za-z0-9]+", "-", label).strip("-")[:_JOB_PREFIX_LENGTH].rstrip("-")
    return "-".join(part for part in (name, label, digest) if part)


def job_name(*, name: str, label: str, digest: str, round_: int, number: int) -> str:
    """Return the job's name: unique, legal for Bedrock (63 characters, no underscore), known beforehand.

    `number` is the job's within its round: its shard's, where it has one of its own.
    """
    return f"{job_names(name=name, label=label, digest=digest)}-r{round_}-{number:05d}"


def client_request_token(job_name: str) -> str:
    """Return the token that makes a repeated Create the same job: job names are unique already."""
    return hashlib.sha256(job_name.encode()).hexdigest()


def _behind_first(model: int) -> str:
    return f"-{model}" if model else ""

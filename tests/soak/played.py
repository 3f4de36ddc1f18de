"""A schedule's run that has ended, and its results, read from S3, Bedrock and the inventory."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.e2e.batch import Batch, Ended, digest_of_call
from tests.e2e.neighbour import Attempt
from tests.soak.evidence import Evidence, read_evidence
from tests.soak.oracle import Call, Key, Outcome, does_nothing
from tests.soak.schedules import MORE_TOKENS, Schedule

_CANARY, _ON_DEMAND = -1, 1_000
"""The numbers of rounds for on-demand answers: canaries come before all rounds, the rest after them."""


@dataclass(frozen=True)
class Sent:
    """A record that was sent: `moment` is its round (or the number for on demand), `place` its index in the file."""

    key: Key
    moment: int
    body: dict[str, Any]
    source: str
    """The job's name, or the key of the chunk's file."""
    place: int

    @property
    def call(self) -> Call:
        return (*self.key, self.body.get("inferenceConfig", {}).get("maxTokens") == MORE_TOKENS)

    @property
    def on_demand(self) -> bool:
        return "/" in self.source


@dataclass(frozen=True)
class Played:
    """A schedule's run, ended."""

    schedule: Schedule
    batch: Batch
    run_id: str
    arn: str
    ended: Ended
    seconds: float
    salvaged: tuple[dict[str, Any], ...]
    """The reports, one for each time that a permission was missing."""
    attempts: tuple[Attempt, ...]
    """The ends of other executions that tried to take the name."""

    @cached_property
    def digest(self) -> str:
        """The text in the names of the run's jobs. It is written here again, so that a change is noticed."""
        claim = json.loads(self.batch.read(f"{self.batch.root}/claims/{self.run_id}.json"))
        return hashlib.sha256(f"{claim['execution_arn']} {claim['started_at']}".encode()).hexdigest()[:10]

    @cached_property
    def versions(self) -> set[str]:
        """The versions of the functions that the run itself called; those of its children are in their lines."""
        pages = self.batch.sfn.get_paginator("get_execution_history").paginate(executionArn=self.arn)
        calls = [event.get("taskScheduledEventDetails", {}) for page in pages for event in page["events"]]
        names = [
            json.loads(call["parameters"])["FunctionName"] for call in calls if call.get("resourceType") == "lambda"
        ]
        return {name.rpartition(":")[2] for name in names}

    @cached_property
    def redrives(self) -> int:
        return int(self.batch.sfn.describe_execution(executionArn=self.arn)["redriveCount"])

    @property
    def work(self) -> str:
        return f"{self.batch.root}/work/{self.run_id}/"

    @property
    def models(self) -> range:
        return range(len(self.schedule.models))

    @cached_property
    def shards(self) -> list[dict[str, Any]]:
        """The lines of the plan: models that are sent the same body share them."""
        return list(self._lines("plan.jsonl"))

    @cached_property
    def rows(self) -> dict[str, int]:
        """The row of the table behind each record id, skipped rows included."""
        return {
            f"{shard['shard']:05d}{row:06d}": shard["first_row"] + row
            for shard in self.shards
            for row in range(shard["rows"])
        }

    @cached_property
    def planned_jobs(self) -> list[dict[str, Any]]:
        """The lines of all rounds' jobs, with their `bedrock_status` where Bedrock knows them."""
        summaries = self.batch.bedrock.get_paginator("list_model_invocation_jobs").paginate(nameContains=self.digest)
        statuses = {job["jobName"]: job["status"] for page in summaries for job in page["invocationJobSummaries"]}
        names = self.batch.keys(f"{self.work}jobs-")
        lines = [line for key in names for line in self._lines(key.rsplit("/", 1)[-1])]
        return [{**line, "bedrock_status": statuses.get(line["job_name"])} for line in lines]

    @cached_property
    def jobs(self) -> list[dict[str, Any]]:
        """The lines of the jobs that Bedrock knows."""
        return [job for job in self.planned_jobs if job["bedrock_status"]]

    @cached_property
    def evidence(self) -> dict[Key, Evidence]:
        outputs = [
            (self._model_of(job), job["round"], key) for job in self.jobs for key in self.batch.keys(job["raw_prefix"])
        ]
        outputs += self.chunks
        lines = (
            (model, at, line)
            for model, at, key in outputs
            if key.endswith(".jsonl.out")
            for line in self._objects(key)
            if line["recordId"] in self.rows
        )
        found = read_evidence(lines)
        rules = self.schedule.bedrock_rules()
        for job in self.planned_jobs:
            if job["bedrock_status"] in (None, "Failed") and does_nothing(rules, job["job_name"], job["records"]):
                for record, _ in self._records_of(job):
                    found.setdefault(record, Evidence()).refusals.append(job["round"])
        return found

    def wrote(self, key: Key) -> Evidence:
        return self.evidence.get(key, Evidence())

    @cached_property
    def sections(self) -> list[dict[str, Any]]:
        """The report's section of each model."""
        report = self.batch.report(self.run_id)
        found: list[dict[str, Any]] = report.get("models", [report])
        return found

    @cached_property
    def report(self) -> dict[str, Any]:
        return self.batch.report(self.run_id)

    @cached_property
    def outputs(self) -> list[list[dict[str, Any]]]:
        """The rows of each model's table."""
        return [self.batch.table(self.run_id, self._folder(model)).to_pylist() for model in self.models]

    def output_keys(self, model: int) -> list[str]:
        return self.batch.keys(f"{self.batch.root}/output/{self.run_id}/{self._folder(model)}")

    def _folder(self, model: int) -> str:
        model_id = re.sub(r"[^A-Za-z0-9.-]", "-", self.schedule.models[model])
        return f"bedrock_model={model_id}/" if len(self.models) > 1 else ""

    def row(self, key: Key) -> dict[str, Any]:
        return self.outputs[key[0]][self.rows[key[1]]]

    @cached_property
    def outcomes(self) -> dict[Key, Outcome]:
        """The outcome of each record in the output. Only failed rows have a code here."""
        found = {}
        for key in ((model, record) for model in self.models for record in self.rows):
            row = self.row(key)
            outcome = row["bedrock_outcome"]
            found[key] = (outcome, row["bedrock_error_code"] if outcome == "failed" else None)
        return found

    @cached_property
    def sent(self) -> list[Sent]:
        """Every record that was sent."""
        found = []
        for job in self.jobs:
            for place, (record, body) in enumerate(self._records_of(job), 1):
                found.append(Sent(record, job["round"], body, job["job_name"], place))
        for model, moment, key in self.chunks:
            for place, line in enumerate(self._objects(key), 1):
                found.append(Sent((model, line["recordId"]), moment, line["modelInput"], key, place))
        return found

    def _records_of(self, job: dict[str, Any]) -> Iterator[tuple[Key, dict[str, Any]]]:
        """Yield the records of a job's input file, with their bodies."""
        model, number = self._model_of(job), job["number"] % len(self.shards)
        key = job["pool"]["input_key"] if "pool" in job else f"{self.work}input/{number:05d}.jsonl"
        for line in self._objects(key):
            yield (model, line["recordId"]), line["modelInput"]

    def paid_twice(self) -> Counter[Call]:
        """Return how often Bedrock answered a request more than once, according to the stand-in's counts."""
        models = self.schedule.models
        calls = {digest_of_call(models[one.key[0]], one.body): one.call for one in self.sent}
        counts = self.batch.engine.bedrock(job_name_contains=self.digest)["paid_twice"]
        return Counter({calls[digest]: count - 1 for digest, count in counts.items() if digest in calls})

    def _model_of(self, job: dict[str, Any]) -> int:
        return self.schedule.models.index(job["request"]["ModelId"])

    @cached_property
    def chunks(self) -> list[tuple[int, int, str]]:
        """The files of chunks that were answered on demand, each with the number of its model and its moment."""
        found = []
        for key in self.batch.keys(f"{self.work}raw/on-demand-"):
            pass_, _, model = key.split("/")[-2].removeprefix("on-demand-").partition("-")
            of_canary = self.has_canary and pass_ == "0"
            found.append((int(model or 0), _CANARY if of_canary else _ON_DEMAND + int(pass_), key))
        return found

    @cached_property
    def has_canary(self) -> bool:
        """Whether a row of the canary was sent: if all of them are skipped there is none."""
        first = self.shards[0]
        rows = range(first["first_row"], first["first_row"] + first["rows"])
        return bool(self.schedule.canary and any(self.schedule.text(row) is not None for row in rows))

    def _lines(self, name: str) -> Iterator[dict[str, Any]]:
        return self._objects(f"{self.work}{name}")

    def _objects(self, key: str) -> Iterator[dict[str, Any]]:
        return map(json.loads, self.batch.read(key).splitlines())

"""Play a schedule against the applied module, and name everything about its end that should not be."""

import base64
import hashlib
import io
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from tests.e2e.batch import Batch, Ended
from tests.soak.oracle import (
    FINAL_CODES,
    MISSING,
    REFUSED_TWICE,
    SKIPPED,
    SUCCEEDED,
    Evidence,
    Outcome,
    foretell,
    read_evidence,
)
from tests.soak.schedules import EMBEDDING_MODEL, TEXT_MODEL, Schedule, run_digest

TERMINAL = {"Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired"}
_STOP_SECONDS = 300
ON_DEMAND = 1_000
"""Stands for the round of what is answered on demand: it comes after all others."""
TOKEN_BEGINS = base64.b64encode(b'["arn:aws:state').decode()
"""How every task token of the local AWS begins."""


@dataclass(frozen=True)
class Played:
    """A schedule's run, ended."""

    schedule: Schedule
    batch: Batch
    run_id: str
    arn: str
    ended: Ended
    seconds: float

    @property
    def digest(self) -> str:
        return run_digest(self.arn)

    @cached_property
    def shards(self) -> list[dict[str, Any]]:
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
    def jobs(self) -> list[dict[str, Any]]:
        """The lines of all rounds' jobs that Bedrock knows, with their `bedrock_status`."""
        summaries = self.batch.bedrock.get_paginator("list_model_invocation_jobs").paginate(nameContains=self.digest)
        statuses = {job["jobName"]: job["status"] for page in summaries for job in page["invocationJobSummaries"]}
        names = self.batch.keys(f"runs/{self.run_id}/jobs-")
        lines = [line for key in names for line in self._lines(key.rsplit("/", 1)[-1])]
        return [
            {**line, "bedrock_status": statuses[line["job_name"]]} for line in lines if line["job_name"] in statuses
        ]

    @cached_property
    def evidence(self) -> dict[str, Evidence]:
        rounds = [(job["round"], key) for job in self.jobs for key in self.batch.keys(job["raw_prefix"])]
        rounds += [(ON_DEMAND, key) for key in self._on_demand()]
        lines = ((round_, line) for round_, key in rounds if key.endswith(".jsonl.out") for line in self._objects(key))
        return read_evidence([(round_, line) for round_, line in lines if line["recordId"] in self.rows])

    def wrote(self, record: str) -> Evidence:
        return self.evidence.get(record, Evidence())

    @cached_property
    def output(self) -> list[dict[str, Any]]:
        return self.batch.table(self.run_id).to_pylist()

    @cached_property
    def outcomes(self) -> dict[str, Outcome]:
        """What the output says of each record; a code counts for failed rows alone."""
        found = [
            (row["bedrock_outcome"], row["bedrock_error_code"] if row["bedrock_outcome"] == "failed" else None)
            for row in self.output
        ]
        return {record: found[row] for record, row in self.rows.items()}

    @cached_property
    def report(self) -> dict[str, Any]:
        return self.batch.report(self.run_id)

    def sent(self) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """Yield every record that was sent, with its round and body."""
        for job in self.jobs:
            key = job["pool"]["input_key"] if "pool" in job else f"runs/{self.run_id}/input/{job['number']:05d}.jsonl"
            for line in self._objects(key):
                yield job["round"], line["recordId"], line["modelInput"]
        for key in self._on_demand():
            for line in self._objects(key):
                yield ON_DEMAND, line["recordId"], line["modelInput"]

    def chunks(self) -> Iterator[list[dict[str, Any]]]:
        """Yield the bodies of each chunk that was answered on demand."""
        for key in self._on_demand():
            yield [line["modelInput"] for line in self._objects(key)]

    def call(self, body: dict[str, Any]) -> str:
        """Return what the stand-in calls a request to the run's model with this body."""
        model = TEXT_MODEL if self.schedule.kind == "text" else EMBEDDING_MODEL
        return hashlib.sha256(f"{model}\n{json.dumps(body, sort_keys=True)}".encode()).hexdigest()[:16]

    def _on_demand(self) -> list[str]:
        return self.batch.keys(f"runs/{self.run_id}/raw/on-demand-")

    def _lines(self, name: str) -> Iterator[dict[str, Any]]:
        return self._objects(f"runs/{self.run_id}/{name}")

    def _objects(self, key: str) -> Iterator[dict[str, Any]]:
        return map(json.loads, self.batch.read(key).splitlines())


def play(batch: Batch, schedule: Schedule, run_id: str) -> Played:
    """Run a schedule to its end, with the stops and redrives that it wants. Its fault rules must be in force."""
    started = time.monotonic()
    body = "".join(json.dumps(row) + "\n" for row in schedule.table())
    arn = batch.start(run_id, schedule.run_input(batch.upload(f"soak/{run_id}.jsonl", body.encode())))
    for after, redriven in schedule.stops:
        time.sleep(after)
        if batch.sfn.describe_execution(executionArn=arn)["status"] != "RUNNING":
            break
        batch.sfn.stop_execution(executionArn=arn)
        time.sleep(redriven)
        if batch.sfn.describe_execution(executionArn=arn)["status"] == "ABORTED":  # else the stop came too late
            batch.sfn.redrive_execution(executionArn=arn)
    ended = batch.wait(arn)
    # Every fault comes so many times and no more.
    while ended.error == "PermissionMissing" or (schedule.may_break and ended.error.startswith("States.")):
        if ended.error == "PermissionMissing":
            _wait_for_salvage(batch, run_id)
        else:
            time.sleep(schedule.seed % 4 / 2)
        batch.sfn.redrive_execution(executionArn=arn)
        ended = batch.wait(arn)
    seconds = time.monotonic() - started
    _wait_for_stop_machine(batch, arn)
    return Played(schedule, batch, run_id, arn, ended, seconds)


def _wait_for_stop_machine(batch: Batch, arn: str) -> None:
    """Wait for the machines that were started because the run was stopped or failed: none may spoil its end."""
    deadline = time.monotonic() + _STOP_SECONDS
    machine = batch.outputs["stop_run_state_machine_arn"]
    while time.monotonic() < deadline:
        running = batch.sfn.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]
        inputs = (batch.sfn.describe_execution(executionArn=one["executionArn"]).get("input", "") for one in running)
        if not any(f'"{arn}"' in text for text in inputs):
            return
        time.sleep(0.2)
    raise AssertionError(f"the stop machine of {arn} does not end")


def _wait_for_salvage(batch: Batch, run_id: str) -> None:
    """Wait until the stop machine is done with a failed run, as its error asks for before a redrive."""
    deadline = time.monotonic() + _STOP_SECONDS
    while not batch.keys(f"runs/{run_id}/report.json"):
        assert time.monotonic() < deadline, f"{run_id} is not salvaged"
        time.sleep(0.2)


def complaints(played: Played) -> list[str]:
    """Return what is wrong with a run's end: an empty list is the proof."""
    schedule, ended = played.schedule, played.ended
    found: list[str] = []
    for job in played.jobs:
        if job["bedrock_status"] not in TERMINAL:
            found.append(f"left running: {job['job_name']} is {job['bedrock_status']}")
    if not played.batch.keys(f"runs/{played.run_id}/report.json"):
        return [*found, f"no report: {ended.status} {ended.error} {ended.cause[:500]}"]
    column = "review" if schedule.kind == "text" else "input_text"
    rows = [{"id": row["id"], column: row[column]} for row in played.output]
    if rows != schedule.table():
        return [*found, f"{len(rows)} rows came out, not the {schedule.rows} of the input in order"]
    found += _of_outcomes(played)
    found += _of_answers(played, column)
    found += _of_payment(played)
    found += _of_inventory(played)
    found += _of_report(played)
    for key in played.batch.keys(f"runs/{played.run_id}/results/"):
        if TOKEN_BEGINS.encode() in played.batch.read(key):
            found.append(f"a task token in {key}")
    return found


def _of_outcomes(played: Played) -> Iterator[str]:
    schedule, table = played.schedule, played.schedule.table()
    skipped = {record for record, row in played.rows.items() if list(table[row].values())[1] is None}
    for record in skipped:
        if played.outcomes[record] != SKIPPED:
            yield f"{record} has nothing to say, and is {played.outcomes[record]}"
    records = [record for record in played.rows if record not in skipped]
    wrong = [record for record in records if not played.wrote(record).allows(played.outcomes[record])]
    for record in wrong[:3]:
        yield f"{record} is {played.outcomes[record]}, and Bedrock wrote {played.wrote(record)} ({len(wrong)} so)"
    if not schedule.exact:
        final = {SUCCEEDED, REFUSED_TWICE, *(("failed", code) for code in FINAL_CODES)}
        left = [record for record in records if played.outcomes[record] not in final]
        if left:
            why = played.output[played.rows[left[0]]]["bedrock_error"]
            yield f"{len(left)} records could have been answered, such as {left[0]}: {played.outcomes[left[0]]}, {why}"
    else:
        rules = schedule.bedrock_rules(played.arn)
        by_shard = [
            [record for record in records if record.startswith(f"{shard['shard']:05d}")] for shard in played.shards
        ]
        told = foretell(schedule, rules, played.digest, by_shard)
        differ = [record for record in records if told.outcomes[record] != played.outcomes[record]]
        for record in differ[:3]:
            why = played.output[played.rows[record]]["bedrock_error"]
            yield f"{record} is {played.outcomes[record]} ({why}), foretold was {told.outcomes[record]}"
        if differ:
            yield f"{len(differ)} records have another end than foretold"
        rounds = [round_["jobs"] for round_ in played.report["rounds"]]
        if rounds != told.rounds:
            yield f"rounds {rounds}, foretold were {told.rounds}"
        on_demand = sum(pass_["records"] for pass_ in played.report["on_demand"])
        if on_demand != told.on_demand:
            yield f"{on_demand} records on demand, foretold were {told.on_demand}"
    status = "SUCCEEDED" if SUCCEEDED in played.outcomes.values() else "FAILED"
    error = "" if status == "SUCCEEDED" else "TooManyFailures"
    if (played.ended.status, played.ended.error) != (status, error):
        yield f"the run ended {played.ended}"


def _of_answers(played: Played, column: str) -> Iterator[str]:
    """Every answer is the one to its own row: the stand-in makes it from the prompt."""
    for record, row in played.rows.items():
        if played.outcomes[record] != SUCCEEDED:
            continue
        line = played.output[row]
        if played.schedule.kind == "text":
            prompt = f"Judge {line[column]} of {line['id']}"
            good = hashlib.sha256(prompt.encode()).hexdigest()[:8] in line["bedrock_response"]
        else:
            vector = played.evidence[record].answers[0][1]["embedding"]
            good = np.array_equal(np.float32(vector), np.float32(line["bedrock_embedding"]))
        if not good:
            yield f"{record} has an answer that is not its own"
            return


def _of_payment(played: Played) -> Iterator[str]:
    again: list[str] = []
    calls: set[str] = set()
    for round_, record, body in played.sent():
        calls.add(played.call(body))
        if played.wrote(record).settled_before(round_):
            again.append(f"{record} in round {round_}")
    if again:
        yield f"sent again although settled: {len(again)}, such as {again[0]}"
    summary = played.batch.engine.bedrock(job_name_contains=played.digest)
    twice = {call: count - 1 for call, count in summary["paid_twice"].items() if call in calls}
    # What Bedrock answered and did not write down may be paid again. So may a record of each chunk on demand whose
    # call was under way when the run was stopped, and met that of the redrive.
    lost = sum(rule.get("drop_records", 0) for _, _, rule in played.schedule.job_faults)
    met = 0
    for bodies in played.chunks():
        met += min(len(played.schedule.stops), sum(twice.get(played.call(body), 0) for body in bodies))
    if sum(twice.values()) > lost + met:
        yield f"{sum(twice.values())} answers were paid twice, {lost + met} may have been"


def _of_inventory(played: Played) -> Iterator[str]:
    inventory = played.batch.inventory(played.run_id)
    for key, item in inventory.items():
        if "task_token" in item:
            yield f"{key} still holds a task token"
    if played.ended.status == "SUCCEEDED" and inventory[f"run/{played.run_id}"]["status"] != "SUCCEEDED":
        yield f"the inventory says that the run is {inventory[f'run/{played.run_id}']['status']}"
    noted = {key.removeprefix("job/"): item["status"] for key, item in inventory.items() if key.startswith("job/")}
    for job in played.jobs:
        if noted.pop(job["job_name"], None) != job["bedrock_status"]:
            item = inventory.get(f"job/{job['job_name']}")
            yield f"{job['job_name']} is {job['bedrock_status']}, the inventory differs: {item}"
    for name, status in noted.items():
        if status != "NotCreated":
            yield f"the inventory has {name} as {status}, and Bedrock knows no such job"


def _of_report(played: Played) -> Iterator[str]:
    report = played.report
    counts = Counter(outcome for outcome, _ in played.outcomes.values())
    if {name: count for name, count in report["outcomes"].items() if count} != counts:
        yield f"the report counts {report['outcomes']}, the output has {dict(counts)}"
    if report["rows"] != played.schedule.rows or len(report["parts"]) != len(played.shards):
        yield f"the report has {report['rows']} rows in {len(report['parts'])} parts"
    keys = played.batch.keys(f"runs/{played.run_id}/output/")
    if keys != [part["key"] for part in report["parts"]]:
        yield f"parts {keys}, reported are {report['parts']}"
    if sum(pq.read_metadata(io.BytesIO(played.batch.read(key))).num_rows for key in keys) != played.schedule.rows:
        yield "the rows of the parts do not add up"
    if report.get("salvaged"):
        yield f"a salvaged report stands, and the run is {played.ended.status}"
    missing = sum(outcome == MISSING for outcome in played.outcomes.values())
    if report["leftovers"] < missing:
        yield f"{missing} rows are missing, and the report has {report['leftovers']} leftovers"

"""Run the real machines on the scripted Step Functions: prepare a run's documents, start it, collect its executions."""

import json
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from bedrock_batch import keys
from bedrock_batch.contracts.lines import JobEnd
from bedrock_batch.contracts.results import Joined, PreparedShard
from bedrock_batch.run import next_lines
from bedrock_batch.run.decide import Standing
from tests.unit.factories import STARTED, claimed, keys_of, make_prepared, make_run, make_shard

from .histories import Ended
from .machines import ACCOUNT, MACHINES, REGION, Json, chains, rendered

BUCKET = "runs-bucket"
ROWS = 100
Script = dict[str, list[Json]]


def ok(result: Json | None = None, **more: Any) -> Json:
    return {"result": result or {}, **more}


def payload(value: Any) -> Json:
    return ok({"Payload": value})


def error(name: str, cause: str | None = "on purpose", *, times: int = 1) -> Json:
    return {"error": name, "cause": cause, "times": times}


def wake(after: float = 0.01) -> Json:
    """The seconds between the parking of the token and the job's event."""
    return {"park": after}


LOST: Json = {"park": None}
"""The job's event never arrives."""


STARTED_MILLIS = round(datetime.fromisoformat(STARTED).timestamp() * 1000)
JOIN_SHARD = "arn:aws:lambda:::function:join_shard:3"


def got(status: str, *, times: int = 1, **more: Any) -> Json:
    return ok({"Status": status, **more}, times=times)


def job_arn(shard: int) -> str:
    return f"arn:aws:bedrock:{REGION}:{ACCOUNT}:model-invocation-job/job{shard:09d}"


def job_name(run: str, shard: int = 0) -> str:
    digest = keys.run_digest(execution_arn(run), STARTED)
    return keys.job_name(keys.job_names(name="reviews", label="", digest=digest), 0, shard)


def execution_arn(run: str) -> str:
    return f"arn:aws:states:{REGION}:{ACCOUNT}:execution:run:{run}"


def joined(run: str, shard: int) -> Json:
    return Joined(
        shard=shard,
        rows=ROWS,
        output_key=keys_of(run).part(shard, "parquet"),
        bytes=1,
        leftovers=0,
        outcomes={"succeeded": ROWS},
        input_tokens=1,
        output_tokens=1,
    ).to_json()


def planned(run: str, shards: int) -> Json:
    return claimed(run, BUCKET).to_json() | {
        "prefix": keys_of(run).work,
        "plan_key": keys_of(run).plan,
        "job_names": keys.job_names(name="reviews", label="", digest=keys.run_digest(execution_arn(run), STARTED)),
        "rows": shards * ROWS,
        "shards": shards,
        "dry_run": False,
    }


def reviewed(run: str, shards: int, **changes: Any) -> Json:
    estimate = {"rows": shards * ROWS, "records": shards * ROWS, "jobs": shards}
    return (
        planned(run, shards)
        | {
            "estimate": estimate,
            "next": "run_jobs",
            "jobs": shards,
            "jobs_key": keys_of(run).jobs(0),
            "max_concurrent_jobs": 20,
        }
        | changes
    )


def gathered(run: str, shards: int, next_: str = "finish") -> Json:
    """Return an answer of Gather leftovers. The documents of all possible next steps already exist."""
    lists = {
        "jobs_key": keys_of(run).jobs(1),
        "answers_key": keys_of(run).answers(0),
        "joins_key": keys_of(run).joins(0),
    }
    return reviewed(run, shards) | lists | {"next": next_}


def turns(run: str, *nexts: str, shards: int = 1) -> list[Json]:
    """Return the answers of Gather leftovers, step by step. The last one finishes the run."""
    return [payload(gathered(run, shards, next_)) for next_ in (*nexts, "finish")]


def prepared(shard: int) -> Json:
    return PreparedShard(shard, 1, [make_prepared(shard)]).to_json()


def answered(chunk: int) -> Json:
    return {"chunk": chunk, "records": 10, "failed": 0}


def finished(run: str, shards: int, *, warnings: int = 0) -> Json:
    return {
        "run_id": run,
        "output_uri": f"s3://{BUCKET}/{keys_of(run).output_folder()}",
        "rows": shards * ROWS,
        "report_uri": f"s3://{BUCKET}/{keys_of(run).report}",
        "outcomes": {},
        "jobs": shards,
        "warnings": warnings,
    }


def good_script(run: str, shards: int) -> Script:
    """Return the answers of a run in which nothing goes wrong."""
    each: Script = {}
    for n in range(shards):
        each[f"Prepare shard/{n}"] = [payload(prepared(n))]
        each[f"Create job/{n}"] = [ok({"JobArn": job_arn(n)})]
        each[f"Join shard/{n}"] = each[f"Join remaining shard/{n}"] = [payload(joined(run, n))]
        each[f"Answer on demand/{n}"] = each[f"Answer remaining on demand/{n}"] = [payload(answered(n))]
    return each | {
        "Claim run": [payload(claimed(run, BUCKET).to_json())],
        "Record run": [ok()],
        "Plan run": [payload(planned(run, shards))],
        "Record plan": [ok()],
        "Review run": [payload(reviewed(run, shards))],
        "Record intent": [ok({"Attributes": {"pk": {"S": "job/…"}, "status": {"S": "Submitting"}}})],
        "Pool leftovers": [payload({"records": ROWS, "bytes": 1})],
        "Wait for job": [wake()],
        "Get job": [got("Completed", ProcessedRecordCount=ROWS)],
        "Record end": [ok()],
        "Gather leftovers": [payload(gathered(run, shards))],
        "Finish run": [payload(finished(run, shards))],
        "Record run end": [ok()],
        "Announce end": [ok({"FailedEntryCount": 0})],
    }


def overridden(good: Script, script: Script) -> Script:
    """Return the good script with changes. An override for all numbers also replaces the good answer for one number."""
    return {key: answers for key, answers in good.items() if key.split("/")[0] not in script} | script


@dataclass(frozen=True)
class Bench:
    """A scripted Step Functions with the machines on it."""

    url: str
    folder: Path

    @cached_property
    def sfn(self) -> Any:
        return self._client("stepfunctions")

    @cached_property
    def s3(self) -> Any:
        return self._client("s3")

    def _client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(proxies={}, max_pool_connections=16),
        )

    def deploy(self) -> None:
        self.s3.create_bucket(Bucket=BUCKET)
        for name in MACHINES:
            # An EXPRESS execution has no history in the API, so here the event machine is STANDARD too.
            self.sfn.create_state_machine(
                name=name,
                definition=json.dumps(rendered(name)),
                type="STANDARD",
                roleArn=f"arn:aws:iam::{ACCOUNT}:role/states",
            )

    def start_run(self, name: str, script: Script, *, shards: int = 1, **line: Any) -> None:
        """Write what the functions would have written, and start the run; `line` is put into the lines of its jobs."""
        self._write_documents(name, shards, {"check_seconds": 60} | line)
        self.start("run", name, overridden(good_script(name, shards), script), {"s3_uri": "s3://bucket/t.csv"})

    def start_stop(self, name: str, script: Script, *, start: int | str = STARTED_MILLIS) -> None:
        """Start the machine that stops a run of this name, of one shard."""
        self._write_documents(name, 1, {})
        detail = {"executionArn": execution_arn(name), "name": name, "startDate": start}
        self.start("stop-run", name, overridden(good_script(name, 1), script), {"detail": detail})

    def start(self, machine: str, name: str, script: Script, value: Any) -> None:
        (self.folder / f"{name}.json").write_text(json.dumps(script))
        arn = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{machine}"
        self.sfn.start_execution(stateMachineArn=arn, name=name, input=json.dumps(value))

    def _write_documents(self, name: str, shards: int, of_jobs: Json) -> None:
        run = make_run(run_id=name, execution_arn=execution_arn(name), bucket=BUCKET, shards=shards)
        plan = [replace(make_shard(n, first_row=n * ROWS), run_key=keys_of(name).run()) for n in range(shards)]
        prepared = [make_prepared(n) for n in range(shards)]
        fresh = [Standing(shard=shard.shard, records=shard.records, bytes=shard.bytes) for shard in prepared]
        once = [replace(one, ends=(JobEnd("job", "Expired", "raw/job/"),)) for one in fresh]
        skipped = dict.fromkeys(range(shards), None)
        self._put_lines(keys_of(name).plan, (shard.to_json() for shard in plan))
        # The first round has a job for each shard, the second one their leftovers.
        for round_, standings in enumerate((fresh, once)):
            lines = next_lines.job_lines(run, plan, standings, skipped, round_=round_)
            self._put_lines(keys_of(name).jobs(round_), (line | of_jobs for line in lines))
        answers = next_lines.answer_lines(
            run, [replace(one, records=next_lines.CHUNK_RECORDS) for one in fresh], pass_=0
        )
        self._put_lines(keys_of(name).answers(0), answers)
        joins = [line | {"function": JOIN_SHARD} for line in next_lines.join_lines(plan, once, skipped, step=1)]
        for step in (0, "salvage"):
            self._put_lines(keys_of(name).joins(step), joins)

    def _put_lines(self, key: str, lines: Iterable[Json]) -> None:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body="\n".join(map(json.dumps, lines)).encode())

    def ended(self, machine: str, name: str) -> Ended:
        """Wait for the end of an execution and return it with its children. Raises TimeoutError after 40 s."""
        arn = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:{machine}:{name}"
        deadline = time.monotonic() + 40
        while (described := self.sfn.describe_execution(executionArn=arn))["status"] == "RUNNING":
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} still runs: {self._events(arn)[-3:]}")
            time.sleep(0.02)
        ended = Ended(machine, described, self._events(arn))
        for map_run in self.sfn.list_map_runs(executionArn=arn)["mapRuns"]:
            label = map_run["mapRunArn"].rpartition("/")[2].split(":")[0]
            for child in self.sfn.list_executions(mapRunArn=map_run["mapRunArn"], maxResults=1000)["executions"]:
                child_arn = child["executionArn"]
                description = self.sfn.describe_execution(executionArn=child_arn)
                ended.children.append(Ended(f"{machine}/{label}", description, self._events(child_arn)))
        return ended

    def until_reached(self, run: str, label: str, state: str) -> None:
        """Wait until the only child of a Map is in a state."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for map_run in self.sfn.list_map_runs(executionArn=execution_arn(run))["mapRuns"]:
                if f"/{label}:" in map_run["mapRunArn"]:
                    for child in self.sfn.list_executions(mapRunArn=map_run["mapRunArn"])["executions"]:
                        reached = Ended("", child, self._events(child["executionArn"])).visited()
                        if reached[-1:] == [state]:
                            return
            time.sleep(0.02)
        raise TimeoutError(f"{run} does not reach {state}")

    def stop(self, run: str) -> None:
        self.sfn.stop_execution(executionArn=execution_arn(run))

    def redrive(self, run: str) -> None:
        self.sfn.redrive_execution(executionArn=execution_arn(run))

    def all_ended(self, names: Iterable[tuple[str, str]]) -> dict[str, Ended]:
        """Collect executions, given as pairs of machine and name, some at a time."""
        pairs = list(names)
        with ThreadPoolExecutor(4) as pool:
            return dict(zip((name for _, name in pairs), pool.map(lambda pair: self.ended(*pair), pairs), strict=True))

    def _events(self, arn: str) -> list[Json]:
        pages = self.sfn.get_paginator("get_execution_history").paginate(executionArn=arn, maxResults=1000)
        return [event for page in pages for event in page["events"]]

    def results(self, key: str) -> list[Json]:
        """Read the file of a Map's successful children, named by its manifest."""
        manifest = json.loads(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
        bodies = (
            self.s3.get_object(Bucket=BUCKET, Key=file["Key"])["Body"].read().decode()
            for file in manifest["ResultFiles"]["SUCCEEDED"]
        )
        return [json.loads(line) for body in bodies for line in body.split("\n")]


def troubles(machine: str, state: str) -> list[Json]:
    """Return the errors that the state retries, each as often as its retrier allows."""
    found = next(chain.states[state] for chain in chains(machine) if state in chain.states)
    return [error(name) for rule in found.retriers() for name in rule["ErrorEquals"][: rule["MaxAttempts"]]]

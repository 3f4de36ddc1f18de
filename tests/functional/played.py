"""A run on S3 whose Maps a test plays: it writes the results of children as their ResultWriter does."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.exceptions import ClientError

from bedrock_batch.aws.inventory import Inventory
from bedrock_batch.aws.map_results import write_results
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.results import Joined, Prepared, PreparedShard
from bedrock_batch.contracts.run import Run
from bedrock_batch.contracts.state import RunState
from bedrock_batch.record_ids import record_id
from bedrock_batch.run.finish_run import finish_run
from bedrock_batch.run.gather_leftovers import gather_leftovers
from bedrock_batch.run.review_run import review_run
from tests.conftest import BUCKET
from tests.report_schema import check
from tests.unit.factories import claimed, keys_of, make_prepared, make_run, make_shard

RUN = "monday"
State = dict[str, Any]

FOLDERS = {"run_jobs": "jobs", "answer": "answers", "join": "joins"}
"""The folder below `results/` for the results of the Map that a `next` leads to."""


def reviewed(s3: S3, bedrock: Any, state: State) -> State:
    """Call Review run as its state does, with JSON."""
    return review_run(s3, bedrock, RunState.from_json(state)).to_json()


def gathered(s3: S3, bedrock: Any, state: State) -> State:
    """Call Gather leftovers as its state does, with JSON."""
    return gather_leftovers(s3, bedrock, RunState.from_json(state)).to_json()


def finished(s3: S3, state: State, bedrock: Any = None, inventory: Any = None) -> State:
    """Call Finish run as its state does, with JSON, and compare its report with the schema."""
    kept = Inventory(inventory or Items(), "reviews-inventory")
    try:
        return finish_run(s3, bedrock or Jobs(), kept, RunState.from_json(state))
    finally:
        check_report(s3)


class Jobs:
    """Bedrock as Gather leftovers sees it: a list of jobs."""

    def __init__(self, *jobs: dict[str, Any], error: str | None = None) -> None:
        self.jobs, self.error = list(jobs), error

    def get_paginator(self, operation: str) -> "Jobs":
        assert operation == "list_model_invocation_jobs"
        return self

    def paginate(self, **filters: Any) -> Iterator[dict[str, Any]]:
        if self.error:
            raise ClientError({"Error": {"Code": self.error, "Message": "no"}}, "ListModelInvocationJobs")
        # Two pages, because Bedrock filters by name.
        found = [job for job in self.jobs if filters.get("nameContains", "") in job["jobName"]]
        yield {"invocationJobSummaries": found[:1]}
        yield {"invocationJobSummaries": found[1:]}


class Items:
    """DynamoDB as Finish run sees it: the items of a run's jobs, and when they began to run."""

    def __init__(self, running: Mapping[str, str] | None = None, error: str | None = None) -> None:
        self.running, self.error = running or {}, error
        self.asked: dict[str, Any] = {}

    def get_paginator(self, operation: str) -> "Items":
        assert operation == "query"
        return self

    def paginate(self, **asked: Any) -> Iterator[dict[str, Any]]:
        self.asked = asked
        if self.error:
            raise ClientError({"Error": {"Code": self.error, "Message": "no"}}, "Query")
        # Two pages, and a job that did not begin to run.
        yield {"Items": [{"pk": {"S": f"job/{name}"}, "running_at": {"S": at}} for name, at in self.running.items()]}
        yield {"Items": [{"pk": {"S": "job/another"}}]}


def job(name: str, status: str = "InProgress", model: str = "amazon.nova-lite-v1:0") -> dict[str, Any]:
    arn = f"arn:aws:bedrock:us-east-1::foundation-model/{model}"
    return {"jobName": name, "status": status, "modelId": arn, "submitTime": datetime(2026, 11, 29, 7, tzinfo=UTC)}


def check_report(s3: S3) -> None:
    """Compare the report of the run, if there is one, with its schema."""
    key = keys_of(RUN).report
    if any(s3.list(BUCKET, key)):
        check(s3.get_json(BUCKET, key))


class Bench:
    """A planned and prepared run of some shards, whose Maps a test plays."""

    def __init__(self, records: Sequence[int], **changes: Any) -> None:
        self.client = boto3.client("s3")
        self.s3 = S3(self.client)
        self.bedrock = Jobs()
        self.run: Run = make_run(bucket=BUCKET, shards=len(records), **changes)
        self.s3.put_json(BUCKET, keys_of(RUN).run(), self.run.to_json())
        self.shards = [make_shard(number, rows=count or 1) for number, count in enumerate(records)]
        self.s3.put_lines(BUCKET, keys_of(RUN).plan, (shard.to_json() | {"bucket": BUCKET} for shard in self.shards))
        self.prepared: list[Prepared] = []
        for number, count in enumerate(records):
            self.prepared.append(make_prepared(number, records=count, skipped=0 if count else 1))
            lines = (line(number, row) for row in range(count))
            self.s3.put(BUCKET, keys_of(RUN).input(number), b"".join(lines))
        self.maps = 0

    def map(self, results: Sequence[Any], folder: str = "others") -> dict[str, str]:
        """Write what the children of a Map returned; return where."""
        self.maps += 1
        return write_results(self.s3, BUCKET, f"reviews/work/{RUN}/results/{folder}/{self.maps}", results)

    def planned(self) -> State:
        return claimed(RUN, BUCKET).to_json() | {
            "prefix": keys_of(RUN).work,
            "plan_key": keys_of(RUN).plan,
            "rows": sum(shard.rows for shard in self.shards),
            "shards": len(self.shards),
            "prepared": self.map([PreparedShard(one.shard, 1, [one]).to_json() for one in self.prepared]),
        }

    def review(self) -> State:
        return reviewed(self.s3, self.bedrock, self.planned())

    def gather(self, state: State, results: Sequence[Any]) -> State:
        result = self.map(results, FOLDERS[state["next"]])
        return gathered(self.s3, self.bedrock, state | {"result": result})

    def lines(self, key: str) -> list[Any]:
        return list(self.s3.lines(BUCKET, key))

    def joined(self, event: dict[str, Any], left: Sequence[int], again: Sequence[int] = ()) -> dict[str, Any]:
        """Return a join's result with these leftovers and retries, and write its leftovers file."""
        number = event["shard"]
        count = self.prepared[number].records
        partly = bool(again) or 0 < len(left) < count
        if partly:
            body = b"".join(line(number, row) for row in (*again, *left))
            self.s3.put(BUCKET, keys_of(RUN).leftovers(event["step"], number), body)
        outcomes = {"succeeded": count - len(left), "missing": len(left), "skipped": self.prepared[number].skipped}
        outcomes |= {"succeeded": count - len(left) - len(again), "truncated": len(again)} if again else {}
        return {
            "joined": Joined(
                shard=number,
                rows=event["rows"],
                output_key=keys_of(RUN).part(number, "parquet"),
                bytes=1,
                outcomes=outcomes,
                leftovers=len(left),
                input_tokens=1,
                output_tokens=1,
                jobs=len(event["jobs"]),
                leftovers_step=event["step"] if partly else None,
                leftover_bytes=len([*left, *again]) * 40 if partly else 0,
                retries=len(again),
            ).to_json()
        }

    def job_result(
        self,
        one: dict[str, Any],
        left: Sequence[int] | None = None,
        status: str = "Completed",
        again: Sequence[int] = (),
    ) -> Any:
        """Return the result of a job's child, with the join of its shard if it has one."""
        result = {"job_name": one["job_name"], "records": one["records"], "status": status, "message": ""}
        if left is None:
            return result
        return result | self.joined(one["join"] | {"jobs": [result]}, left, again)


def line(shard: int, row: int) -> bytes:
    body = {"recordId": record_id(shard, row), "modelInput": {"messages": [f"é {row}"]}}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

"""A whole run without a state machine: the shipped functions, one after the other, and a Bedrock of the test."""

import base64
import hashlib
import io
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from botocore.exceptions import ClientError

from bedrock_batch.aws.map_results import write_results
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import Chunk, PlannedShard, Pool, ShardJoin
from bedrock_batch.contracts.version import check_contract
from bedrock_batch.errors import PermissionMissing
from bedrock_batch.join.join_shard import join_shard
from bedrock_batch.keys import model_folder
from bedrock_batch.models.catalogue import base_model_id
from bedrock_batch.plan.plan_run import plan_run
from bedrock_batch.records.pool_leftovers import pool_leftovers
from bedrock_batch.records.prepare_shard import prepare_shard
from bedrock_batch.run import salvage
from bedrock_batch.run.answer_on_demand import answer_on_demand
from bedrock_batch.run_input import validate
from local.bedrock import models, tiers
from local.bedrock.bodies import Refused
from local.bedrock.replies import Author, Reply
from tests.conftest import BUCKET
from tests.functional.planned import ServiceQuotas
from tests.functional.played import FOLDERS, RUN, Jobs, State, finished, gathered, reviewed
from tests.unit.factories import claimed, keys_of, settings, stopped

ARN = f"arn:aws:states:us-east-1:123456789012:execution:reviews-run:{RUN}"
LABELS = ("Nova Lite V1", "Nova Micro V1", "Titan Text Embeddings V2")
MIN_RECORDS = 5.0
MANY_STEPS = 40

LITE, MICRO, TITAN = "amazon.nova-lite-v1:0", "amazon.nova-micro-v1:0", "amazon.titan-embed-text-v2:0"
Document = dict[str, Any]

Verdict = dict[str, Any] | None
"""The result of a record other than an answer: an `error`, or None if no line comes back."""


def reviews(s3: S3, count: int, nulls: Collection[int] = ()) -> list[Document]:
    """Put a table of reviews and return its rows; those in `nulls` have none."""
    rows = [{"id": number, "review": None if number in nulls else f"review {number}"} for number in range(count)]
    s3.put(BUCKET, "in/t.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    return rows


def asked(*models: str, **changes: Any) -> Document:
    return {
        "s3_uri": f"s3://{BUCKET}/in/t.jsonl",
        "model_id": models[0] if len(models) == 1 else list(models),
        "prompt": {"text": "Judge {review}"},
        "max_records_per_job": 10,
        **changes,
    }


def keys_below(s3: S3, folder: str) -> list[str]:
    prefix = f"reviews/output/{RUN}/" if folder == "output/" else f"reviews/work/{RUN}/{folder}"
    return [item.key.removeprefix(prefix) for item in s3.list(BUCKET, prefix)]


Fate = tuple[str, str] | None
"""The status and message of a job that does nothing; None for a job that runs."""


class MemoryS3:
    """The boto3 methods that `aws.s3.S3` calls for small objects, on a dict: moto is too slow for many runs."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.content_types: dict[str, str] = {}
        self.archived: set[str] = set()
        """Keys of objects that can be listed and headed, but not read."""

    def put_object(
        self, *, Bucket: str, Key: str, Body: bytes, IfMatch: str = "", IfNoneMatch: str = "", ContentType: str = ""
    ) -> Any:
        etag = self.objects[Key][1] if Key in self.objects else ""
        if (IfMatch and IfMatch != etag) or (IfNoneMatch and etag):
            raise ClientError({"Error": {"Code": "PreconditionFailed", "Message": Key}}, "PutObject")
        self.content_types[Key] = ContentType
        self.objects[Key] = (bytes(Body), f'"{hashlib.md5(Body).hexdigest()}"')
        return {"ETag": self.objects[Key][1]}

    def copy_object(self, *, Bucket: str, Key: str, CopySource: Any, CopySourceIfMatch: str = "", **_: Any) -> Any:
        body = self.get_object(**CopySource, IfMatch=CopySourceIfMatch)["Body"].read()
        return self.put_object(Bucket=Bucket, Key=Key, Body=body)

    def head_object(self, *, Bucket: str, Key: str) -> Any:
        body, etag = self._found(Key)
        return {"ETag": etag, "ContentLength": len(body)}

    def get_object(self, *, Bucket: str, Key: str, Range: str = "bytes=0-", IfMatch: str = "") -> Any:
        body, etag = self._found(Key)
        if Key in self.archived:
            raise ClientError({"Error": {"Code": "InvalidObjectState", "Message": Key}}, "GetObject")
        if IfMatch not in ("", etag):
            raise ClientError({"Error": {"Code": "PreconditionFailed", "Message": Key}}, "GetObject")
        first, _, last = Range.removeprefix("bytes=").partition("-")
        return {"Body": io.BytesIO(body[int(first) : int(last) + 1 if last else None])}

    def get_paginator(self, operation: str) -> "MemoryS3":
        assert operation == "list_objects_v2"
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[Any]:
        found = sorted(key for key in self.objects if key.startswith(Prefix))
        yield {"Contents": [{"Key": k, "ETag": self.objects[k][1], "Size": len(self.objects[k][0])} for k in found]}

    def _found(self, key: str) -> tuple[bytes, str]:
        if key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": key}}, "GetObject")
        return self.objects[key]


class BehindReview:
    """The S3 client of all functions after Review run: they read what the run wrote, never its source."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, operation: str) -> Any:
        call = getattr(self._client, operation)

        def checked(**request: Any) -> Any:
            self.before(operation)
            read = str(request.get("CopySource", request).get("Key", f"reviews/work/{RUN}/"))
            own = tuple(f"reviews/{kind}/{RUN}/" for kind in ("work", "output", "reports"))
            assert read.startswith(own), f"{operation} of {read} after Review run"
            assert "/staged/" not in read, f"{operation} of {read}, a copy of the source, after Review run"
            return call(**request)

        return call if operation == "get_paginator" else checked

    def before(self, operation: str) -> None:
        """Run the hook of a test before a call."""


def echo(prompt: str, model: str) -> Reply:
    """Return a text that begins with the model's id and contains the prompt."""
    return Reply(f"{model} on {prompt}")


def checked(event: State) -> State:
    """Return an event, after checking it like the edge of a function."""
    check_contract(event)
    return event


class WholeRun:
    """Plays the run's Maps. `verdict` returns the result of a job's or a call's record; {} is an answer.

    `fate` returns a status and message for the line of a job that does nothing. If a permission is missing, the
    execution is redriven, at most `redrives` times.

    `behind_review` is the S3 client of all functions after Review run. By default it refuses to read the source.

    It notes every record that was sent, and fails if a record that has its answer is sent again.
    """

    def __init__(
        self,
        s3: S3,
        verdict: Callable[[str, str], Verdict] = lambda model_id, record_id: {},
        *,
        fate: Callable[[dict[str, Any]], Fate] = lambda line: None,
        redrives: int = 0,
        author: Author = echo,
        behind_review: Callable[[Any], Any] = BehindReview,
    ) -> None:
        self.author = author
        self.s3, self.verdict, self.fate, self.redrives = s3, verdict, fate, redrives
        self.later = S3(behind_review(s3._client))
        self.redriven = 0
        self.sent: list[tuple[str, str]] = []
        self.answered: set[tuple[str, str]] = set()
        self.jobs: list[dict[str, Any]] = []
        self.steps: list[str] = []
        self.state: State = {}
        self.maps = 0

    def plan(
        self, asked: dict[str, Any], *, models: list[str] | None = None, quotas: Sequence[tuple[str, float]] = ()
    ) -> State:
        """Plan and prepare. `models` are the module's (default: the run's own), `quotas` are further quotas."""
        name = "Minimum number of records per batch inference job for {}"
        state = plan_run(
            self.s3,
            ServiceQuotas(applied=[*((name.format(label), MIN_RECORDS) for label in LABELS), *quotas]),
            claimed(RUN, BUCKET),
            settings=settings(*(models or validate.model_ids(asked))),
            input=asked,
        ).to_json()
        shards = [PlannedShard.from_json(checked(line)) for line in self.s3.lines(BUCKET, state["plan_key"])]
        return state | {"prepared": self.map([prepare_shard(self.s3, shard).to_json() for shard in shards])}

    def run(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Run to the end and return the execution's output."""
        state = reviewed(self.later, Jobs(), checked(self.plan(asked)))
        for _ in range(MANY_STEPS):
            self.steps.append(state["next"])
            self.state = state
            if state["next"] == "finish":
                return finished(self.later, checked(state))
            result = self.map(list(self.step(state)), FOLDERS[state["next"]])
            state = self._gather(state | {"result": result})
        raise AssertionError(f"the run does not end: {self.steps}")

    def _gather(self, state: State) -> State:
        """Call Gather leftovers. For a redrive, salvage the run and call it again with the same state."""
        while True:
            try:
                return gathered(self.later, Jobs(), checked(state | {"redrives": self.redriven}))
            except PermissionMissing:
                if self.redriven == self.redrives:
                    raise
                self.redriven += 1
                self.salvage(status="FAILED", error="PermissionMissing")

    def salvage(self, **how: str) -> None:
        """Do what the stop-run machine does."""
        found = salvage.gather(self.later, Jobs(), stopped(RUN, BUCKET, **how)).to_json()
        finished(self.later, checked(found) | {"result": self.map(list(self.step(found)), "salvage")})

    def step(self, state: State) -> Iterator[Any]:
        """Do the work of the next Map, and yield the results of its children."""
        if state["next"] == "run_jobs":
            for line in list(self.s3.lines(BUCKET, state["jobs_key"])):
                yield self._job(line)
        elif state["next"] == "answer":
            for line in list(self.s3.lines(BUCKET, state["answers_key"])):
                yield answer_on_demand(self.later, self, Chunk.from_json(checked(line))).to_json()
        else:
            for line in list(self.s3.lines(BUCKET, state["joins_key"])):
                yield {"joined": join_shard(self.later, ShardJoin.from_json(checked(line))).to_json()}

    def _job(self, line: dict[str, Any]) -> dict[str, Any]:
        self.jobs.append(line)
        if "pool" in line:
            pool_leftovers(self.later, Pool.from_json(checked(line["pool"])))
        model_id, request = line["request"]["ModelId"], line["request"]
        key = request["InputDataConfig"]["S3InputDataConfig"]["S3Uri"].removeprefix(f"s3://{BUCKET}/")
        if key.endswith("/"):  # Records that refer to objects are in a folder beside these.
            key += f"{key.split('/')[-2]}.jsonl"
        records = list(self.s3.lines(BUCKET, key))
        assert len(records) == line["records"]
        fate = self.fate(line)
        converse = request.get("ModelInvocationType") == "Converse"
        lines = []
        for record in () if fate else records:
            verdict = self._asked(model_id, record["recordId"])
            if verdict is not None:
                output = verdict or {"modelOutput": self._answered(model_id, record["modelInput"], converse=converse)}
                lines.append(json.dumps(record | output).encode())
        if not fate:
            raw_key = f"{line['raw_prefix']}abc123/{key.rpartition('/')[2]}.out"
            self.s3.put(BUCKET, raw_key, b"\n".join(reversed(lines)))
        status, message = fate or ("Completed", "")
        result = {"job_name": line["job_name"], "records": len(records), "status": status, "message": message}
        result["processed"] = len(lines)
        if "join" in line:
            told = ("job_name", "status", "message", "processed")
            end = {key: result[key] for key in told} | {"raw_prefix": line["raw_prefix"]}
            event = checked(line["join"] | {"jobs": [end]})
            result["joined"] = join_shard(self.later, ShardJoin.from_json(event)).to_json()
        return result

    def _asked(self, model_id: str, record_id: str) -> Verdict:
        assert (model_id, record_id) not in self.answered, "an answered record is sent again"
        self.sent.append((model_id, record_id))
        verdict = self.verdict(model_id, record_id)
        if verdict == {}:
            self.answered.add((model_id, record_id))
        return verdict

    def _answered(self, model_id: str, body: dict[str, Any], *, converse: bool) -> dict[str, Any]:
        """Return the model's own output for a body."""
        answer = models.converse if converse else models.invoke
        output: dict[str, Any] = json.loads(answer(base_model_id(model_id), body, self.author).body)
        return output

    # The methods of bedrock-runtime that answer_on_demand calls. A body has no record id, so all bodies are answered.

    def converse(self, *, modelId: str, serviceTier: Any = None, **body: Any) -> dict[str, Any]:
        told = self._tier(modelId, (serviceTier or {}).get("type"), "Converse")
        sent = json.dumps(body, default=lambda media: base64.b64encode(media).decode())
        return self._answered(modelId, json.loads(sent), converse=True) | {
            "ResponseMetadata": {},
            **({"serviceTier": {"type": told}} if told else {}),
        }

    def invoke_model(self, *, modelId: str, body: bytes, serviceTier: str | None = None) -> dict[str, Any]:
        told = self._tier(modelId, serviceTier, "InvokeModel")
        output = json.dumps(self._answered(modelId, json.loads(body), converse=False)).encode()
        return {"body": io.BytesIO(output), **({"serviceTier": told} if told else {})}

    def _tier(self, model_id: str, asked: str | None, operation: str) -> str | None:
        """Return the tier of an answer, which is the requested one. Refuse a tier that the model does not have."""
        try:
            tiers.check(model_id, asked)
        except Refused as err:
            answer: Any = {
                "Error": {"Code": "ValidationException", "Message": str(err)},
                "ResponseMetadata": {"HTTPStatusCode": 400},
            }
            raise ClientError(answer, operation) from err
        return asked

    def map(self, results: Sequence[Any], folder: str = "others") -> dict[str, str]:
        self.maps += 1
        return write_results(self.s3, BUCKET, f"reviews/work/{RUN}/results/{folder}/{self.maps}", results)

    def table(self, model_id: str = "") -> pa.Table:
        """Return the table of a model, or of the only one."""
        prefix = keys_of(RUN).output_folder(model_folder("bedrock_", model_id) if model_id else "")
        keys = [item.key for item in self.s3.list(BUCKET, prefix)]
        return pa.concat_tables([pq.read_table(io.BytesIO(self.s3.read(BUCKET, key))) for key in keys])

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = self.s3.get_json(BUCKET, keys_of(RUN).report)
        return found

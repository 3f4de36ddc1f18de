"""The Bedrock stand-in behaves as the real batch inference is known to."""

import hashlib
import json
import math
import re
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.bedrock import models, vectors
from local.bedrock.replies import reply
from local.process import Engine
from tests.local.conftest import ACCOUNT, Aws

NOVA = "amazon.nova-lite-v1:0"
TITAN = "amazon.titan-embed-text-v2:0"
CLAUDE = "anthropic.claude-3-haiku-20240307-v1:0"
TERMINAL = {"Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired"}


@dataclass
class Bench:
    """A bucket, a role, a queue with all job events, and a short way to run jobs."""

    engine: Engine
    aws: Aws
    role: str = ""
    queue: str = ""
    defaults: dict[str, Any] = field(default_factory=dict)

    def put(self, bodies: list[dict[str, Any]], *, key: str = "in/a.jsonl", tail: bytes = b"\n") -> str:
        """Write an input file with record ids `r000000`, … and return its URI."""
        lines = [json.dumps({"recordId": f"r{n:06d}", "modelInput": body}) for n, body in enumerate(bodies)]
        self.aws.s3.put_object(Bucket="runs", Key=key, Body="\n".join(lines).encode() + tail)
        return f"s3://runs/{key}"

    def create(self, uri: str, *, name: str = "job", model: str = NOVA, **more: Any) -> str:
        """Create a job and return its ARN."""
        request = {
            "jobName": name,
            "modelId": model,
            "roleArn": self.role,
            "modelInvocationType": "Converse",
            "inputDataConfig": {"s3InputDataConfig": {"s3Uri": uri, "s3InputFormat": "JSONL"}},
            "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://runs/out"}},
        } | more
        return str(self.aws.bedrock.create_model_invocation_job(**request)["jobArn"])

    def get(self, arn: str) -> dict[str, Any]:
        """Return a job."""
        job: dict[str, Any] = self.aws.bedrock.get_model_invocation_job(jobIdentifier=arn)
        return job

    def end(self, arn: str) -> dict[str, Any]:
        """Wait for a job to end and return it."""
        return self.reach(arn, TERMINAL)

    def reach(self, arn: str, statuses: set[str]) -> dict[str, Any]:
        """Wait for one of these statuses and return the job."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            job = self.get(arn)
            if job["status"] in statuses:
                return job
            time.sleep(0.02)
        raise AssertionError(f"still {job['status']}")

    def run(self, bodies: list[dict[str, Any]], **more: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Run a job to its end; return it and its output lines."""
        job = self.end(self.create(self.put(bodies), **more))
        return job, self.lines(job)

    def lines(self, job: dict[str, Any], name: str = "a.jsonl.out") -> list[dict[str, Any]]:
        """Return the lines of an output file; none if it is not there."""
        key = f"out/{job['jobArn'][-12:]}/{name}"
        if key not in self.keys():
            return []
        body = self.aws.s3.get_object(Bucket="runs", Key=key)["Body"].read()
        return [json.loads(line) for line in body.split(b"\n") if line]

    def keys(self) -> list[str]:
        """Return the keys of all output files."""
        return [o["Key"] for o in self.aws.s3.list_objects_v2(Bucket="runs", Prefix="out/").get("Contents", [])]

    def statuses(self, wait_seconds: int = 2) -> list[str]:
        """Return the statuses that events told, in the order in which they happened to be received."""
        bodies = [json.loads(m["Body"]) for m in self.aws.messages(self.queue, wait_seconds=wait_seconds)]
        return [body["detail"]["status"] for body in bodies]


@pytest.fixture
def bench(engine: Engine, aws: Aws) -> Bench:
    aws.s3.create_bucket(Bucket="runs")
    role = aws.make_role(
        "batch",
        service="bedrock.amazonaws.com",
        StringEquals={"aws:SourceAccount": ACCOUNT},
        ArnEquals={"aws:SourceArn": f"arn:aws:bedrock:us-east-1:{ACCOUNT}:model-invocation-job/*"},
    )
    queue, queue_arn = aws.make_queue("events")
    aws.events.put_rule(Name="all", EventPattern=json.dumps({"source": ["aws.bedrock"]}))
    aws.events.put_targets(Rule="all", Targets=[{"Id": "q", "Arn": queue_arn}])
    engine.configure(seconds_per_status=0.02)
    return Bench(engine, aws, role, queue)


def prompts(count: int = 100, **more: Any) -> list[dict[str, Any]]:
    return [{"messages": [{"role": "user", "content": [{"text": f"what is {n} plus {n}"}]}]} | more for n in range(count)]


def error_code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def code_of(call: Any) -> str:
    """Return the error code of a call that must fail."""
    with pytest.raises(ClientError) as error:
        call()
    return error_code(error)


# --- The main way ---


def test_job_completes_with_every_answer_beside_its_own_record(bench: Bench) -> None:
    job, lines = bench.run(prompts(120))

    assert job["status"] == "Completed"
    assert job["modelId"] == f"arn:aws:bedrock:us-east-1::foundation-model/{NOVA}"
    assert job["inputDataConfig"]["s3InputDataConfig"]["s3BucketOwner"] == ACCOUNT
    assert (job["jobExpirationTime"] - job["submitTime"]).total_seconds() == 24 * 3600
    counters = [job[f"{what}RecordCount"] for what in ("total", "processed", "success", "error")]
    assert counters == [120, 120, 120, 0]

    ids = [line["recordId"] for line in lines]
    assert sorted(ids) == [f"r{n:06d}" for n in range(120)]
    assert ids != sorted(ids), "the order of the output says nothing"
    for line in lines:
        prompt = line["modelInput"]["messages"][0]["content"][0]["text"]
        (block,) = line["modelOutput"]["output"]["message"]["content"]
        assert block["text"] == reply(prompt).text
        assert block["toolUse"] is None and "reasoningContent" in block
        assert line["modelOutput"]["usage"]["cacheReadInputTokens"] is None

    (manifest,) = bench.lines(job, "manifest.json.out")
    assert manifest["totalRecordCount"] == manifest["successRecordCount"] == 120
    assert manifest["outputTokenCount"] == sum(line["modelOutput"]["usage"]["outputTokens"] for line in lines)


def test_every_status_sends_one_event_in_the_documented_shape(bench: Bench) -> None:
    arn = bench.create(bench.put(prompts()), name="my-job")
    bench.end(arn)

    events = [json.loads(message["Body"]) for message in bench.aws.messages(bench.queue, wait_seconds=2)]

    walk = ["Submitted", "Validating", "Scheduled", "InProgress", "Completed"]
    assert sorted(event["detail"]["status"] for event in events) == sorted(walk)
    (event,) = (event for event in events if event["detail"]["status"] == "Completed")
    assert event["source"] == "aws.bedrock"
    assert event["detail-type"] == "Batch Inference Job State Change"
    assert event["resources"] == [arn]
    detail = event["detail"]
    assert detail.pop("creationTime").endswith(("AM", "PM"))
    assert detail == {
        "version": "0.0",
        "accountId": ACCOUNT,
        "batchJobName": "my-job",
        "batchJobArn": arn,
        "batchModelId": f"arn:aws:bedrock:us-east-1::foundation-model/{NOVA}",
        "status": "Completed",
        "failureMessage": "",
    }


def test_counters_are_zero_before_processing_and_live_during_it(bench: Bench) -> None:
    bench.engine.configure(run_seconds=1.0)
    arn = bench.create(bench.put(prompts(200)))
    assert bench.get(arn)["totalRecordCount"] == 0
    bench.reach(arn, {"InProgress"})
    time.sleep(0.3)
    during = bench.get(arn)
    assert during["totalRecordCount"] == 200
    assert 0 < during["processedRecordCount"] < 200
    assert bench.end(arn)["processedRecordCount"] == 200


def test_a_folder_is_one_job_with_one_output_per_file(bench: Bench) -> None:
    bench.put(prompts(60), key="many/a.jsonl")
    bench.put(prompts(60), key="many/b.jsonl")
    bench.aws.s3.put_object(Bucket="runs", Key="many/notes.txt", Body=b"not a record")
    job = bench.end(bench.create("s3://runs/many/"))
    assert (job["status"], job["totalRecordCount"]) == ("Completed", 120)
    assert len(bench.lines(job, "a.jsonl.out")) == len(bench.lines(job, "b.jsonl.out")) == 60


def test_text_outside_ascii_and_line_separators_survive(bench: Bench) -> None:
    texts = [f"ünïcödé \x85 and \u2028 {n}" for n in range(100)]
    bodies = [{"messages": [{"role": "user", "content": [{"text": text}]}]} for text in texts]
    _, lines = bench.run(bodies)
    assert sorted(line["modelInput"]["messages"][0]["content"][0]["text"] for line in lines) == sorted(texts)


# --- Create ---


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"jobName": "under_score"}, "jobName"),
        ({"jobName": "a" + "-" * 60 + "_"}, "jobName"),
        ({"clientRequestToken": "ends-in-"}, "clientRequestToken"),
        ({"timeoutDurationInHours": 12}, "timeoutDurationInHours"),
        ({"modelInvocationType": "Chat"}, "modelInvocationType"),
        ({"inputDataConfig": {"s3InputDataConfig": {"s3Uri": "s3://runs/day=1/a.jsonl"}}}, "s3Uri"),
        ({"roleArn": "batch"}, "roleArn"),
    ],
)
def test_create_refuses_what_the_service_model_forbids(bench: Bench, change: dict[str, Any], where: str) -> None:
    with pytest.raises(ClientError, match=where) as error:
        bench.create("s3://runs/in/a.jsonl", **change)
    assert error_code(error) == "ValidationException"


def test_a_repeated_token_returns_the_same_job_and_never_a_second(bench: Bench) -> None:
    uri = bench.put(prompts())
    arn = bench.create(uri, clientRequestToken="t1")
    assert bench.create(uri, clientRequestToken="t1") == arn
    assert code_of(lambda: bench.create(uri, clientRequestToken="t1", timeoutDurationInHours=48)) == "ConflictException"
    assert code_of(lambda: bench.create(uri, clientRequestToken="t2")) == "ConflictException", "the name is taken"
    bench.end(arn)
    assert bench.engine.bedrock()["creates"] == {"accepted": 1, "replayed": 1, "ConflictException": 2}
    assert set(bench.engine.bedrock()["records"].values()) == {1}


def test_quota_counts_all_unfinished_jobs_of_a_model_and_its_profiles(bench: Bench) -> None:
    bench.engine.configure(concurrent_jobs=2, seconds_per_status=0.3)
    uri = bench.put(prompts())
    first = bench.create(uri, name="one")
    bench.create(uri, name="two", model=f"us.{NOVA}")
    assert code_of(lambda: bench.create(uri, name="three")) == "ServiceQuotaExceededException"
    bench.create(uri, name="other-model", model="amazon.nova-micro-v1:0")
    bench.end(first)
    bench.create(uri, name="three")


def test_create_rate_is_throttled(bench: Bench) -> None:
    bench.engine.configure(creates_per_second=2)
    uri = bench.put(prompts())
    codes = []
    for number in range(4):
        try:
            bench.create(uri, name=f"job-{number}")
        except ClientError as error:
            codes.append((error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]))
    assert codes == [("ThrottlingException", 429)] * 2


# --- Get, List, Stop ---


def test_list_filters_sorts_and_pages(bench: Bench) -> None:
    uri = bench.put(prompts(3))  # too few: these jobs fail
    arns = [bench.create(uri, name=f"{'even' if n % 2 == 0 else 'odd'}-{n}") for n in range(7)]
    for arn in arns:
        bench.end(arn)

    def names(**query: Any) -> list[str]:
        pages = bench.aws.bedrock.get_paginator("list_model_invocation_jobs").paginate(maxResults=2, **query)
        return [summary["jobName"] for page in pages for summary in page["invocationJobSummaries"]]

    assert names(nameContains="even", sortOrder="Ascending") == ["even-0", "even-2", "even-4", "even-6"]
    assert names(nameContains="even") == ["even-6", "even-4", "even-2", "even-0"]
    assert names(statusEquals="Completed") == []
    assert len(names(statusEquals="Failed")) == 7
    middle = bench.get(arns[3])["submitTime"]
    assert names(submitTimeAfter=middle, sortOrder="Ascending") == ["even-4", "odd-5", "even-6"]
    (summary,) = bench.aws.bedrock.list_model_invocation_jobs(nameContains="odd-1")["invocationJobSummaries"]
    assert "message" not in summary
    assert "message" in bench.get(arns[1])


def test_stop_keeps_what_was_processed(bench: Bench) -> None:
    bench.engine.configure(run_seconds=20)
    arn = bench.create(bench.put(prompts(200)))
    bench.reach(arn, {"InProgress"})
    time.sleep(1.2)
    bench.aws.bedrock.stop_model_invocation_job(jobIdentifier=arn)
    assert bench.get(arn)["status"] in ("Stopping", "Stopped")
    job = bench.end(arn)
    assert job["status"] == "Stopped"
    assert "endTime" not in job
    assert 0 < len(bench.lines(job)) == job["processedRecordCount"] < 200
    assert {"Stopping", "Stopped"} < set(bench.statuses())
    assert code_of(lambda: bench.aws.bedrock.stop_model_invocation_job(jobIdentifier=arn)) == "ConflictException"


def test_unknown_job(bench: Bench) -> None:
    with pytest.raises(ClientError, match="The provided batch inference job was not found") as error:
        bench.get("abcdefghijkl")
    assert error_code(error) == "ResourceNotFoundException"


def test_tags_are_listed(bench: Bench) -> None:
    arn = bench.create(bench.put(prompts()), tags=[{"key": "run", "value": "r1"}])
    assert bench.aws.bedrock.list_tags_for_resource(resourceARN=arn)["tags"] == [{"key": "run", "value": "r1"}]


# --- Validation of the input ---


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"recordId":"1","modelInput":{}}\n' * 3, r"less records \(3\) than the required minimum of: 100"),
        (b'{"recordId":"1","modelInput":"text"}\n' * 100, "Line 1 of in/x.jsonl has no object `modelInput`"),
        (b'{"recordId":"1","modelInput":{}}\n' * 100 + b"{\n", "Line 101 of in/x.jsonl is not a JSON object"),
        (b"", r"less records \(0\)"),
    ],
)
def test_bad_input_fails_the_job_and_not_the_request(bench: Bench, body: bytes, message: str) -> None:
    bench.aws.s3.put_object(Bucket="runs", Key="in/x.jsonl", Body=body)
    job = bench.end(bench.create("s3://runs/in/x.jsonl"))
    assert job["status"] == "Failed"
    assert job["totalRecordCount"] == 0
    assert bench.keys() == []
    assert re.search(message, job["message"])


def test_limits_of_the_input_are_enforced(bench: Bench) -> None:
    for setting, value in {"maximum_records_per_file": 110, "maximum_file_bytes": 2000}.items():
        bench.engine.configure(**{setting: value})
        job = bench.end(bench.create(bench.put(prompts(120)), name=setting.replace("_", "-")))
        assert (job["status"], str(value) in job["message"]) == ("Failed", True)


def test_missing_input_and_output_and_role_fail_the_job(bench: Bench) -> None:
    uri = bench.put(prompts())
    stranger = bench.aws.make_role("stranger", service="lambda.amazonaws.com")
    nowhere = {"s3OutputDataConfig": {"s3Uri": "s3://nowhere/out"}}
    messages = {
        "no-input": bench.create("s3://runs/none/", name="no-input"),
        "no-output": bench.create(uri, name="no-output", outputDataConfig=nowhere),
        "no-trust": bench.create(uri, name="no-trust", roleArn=stranger),
        "no-role": bench.create(uri, name="no-role", roleArn=f"arn:aws:iam::{ACCOUNT}:role/none"),
    }
    found = {name: bench.end(arn) for name, arn in messages.items()}
    assert {job["status"] for job in found.values()} == {"Failed"}
    assert "No file that ends in .jsonl" in found["no-input"]["message"]
    assert "nowhere does not exist" in found["no-output"]["message"]
    assert "does not trust" in found["no-trust"]["message"]
    assert "role/none does not exist" in found["no-role"]["message"]


# --- Models ---


def test_a_wrong_body_is_an_error_of_its_record_alone(bench: Bench) -> None:
    bodies = prompts(100)
    bodies[7] = {"inputText": "not for Converse"}
    bodies[8] = {"messages": [{"role": "user", "content": [{"text": " "}]}]}
    job, lines = bench.run(bodies)
    assert (job["status"], job["errorRecordCount"]) == ("Completed", 2)
    failed = {line["recordId"]: line for line in lines if "error" in line}
    assert set(failed) == {"r000007", "r000008"}
    assert failed["r000007"]["modelInput"] == bodies[7]
    assert "modelOutput" not in failed["r000007"]
    assert failed["r000007"]["error"]["errorCode"] == 400


def test_converse_bodies_in_a_claude_job_all_fail_and_the_job_completes(bench: Bench) -> None:
    job, lines = bench.run(prompts(), model=CLAUDE, modelInvocationType="InvokeModel")
    assert (job["status"], job["successRecordCount"], job["errorRecordCount"]) == ("Completed", 0, 100)
    assert lines[0]["error"]["errorMessage"] == "anthropic_version: Field required"


def test_titan_embeddings(bench: Bench) -> None:
    bodies = [{"inputText": f"text {n}", "dimensions": 256} for n in range(100)]
    bodies[3] = {"inputText": ""}
    job, lines = bench.run(bodies, model=TITAN, modelInvocationType="InvokeModel")
    assert job["errorRecordCount"] == 1
    answers = {line["modelInput"]["inputText"]: line["modelOutput"] for line in lines if "modelOutput" in line}
    assert len({tuple(answer["embedding"]) for answer in answers.values()}) == 99
    one = answers["text 42"]
    assert one["embedding"] == one["embeddingsByType"]["float"] == vectors.floats("text 42", 256)
    assert math.isclose(math.hypot(*one["embedding"]), 1, rel_tol=1e-4)
    assert one["inputTextTokenCount"] > 0


def test_titan_sizes_and_types() -> None:
    def embed(**body: Any) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(models.invoke(TITAN, {"inputText": "x"} | body).body)
        return answer

    assert len(embed()["embedding"]) == 1024
    assert len(embed(dimensions=512)["embedding"]) == 512
    binary = embed(embeddingTypes=["binary"])
    assert "embedding" not in binary
    assert set(binary["embeddingsByType"]["binary"]) == {0, 1}
    with pytest.raises(models.bodies.Refused, match="dimensions"):
        embed(dimensions=7)


@pytest.mark.parametrize(
    ("model", "body", "text", "reason", "cut_reason"),
    [
        (
            CLAUDE,
            {"anthropic_version": "bedrock-2023-05-31", "messages": [{"role": "user", "content": "P"}], "max_tokens": 9},
            lambda answer: answer["content"][0]["text"],
            lambda answer: answer["stop_reason"],
            "max_tokens",
        ),
        (
            NOVA,
            {"messages": [{"role": "user", "content": [{"text": "P"}]}], "inferenceConfig": {"maxTokens": 9}},
            lambda answer: answer["output"]["message"]["content"][0]["text"],
            lambda answer: answer["stopReason"],
            "max_tokens",
        ),
        (
            "meta.llama3-3-70b-instruct-v1:0",
            {"prompt": "P", "max_gen_len": 9},
            lambda answer: answer["generation"],
            lambda answer: answer["stop_reason"],
            "length",
        ),
        (
            "qwen.qwen3-32b-v1:0",
            {"messages": [{"role": "user", "content": "P"}], "max_tokens": 9},
            lambda answer: answer["choices"][0]["message"]["content"],
            lambda answer: answer["choices"][0]["finish_reason"],
            "length",
        ),
    ],
    ids=["claude", "nova", "llama", "chat"],
)
def test_each_family_answers_in_its_own_shape_and_honours_its_limit(
    model: str, body: dict[str, Any], text: Any, reason: Any, cut_reason: str
) -> None:
    prompt = "tell me all about the sea"
    asked = json.loads(json.dumps(body).replace('"P"', json.dumps(prompt)))
    answer = json.loads(models.invoke(model, asked).body)
    assert text(answer) == reply(prompt).text
    assert reason(answer) in ("end_turn", "stop")
    cut = json.loads(json.dumps(asked).replace("9", "2"))
    cut_answer = json.loads(models.invoke(model, cut).body)
    assert text(cut_answer) == " ".join(reply(prompt).text.split()[:2])
    assert reason(cut_answer) == cut_reason


@pytest.mark.parametrize(
    ("model", "body", "message"),
    [
        ("mistral.unknown", {"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "type: Field required"),
        (NOVA, {"messages": [{"role": "user", "content": [{"text": "x"}]}], "max_new_tokens": 5}, "max_new_tokens"),
        (
            "anthropic.claude-haiku-4-5-20251001-v1:0",
            {
                "anthropic_version": "bedrock-2023-05-31",
                "max_tokens": 5,
                "temperature": 0,
                "top_p": 1,
                "messages": [{"role": "user", "content": "x"}],
            },
            "cannot both be specified",
        ),
        (
            "amazon.nova-micro-v1:0",
            {"messages": [{"role": "user", "content": [{"text": "x"}]}], "inferenceConfig": {"maxTokens": 10_001}},
            "exceeds the model limit of 10000",
        ),
        (NOVA, {"messages": [], "inferenceConfig": "none"}, "expected type: JSONObject"),
    ],
)
def test_bodies_that_the_models_refuse(model: str, body: dict[str, Any], message: str) -> None:
    with pytest.raises(models.bodies.Refused, match=message):
        models.invoke(model, body)


def test_on_demand_answers_as_the_batch_does(bench: Bench) -> None:
    said = bench.aws.bedrock_runtime.converse(
        modelId=f"us.{NOVA}", messages=prompts(1)[0]["messages"], inferenceConfig={"maxTokens": 2}
    )
    digest = hashlib.sha256(b"what is 0 plus 0").hexdigest()[:8]
    assert said["output"]["message"]["content"] == [{"text": f"answer {digest}"}]
    assert said["stopReason"] == "max_tokens"
    body = bench.aws.bedrock_runtime.invoke_model(modelId=TITAN, body=json.dumps({"inputText": "a", "dimensions": 256}))
    assert json.loads(body["body"].read())["embedding"] == vectors.floats("a", 256)
    with pytest.raises(ClientError, match="inputText") as error:
        bench.aws.bedrock_runtime.invoke_model(modelId=TITAN, body="{}")
    assert error_code(error) == "ValidationException"


def test_answers_can_be_configured(bench: Bench) -> None:
    bench.engine.configure(
        answers=[
            {"prompt_contains": " 5 plus", "text": "", "stop_reason": "content_filtered"},
            {"text": ['{"sum": "{hash}"}', '{"sum": "{tail}"}']},
        ]
    )
    _, lines = bench.run(prompts())
    outputs = {line["recordId"]: line["modelOutput"] for line in lines}
    assert outputs["r000005"]["output"]["message"]["content"] == []
    assert outputs["r000005"]["stopReason"] == "content_filtered"
    others = {json.dumps(output) for record_id, output in outputs.items() if record_id != "r000005"}
    assert any("what is 7 plus 7" in output for output in others) != any(
        hashlib.sha256(b"what is 7 plus 7").hexdigest()[:8] in output for output in others
    )


# --- Faults ---


def test_create_faults_by_job_name_and_number_of_times(bench: Bench) -> None:
    bench.engine.configure(
        faults=[
            {"job_name_contains": "slow", "fail_create": {"error": "ThrottlingException", "times": 2}},
            {"job_name_contains": "never", "refuse_create": {"error": "ValidationException", "message": "not for you"}},
        ]
    )
    uri = bench.put(prompts())
    assert [code_of(lambda: bench.create(uri, name="slow")) for _ in range(2)] == ["ThrottlingException"] * 2
    bench.create(uri, name="slow")
    for _ in range(3):
        with pytest.raises(ClientError, match="not for you"):
            bench.create(uri, name="never")
    bench.create(uri, name="other")


def test_a_lost_response_leaves_a_job_that_its_token_finds_again(bench: Bench) -> None:
    bench.engine.configure(faults=[{"lose_create_response": True}])
    uri = bench.put(prompts())
    with pytest.raises(ClientError) as error:
        bench.create(uri, clientRequestToken="t")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert bench.end(bench.create(uri, clientRequestToken="t"))["status"] == "Completed"
    assert set(bench.engine.bedrock()["records"].values()) == {1}


@pytest.mark.parametrize(
    ("fault", "status", "written"),
    [
        ({"fail_job": "Out of luck"}, "Failed", 0),
        ({"fail_job": "Out of luck", "partial": 0.25}, "Failed", 50),
        ({"expire": True}, "Expired", 0),
        ({"expire": True, "partial": 0.5}, "Expired", 100),
        ({"partial": 0.5}, "PartiallyCompleted", 100),
    ],
)
def test_faulty_ends(bench: Bench, fault: dict[str, Any], status: str, written: int) -> None:
    bench.engine.configure(faults=[fault])
    job, lines = bench.run(prompts(200))
    assert job["status"] == status
    assert job.get("message", "") == fault.get("fail_job", "")
    assert job["processedRecordCount"] == len(lines) == written
    assert len(bench.engine.bedrock()["records"]) == written


def test_a_rule_fires_for_its_first_jobs_alone(bench: Bench) -> None:
    bench.engine.configure(faults=[{"times": 1, "fail_job": "first only"}])
    uri = bench.put(prompts())
    assert bench.end(bench.create(uri, name="one"))["status"] == "Failed"
    assert bench.end(bench.create(uri, name="two"))["status"] == "Completed"


def test_record_errors_and_output_anomalies(bench: Bench) -> None:
    bench.engine.configure(
        faults=[
            {
                "record_errors": {"every": 10, "code": 429, "message": "Too busy"},
                "drop_records": 3,
                "duplicate_records": 2,
                "foreign_records": 1,
            }
        ]
    )
    job, lines = bench.run(prompts())
    assert (job["successRecordCount"], job["errorRecordCount"]) == (90, 10)
    ids = [line["recordId"] for line in lines]
    assert len(ids) == 100 - 3 + 2 + 1
    assert len(set(ids)) == 100 - 3 + 1
    assert sum(record_id.startswith("FOREIGN") for record_id in ids) == 1
    errors = [line["error"] for line in lines if "error" in line]
    assert errors == [{"errorCode": 429, "errorMessage": "Too busy"}] * 10


@pytest.mark.parametrize(
    ("fault", "completed"), [({"drop_events": True}, 0), ({"duplicate_events": 2}, 2), ({"early_event": True}, 2)]
)
def test_event_faults(bench: Bench, fault: dict[str, Any], completed: int) -> None:
    bench.engine.configure(faults=[fault])
    bench.run(prompts())
    assert bench.statuses(wait_seconds=1).count("Completed") == completed


def test_an_early_event_comes_before_the_job_is_done(bench: Bench) -> None:
    bench.engine.configure(faults=[{"early_event": True, "stuck": 5}])
    arn = bench.create(bench.put(prompts()))
    assert "Completed" in bench.statuses()
    assert bench.get(arn)["status"] not in TERMINAL
    bench.reach(arn, {"Scheduled"})
    time.sleep(0.3)
    assert bench.get(arn)["status"] == "Scheduled", "stuck"


def test_delayed_events_come_after_the_end(bench: Bench) -> None:
    bench.engine.configure(faults=[{"delay_event_seconds": 0.8}])
    bench.run(prompts())
    assert bench.statuses(wait_seconds=0) == []
    time.sleep(1.0)
    assert "Completed" in bench.statuses()


def test_on_demand_faults(bench: Bench) -> None:
    bench.engine.configure(faults=[{"fail_invoke": {"error": "ThrottlingException", "times": 1}}])
    call = {"modelId": NOVA, "messages": prompts(1)[0]["messages"]}
    assert code_of(lambda: bench.aws.bedrock_runtime.converse(**call)) == "ThrottlingException"
    bench.aws.bedrock_runtime.converse(**call)
    assert bench.engine.bedrock()["on_demand"] == {"answered": 1, "refused": 1}


def test_what_is_paid_twice_shows(bench: Bench) -> None:
    uri = bench.put(prompts())
    bench.end(bench.create(uri, name="one"))
    assert bench.engine.bedrock()["paid_twice"] == {}
    bench.aws.bedrock_runtime.converse(modelId=NOVA, messages=prompts(1)[0]["messages"])
    assert list(bench.engine.bedrock()["paid_twice"].values()) == [2]
    bench.end(bench.create(uri, name="two"))
    assert len(bench.engine.bedrock()["paid_twice"]) == 100
    assert set(bench.engine.bedrock()["records"].values()) == {2}
    assert set(bench.engine.bedrock(job_name_contains="two")["records"].values()) == {1}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"speed": 1}, "Unknown setting 'speed'"),
        ({"seconds_per_status": "fast"}, "must be a number"),
        ({"faults": [{"explode": True}]}, "unknown explode"),
        ({"faults": {"fail_job": "x"}}, "must be a list"),
    ],
)
def test_settings_are_checked(bench: Bench, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bench.engine.configure(**settings)


def test_reset_forgets_jobs_and_settings(bench: Bench) -> None:
    bench.engine.configure(seconds_per_status=0.5, faults=[{"fail_job": "x"}])
    arn = bench.create(bench.put(prompts()))
    bench.engine.reset()
    summary = bench.engine.bedrock()
    assert (summary["jobs"], summary["creates"], summary["config"]["faults"]) == ({}, {}, [])
    assert code_of(lambda: bench.get(arn)) == "ResourceNotFoundException"


# --- Size ---


def test_many_jobs_and_a_large_one_take_seconds(bench: Bench) -> None:
    uri = bench.put(prompts())
    started = time.monotonic()
    arns = [bench.create(uri, name=f"job-{n}") for n in range(90)]
    for arn in arns:
        assert bench.end(arn)["status"] == "Completed"
    assert time.monotonic() - started < 8

    large = bench.put(prompts(25_000), key="in/large.jsonl")
    started = time.monotonic()
    assert bench.end(bench.create(large, name="large"))["successRecordCount"] == 25_000
    assert time.monotonic() - started < 8

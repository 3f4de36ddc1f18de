"""The Bedrock stand-in behaves as the real batch inference is known to."""

import json
import re
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.bedrock.replies import reply
from tests.local.bench import NOVA, Bench, code_of, error_code, prompts
from tests.local.conftest import ACCOUNT

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
    bench.engine.configure(seconds_per_status=0.5, run_seconds=3.0)
    arn = bench.create(bench.put(prompts(200)))
    assert bench.get(arn)["totalRecordCount"] == 0
    bench.reach(arn, {"InProgress"})
    time.sleep(0.5)
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
    other = bench.aws.make_role("other", service="bedrock.amazonaws.com", StringEquals={"aws:SourceAccount": "1" * 12})
    messages = {
        "other-account": bench.create(uri, name="other-account", roleArn=other),
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
    assert "does not trust" in found["other-account"]["message"]
    assert "role/none does not exist" in found["no-role"]["message"]


# --- Size ---


def test_many_jobs_and_a_large_one_take_seconds(bench: Bench) -> None:
    uri = bench.put(prompts())
    large = bench.put(prompts(25_000), key="in/large.jsonl")
    started = time.monotonic()
    arns = [bench.create(uri, name=f"job-{n}") for n in range(60)] + [bench.create(large, name="large")]
    assert {bench.end(arn)["status"] for arn in arns} == {"Completed"}
    assert time.monotonic() - started < 20, "4 s on an idle machine of 2 cores"

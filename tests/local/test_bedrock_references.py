"""Records that refer to objects on S3: Nova reads these objects, but only in the folder of the job."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.bench import Bench

HAIKU = "us.anthropic.claude-haiku-4-5-20251001-v1:0"


def video(uri: str) -> dict[str, Any]:
    source = {"s3Location": {"uri": uri, "bucketOwner": "000000000000"}}
    content = [{"video": {"format": "mp4", "source": source}}, {"text": "What happens?"}]
    return {"messages": [{"role": "user", "content": content}]}


def run(bench: Bench, given: str, *uris: str, **request: Any) -> list[str]:
    """Return the output of a job of two files for the records of one of them, which refer to these objects."""
    bench.engine.configure(minimum_records=1)
    for key in ("in/7/a.mp4", "in/8/b.mp4"):
        bench.aws.s3.put_object(Bucket="runs", Key=key, Body=b"film")
    bench.put([video(uri) for uri in uris], key="in/7/7.jsonl")
    job = bench.end(bench.create(given, **request))
    assert job["status"] == "Completed"
    lines = sorted(bench.lines(job, "7.jsonl.out"), key=lambda line: str(line["recordId"]))
    return [line["error"]["errorMessage"] if "error" in line else "answered" for line in lines]


def test_objects_beside_the_file_are_followed(bench: Bench) -> None:
    said = run(
        bench,
        "s3://runs/in/7/",
        "s3://runs/in/7/a.mp4",
        "s3://runs/in/8/b.mp4",
        "s3://b/in/7/a.mp4",
        "s3://runs/in/7/z",
    )
    assert said[0] == "answered"
    assert "in/8/b.mp4 is not in the S3 folder" in said[1]
    assert "s3://b/in/7/a.mp4 is not in the S3 folder" in said[2]
    assert "in/7/z does not exist" in said[3]


def test_a_job_of_one_file_cannot_follow_them(bench: Bench) -> None:
    (said,) = run(bench, "s3://runs/in/7/7.jsonl", "s3://runs/in/7/a.mp4")
    assert "give its folder" in said


def test_a_folder_above_is_not_enough(bench: Bench) -> None:
    said = run(bench, "s3://runs/in/", "s3://runs/in/7/a.mp4", "s3://runs/in/8/b.mp4")
    assert said[0] == "answered"
    assert "not in the S3 folder" in said[1]


def test_other_families_do_not_follow_them(bench: Bench) -> None:
    (said,) = run(bench, "s3://runs/in/7/", "s3://runs/in/7/a.mp4", modelId=HAIKU, modelInvocationType="Converse")
    assert "doesn't support s3Location" in said


def test_objects_count_for_the_size_of_a_job(bench: Bench) -> None:
    bench.engine.configure(maximum_job_bytes=5000)
    bench.aws.s3.put_object(Bucket="runs", Key="in/a.mp4", Body=b"x" * 5000)
    bench.put([video("s3://runs/in/a.mp4")], key="in/in.jsonl")
    assert "more than the maximum of: 5000" in bench.end(bench.create("s3://runs/in/"))["message"]


def test_on_demand_any_object_will_do(bench: Bench) -> None:
    bench.aws.s3.put_object(Bucket="runs", Key="in/7/a.mp4", Body=b"film")
    runtime = bench.aws.bedrock_runtime
    messages = video("s3://runs/in/7/a.mp4")["messages"]
    assert runtime.converse(modelId="amazon.nova-lite-v1:0", messages=messages)["stopReason"] == "end_turn"
    with pytest.raises(ClientError, match="does not exist"):
        runtime.converse(modelId="amazon.nova-lite-v1:0", messages=video("s3://runs/in/7/z")["messages"])

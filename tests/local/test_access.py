"""With IAM enforced, Bedrock checks its caller and the role of the job."""

import json
import time
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.process import Engine
from tests.local.conftest import ACCOUNT, Aws

NOVA = "amazon.nova-lite-v1:0"
FOUNDATION = f"arn:aws:bedrock:*::foundation-model/{NOVA}"
PROFILE = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:inference-profile/us.{NOVA}"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/batch"


def allow(resource: str, *actions: str, **condition: Any) -> dict[str, Any]:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return statement | ({"Condition": condition} if condition else {})


READ = [allow("arn:aws:s3:::runs", "s3:ListBucket"), allow("arn:aws:s3:::runs/in/*", "s3:GetObject")]
WRITE = [allow("arn:aws:s3:::runs/out/*", "s3:PutObject")]
RUN = [allow(FOUNDATION, "bedrock:InvokeModel"), allow(PROFILE, "bedrock:InvokeModel")]


def list_below(prefix: str) -> dict[str, Any]:
    return allow("arn:aws:s3:::runs", "s3:ListBucket", StringLike={"s3:prefix": prefix})


def through(profile: str) -> list[dict[str, Any]]:
    """Return the statements with which a role may call the model only through one profile."""
    condition = {"StringEquals": {"bedrock:InferenceProfileArn": profile}}
    return [RUN[1], allow(FOUNDATION, "bedrock:InvokeModel", **condition)]


CREATE = [allow(FOUNDATION, "bedrock:CreateModelInvocationJob")]
PASS = [allow(ROLE, "iam:PassRole", StringEquals={"iam:PassedToService": "bedrock.amazonaws.com"})]
LOOK = [allow(f"arn:aws:bedrock:us-east-1:{ACCOUNT}:model-invocation-job/*", "bedrock:GetModelInvocationJob")]


def create(client: Any, model_id: str = f"us.{NOVA}") -> str:
    job = client.create_model_invocation_job(
        jobName="j",
        modelId=model_id,
        roleArn=ROLE,
        inputDataConfig={"s3InputDataConfig": {"s3Uri": "s3://runs/in/a.jsonl"}},
        outputDataConfig={"s3OutputDataConfig": {"s3Uri": "s3://runs/out/"}},
    )
    return str(job["jobArn"])


@pytest.mark.parametrize(
    ("role_may", "status", "message"),
    [
        ([*READ, *WRITE, *RUN], "Completed", ""),
        ([*READ, *WRITE, *through(PROFILE)], "Completed", ""),
        ([list_below("in/*"), READ[1], *WRITE, *RUN], "Completed", ""),
        ([list_below("elsewhere/*"), READ[1], *WRITE, *RUN], "Failed", "lacks s3:ListBucket"),
        ([*READ, *WRITE, *through(f"{PROFILE}x")], "Failed", "permissions to invokeModel"),
        ([*READ, *RUN], "Failed", "lacks s3:PutObject"),
        ([*WRITE, *RUN], "Failed", "lacks s3:ListBucket"),
        ([*READ, *WRITE, *CREATE], "Failed", "Customer doesn't have permissions to invokeModel"),
    ],
)
def test_the_role_of_the_job(guarded: Engine, role_may: list[dict[str, Any]], status: str, message: str) -> None:
    guarded.reset()
    guarded.configure(seconds_per_status=0.02, minimum_records=1)
    aws = Aws(guarded.url)
    aws.s3.create_bucket(Bucket="runs")
    aws.s3.put_object(Bucket="runs", Key="in/a.jsonl", Body=b'{"recordId": "1", "modelInput": {}}\n')
    aws.make_role("batch", service="bedrock.amazonaws.com", policy=role_may)
    client = aws.as_user("bedrock", *CREATE, *PASS, *LOOK)
    arn = create(client)
    deadline = time.monotonic() + 5
    while (job := client.get_model_invocation_job(jobIdentifier=arn))["status"] not in ("Completed", "Failed"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert job["status"] == status
    assert message in job.get("message", "")


@pytest.mark.parametrize(
    ("role_may", "status"),
    [([*READ, *WRITE, allow("{profile}", "bedrock:InvokeModel"), *RUN[:1]], "Completed"), ([*READ, *WRITE], "Failed")],
)
def test_the_role_of_a_job_through_a_profile_of_ones_own(
    guarded: Engine, role_may: list[dict[str, Any]], status: str
) -> None:
    guarded.reset()
    guarded.configure(seconds_per_status=0.02, minimum_records=1)
    aws = Aws(guarded.url)
    model = FOUNDATION.replace("*", "us-east-1")
    arn = aws.bedrock.create_inference_profile(inferenceProfileName="own", modelSource={"copyFrom": model})[
        "inferenceProfileArn"
    ]
    aws.s3.create_bucket(Bucket="runs")
    aws.s3.put_object(Bucket="runs", Key="in/a.jsonl", Body=b'{"recordId": "1", "modelInput": {}}\n')
    statements = json.loads(json.dumps(role_may).replace("{profile}", arn))
    aws.make_role("batch", service="bedrock.amazonaws.com", policy=statements)
    client = aws.as_user("bedrock", *CREATE, *PASS, *LOOK, allow(arn, "bedrock:GetInferenceProfile"))
    assert client.get_inference_profile(inferenceProfileIdentifier=arn)["models"] == [{"modelArn": model}]
    with pytest.raises(ClientError, match="bedrock:GetInferenceProfile"):
        client.get_inference_profile(inferenceProfileIdentifier=f"us.{NOVA}")
    job = create(client, arn)
    deadline = time.monotonic() + 5
    while (ended := client.get_model_invocation_job(jobIdentifier=job)["status"]) not in ("Completed", "Failed"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert ended == status


@pytest.mark.parametrize(("user_may", "lacks"), [(CREATE, "pass"), (PASS, "bedrock:CreateModelInvocationJob")])
def test_the_caller(guarded: Engine, user_may: list[dict[str, Any]], lacks: str) -> None:
    guarded.reset()
    client = Aws(guarded.url).as_user("bedrock", *user_may)
    with pytest.raises(ClientError, match=lacks) as error:
        create(client)
    assert error.value.response["Error"]["Code"] == "AccessDeniedException"


@pytest.mark.parametrize("action", ["bedrock:InvokeModel", "bedrock:Converse"])
def test_converse_has_no_permission_of_its_own(guarded: Engine, action: str) -> None:
    guarded.reset()
    aws = Aws(guarded.url)
    key = aws.as_user("bedrock", allow(FOUNDATION, action))._request_signer._credentials
    runtime = boto3.client(
        "bedrock-runtime",
        endpoint_url=guarded.url,
        region_name="us-east-1",
        aws_access_key_id=key.access_key,
        aws_secret_access_key=key.secret_key,
    )
    messages = [{"role": "user", "content": [{"text": "Hello."}]}]
    if action == "bedrock:InvokeModel":
        assert runtime.converse(modelId=NOVA, messages=messages)["stopReason"] == "end_turn"
    else:
        with pytest.raises(ClientError, match="bedrock:InvokeModel"):
            runtime.converse(modelId=NOVA, messages=messages)


@pytest.mark.parametrize(
    ("machine", "error"), [("reviews-run", "ResourceNotFound"), ("other-run", "AccessDeniedException")]
)
def test_calls_about_a_map_run_are_checked_on_its_arn(guarded: Engine, machine: str, error: str) -> None:
    guarded.reset()
    map_runs = f"arn:aws:states:us-east-1:{ACCOUNT}:mapRun:"
    may = allow(f"{map_runs}reviews-run/*", "states:UpdateMapRun")
    client = Aws(guarded.url).as_user("stepfunctions", may)
    with pytest.raises(ClientError, match=error):
        client.update_map_run(mapRunArn=f"{map_runs}{machine}/RunJobs:1234", maxConcurrency=5)

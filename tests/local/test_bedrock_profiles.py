"""Application inference profiles and custom models: their base models, and the quotas that they use."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.bench import Bench, code_of, prompts

TITAN = "amazon.titan-embed-text-v2:0"
NOVA = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0"
CUSTOM = "arn:aws:bedrock:us-east-1:000000000000:custom-model/amazon.titan-embed-text-v2:0:8k/abc123def45{}"


def made(bench: Bench, source: str, name: str = "reviews") -> str:
    answer = bench.aws.bedrock.create_inference_profile(
        inferenceProfileName=name, modelSource={"copyFrom": source}, tags=[{"key": "team", "value": "reviews"}]
    )
    return str(answer["inferenceProfileArn"])


@pytest.mark.parametrize(
    "source", [NOVA, "arn:aws:bedrock:us-east-1:000000000000:inference-profile/us.amazon.nova-lite-v1:0"]
)
def test_a_profile_tells_its_model(bench: Bench, source: str) -> None:
    arn = made(bench, source)
    profile = bench.aws.bedrock.get_inference_profile(inferenceProfileIdentifier=arn)
    assert (profile["inferenceProfileArn"], profile["type"], profile["status"]) == (arn, "APPLICATION", "ACTIVE")
    assert profile["models"] == [{"modelArn": NOVA}]
    assert bench.aws.bedrock.list_tags_for_resource(resourceARN=arn)["tags"] == [{"key": "team", "value": "reviews"}]


def test_a_profile_across_regions_tells_its_model(bench: Bench) -> None:
    profile = bench.aws.bedrock.get_inference_profile(inferenceProfileIdentifier="us.amazon.nova-lite-v1:0")
    assert (profile["type"], profile["models"]) == ("SYSTEM_DEFINED", [{"modelArn": NOVA}])


@pytest.mark.parametrize(
    ("identifier", "code"),
    [
        ("arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/none", "ResourceNotFoundException"),
        ("none", "ResourceNotFoundException"),
        ("no such", "ValidationException"),
    ],
)
def test_a_profile_that_is_not_there(bench: Bench, identifier: str, code: str) -> None:
    assert code_of(lambda: bench.aws.bedrock.get_inference_profile(inferenceProfileIdentifier=identifier)) == code


def test_a_job_through_a_profile_is_one_of_its_model(bench: Bench) -> None:
    bench.engine.configure(minimum_records=1, concurrent_jobs=1, run_seconds=30)
    profile = made(bench, f"arn:aws:bedrock:us-east-1::foundation-model/{TITAN}")
    uri = bench.put([{"inputText": "lamp"}])
    arn = bench.create(uri, modelId=profile, modelInvocationType="InvokeModel")
    assert bench.get(arn)["modelId"] == profile
    with pytest.raises(ClientError, match="has reached its quota of 1"):
        bench.create(uri, name="second", modelId=TITAN)


def test_a_profile_answers_as_its_model(bench: Bench) -> None:
    bench.engine.configure(minimum_records=1)
    profile = made(bench, f"arn:aws:bedrock:us-east-1::foundation-model/{TITAN}")
    _, (line,) = bench.run([{"inputText": "lamp"}], modelId=profile, modelInvocationType="InvokeModel")
    assert len(line["modelOutput"]["embedding"]) == 1024


def test_custom_models_share_a_quota_of_their_own(bench: Bench) -> None:
    bench.engine.configure(concurrent_jobs=1, run_seconds=30)
    uri = bench.put(prompts())
    request: dict[str, Any] = {"modelInvocationType": "InvokeModel"}
    for number in range(3):
        bench.create(uri, name=f"custom-{number}", modelId=CUSTOM.format(number), **request)
    bench.create(uri, name="base", modelId=TITAN, **request)
    with pytest.raises(ClientError, match="has reached its quota of 3"):
        bench.create(uri, name="custom-3", modelId=CUSTOM.format(3), **request)


def test_a_custom_model_is_not_to_be_had_on_demand(bench: Bench) -> None:
    def call() -> None:
        bench.aws.bedrock_runtime.invoke_model(modelId=CUSTOM.format(0), body='{"inputText": "a"}')

    assert code_of(call) == "ValidationException"

"""Ids and keys are legal for Bedrock for any names of the user, and no two runs share one."""

import re

import pytest
from botocore.loaders import Loader
from hypothesis import given
from hypothesis import strategies as st

from bedrock_batch import keys
from bedrock_batch.record_ids import record_id
from tests.unit.factories import keys_of

MODEL = Loader().load_service_model("bedrock", "service-2")["shapes"]
NAMES = st.from_regex(r"[a-z](-?[a-z0-9]){0,11}", fullmatch=True)
ARN = "arn:aws:states:us-east-1:123456789012:execution:reviews-run:monday"
STARTED = "2026-11-29T01:19:41.123Z"
DIGEST = keys.run_digest(ARN, STARTED)


def matches(shape: str, value: str) -> bool:
    """Return whether a value fits a string shape of Bedrock's service model."""
    limits = MODEL[shape]
    fits = limits.get("min", 0) <= len(value) <= limits.get("max", len(value))
    return fits and re.fullmatch(limits["pattern"], value) is not None


@given(name=NAMES, label=st.text(max_size=200), round_=st.integers(0, 99), shard=st.integers(0, keys.MAX_SHARDS - 1))
def test_job_names_are_legal(name: str, label: str, round_: int, shard: int) -> None:
    beginning = keys.job_names(name=name, label=label, digest=DIGEST)
    job_name = keys.job_name(beginning, round_, shard)
    assert matches("ModelInvocationJobName", job_name)
    assert job_name.startswith(f"{name}-")
    assert matches("ModelInvocationJobName", beginning), "a list of jobs takes it as `nameContains`"
    assert matches("ModelInvocationIdempotencyToken", keys.client_request_token(job_name))


def test_the_longest_job_name_fits() -> None:
    beginning = keys.job_names(name="n" * 24, label="l" * 200, digest=DIGEST)
    assert len(keys.job_name(beginning, 99, 199_999)) <= 63


def test_job_names_differ_by_run_round_and_number() -> None:
    def name(*, arn: str = ARN, started: str = STARTED, round_: int = 0, number: int = 0) -> str:
        beginning = keys.job_names(name="reviews", label="same", digest=keys.run_digest(arn, started))
        return keys.job_name(beginning, round_, number)

    again = STARTED.replace("41", "42")
    assert len({name(), name(arn=f"{ARN}2"), name(started=again), name(round_=1), name(number=1)}) == 5
    assert name() == name()


@given(shard=st.integers(0, keys.MAX_SHARDS - 1), row=st.integers(0, keys.MAX_SHARD_ROWS - 1))
def test_record_ids_have_eleven_characters_and_sort(shard: int, row: int) -> None:
    assert re.fullmatch(r"[0-9]{11}", record_id(shard, row))
    if row:
        assert record_id(shard, row - 1) < record_id(shard, row)


@given(run_id=st.from_regex(keys.RUN_ID, fullmatch=True), shard=st.integers(0, keys.MAX_SHARDS - 1))
def test_keys_are_legal_in_a_bedrock_s3_uri(run_id: str, shard: int) -> None:
    job_name = keys.job_name(f"reviews-{DIGEST}", 0, shard)
    for key in (keys_of(run_id).input(shard), keys_of(run_id).pooled(1, shard), keys_of(run_id).raw(job_name)):
        assert matches("S3Uri", f"s3://bucket/{key}")


@pytest.mark.parametrize(
    ("model_id", "folder"),
    [
        ("amazon.nova-lite-v1:0", "amazon.nova-lite-v1-0"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/ab=c+d",
            "arn-aws-bedrock-us-east-1-123456789012-application-inference-profile-ab-c-d",
        ),
    ],
)
def test_the_folder_of_a_model_is_one_step_of_a_uri(model_id: str, folder: str) -> None:
    assert keys.model_folder("bedrock_", model_id) == f"bedrock_model={folder}"
    assert keys_of("r").part(3, "csv", folder) == f"reviews/output/r/{folder}/part-00003.csv"


def test_the_names_of_passes_are_those_of_no_job() -> None:
    assert keys.is_on_demand(keys.on_demand_name(0)) and keys.is_on_demand(keys.on_demand_name(12, 3))
    assert not keys.is_on_demand(keys.job_name(keys.job_names(name="on-demand", label="", digest=DIGEST), 0, 0))

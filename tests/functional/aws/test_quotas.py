"""Quotas are found by name, in all spellings of AWS and with any permissions of the role."""

from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from bedrock_batch.aws import quotas
from tests.functional.planned import ServiceQuotas

CATALOGUE = {
    "min_records": 100,
    "max_records": 100_000,
    "max_file_bytes": 10**9,
    "max_job_bytes": 5,
    "concurrent_jobs": 7,
}
applied = partial(quotas.applied, run_id="monday")

JOBS = "Sum of in-progress and submitted batch inference jobs using a base model for {}"


def test_applied_goes_before_default_and_default_before_catalogue() -> None:
    client = ServiceQuotas(
        applied=[(JOBS.format("Nova Lite V1"), 20.0)],
        default=[
            (JOBS.format("Nova Lite V1"), 100.0),
            ("Minimum number of records per batch inference job for Nova Lite V1", 1000.0),
        ],
    )
    values, origins = applied(client, "Nova Lite V1", CATALOGUE)
    assert values == CATALOGUE | {"concurrent_jobs": 20, "min_records": 1000}
    assert origins == dict.fromkeys(CATALOGUE, "catalogue") | {"concurrent_jobs": "applied", "min_records": "default"}


@pytest.mark.parametrize(
    ("name", "quota", "value", "expected"),
    [
        ("Minimum number of records per batch inference job for Claude Sonnet 4.5.", "min_records", 100.0, 100),
        ("Batch inference input file size (in GB) for Claude Sonnet 4.5", "max_file_bytes", 1.0, 10**9),
        ("Batch inference input file size for Claude Sonnet 4.5 (in GB)", "max_file_bytes", 0.5, 5 * 10**8),
        ("Batch inference job size (in GB) for Claude Sonnet 4.5", "max_job_bytes", 100.0, 10**11),
        ("RECORDS per batch inference job for claude sonnet 4.5", "max_records", 50_000.0, 50_000),
        ("Records per  batch inference job for Claude Sonnet 4.5", "max_records", 9.0, 9),
    ],
)
def test_names_are_matched_however_they_are_written(name: str, quota: str, value: float, expected: int) -> None:
    values, _ = applied(ServiceQuotas(applied=[(name, value)]), "Claude Sonnet 4.5", CATALOGUE)
    assert values[quota] == expected


def test_quotas_of_other_models_are_not_taken() -> None:
    client = ServiceQuotas(applied=[(JOBS.format("Claude Sonnet 4"), 1.0), (JOBS.format("Claude Sonnet 4.5 v2"), 2.0)])
    assert applied(client, "Claude Sonnet 4.5", CATALOGUE)[0] == CATALOGUE


def test_the_lower_of_two_limits_on_records_counts() -> None:
    names = ["Records per batch inference job for X", "Records per input file per batch inference job for X"]
    for first, second in ((5.0, 9.0), (9.0, 5.0)):
        client = ServiceQuotas(applied=[(names[0], first), (names[1], second)])
        assert applied(client, "X", CATALOGUE)[0]["max_records"] == 5


@pytest.mark.parametrize(
    ("trouble", "asked"),
    [
        (ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "ListServiceQuotas"), 2),
        (EndpointConnectionError(endpoint_url="https://servicequotas"), 1),
    ],
)
def test_without_permission_the_catalogue_counts(
    trouble: Exception, asked: int, caplog: pytest.LogCaptureFixture
) -> None:
    values, origins = applied(ServiceQuotas(applied=trouble, default=trouble), "X", CATALOGUE)
    assert (values, set(origins.values())) == (CATALOGUE, {"catalogue"})
    entries = [record.__dict__ for record in caplog.records if record.message == "quotas are not looked up"]
    assert [entry["run_id"] for entry in entries] == ["monday"] * asked
    assert {entry["why"] for entry in entries} == {str(trouble)}


def test_a_model_without_a_label_is_not_looked_up() -> None:
    assert applied(None, None, CATALOGUE) == (CATALOGUE, dict.fromkeys(CATALOGUE, "catalogue"))


def test_service_quotas_is_asked_once_for_all_models_of_a_run() -> None:
    listed: dict[str, Any] = {}
    first = ServiceQuotas(applied=[(JOBS.format("X"), 3.0), (JOBS.format("Y"), 4.0)])
    assert applied(first, "X", CATALOGUE, listed=listed)[0]["concurrent_jobs"] == 3
    assert applied(None, "Y", CATALOGUE, listed=listed)[0]["concurrent_jobs"] == 4


def test_jobs_of_custom_models_have_a_quota_of_their_own() -> None:
    custom = JOBS.replace("a base model", "a custom model")
    client = ServiceQuotas(
        default=[(JOBS.format("X"), 100.0), (custom.format("X"), 2.0), ("Records per batch inference job for X", 9.0)]
    )
    assert applied(client, "X", CATALOGUE)[0]["concurrent_jobs"] == 100
    values, origins = applied(client, "X", CATALOGUE, custom=True)
    assert (values["concurrent_jobs"], origins["concurrent_jobs"], values["max_records"]) == (2, "default", 9)

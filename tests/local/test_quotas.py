"""Service Quotas of the local AWS has the limits that its Bedrock enforces."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.process import Engine
from tests.local.conftest import Aws

JOBS = "Sum of in-progress and submitted batch inference jobs using a base model for {}"


def quotas(aws: Aws, operation: str) -> dict[str, dict[str, Any]]:
    """Return all quotas of Bedrock by name, read in small pages."""
    pages = aws.service_quotas.get_paginator(operation).paginate(
        ServiceCode="bedrock", PaginationConfig={"PageSize": 40}
    )
    return {quota["QuotaName"]: quota for page in pages for quota in page["Quotas"]}


def test_quotas_are_the_limits_in_force(engine: Engine, aws: Aws) -> None:
    engine.configure(concurrent_jobs=7, minimum_records=10)
    applied, defaults = quotas(aws, "list_service_quotas"), quotas(aws, "list_aws_default_service_quotas")
    assert applied[JOBS.format("Nova Lite V1")]["Value"] == 7
    assert applied[JOBS.format("Nova Lite V1")]["QuotaCode"] == "L-E2ED42E6"
    assert JOBS.format("Claude Sonnet 4.5") + "." in applied, "spelled as AWS spells it"
    assert defaults[JOBS.format("Nova Lite V1")]["Value"] == 100
    minimum = "Minimum number of records per batch inference job for Nova Lite V1"
    assert minimum not in applied, "as on AWS, only among the defaults"
    assert defaults[minimum]["Value"] == 10
    assert defaults["Batch inference input file size (in GB) for Nova Lite V1"]["Value"] == 1
    custom = JOBS.replace("a base model", "a custom model")
    assert defaults[custom.format("Titan Text Embeddings V2")]["Value"] == 3
    assert custom.format("Nova Lite V1") not in defaults
    assert len({quota["QuotaCode"] for quota in defaults.values()}) == len(defaults)


def test_one_quota_by_its_code(engine: Engine, aws: Aws) -> None:
    engine.configure(concurrent_jobs=3)
    get = aws.service_quotas.get_service_quota
    assert get(ServiceCode="bedrock", QuotaCode="L-1AC1CABC")["Quota"]["Value"] == 3
    with pytest.raises(ClientError, match="NoSuchResourceException"):
        get(ServiceCode="bedrock", QuotaCode="L-00000000")

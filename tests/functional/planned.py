"""Plan a run of one model, and a Service Quotas to plan with."""

import math
from collections.abc import Iterator
from typing import Any

from bedrock_batch.aws.s3 import S3
from bedrock_batch.plan.plan_run import plan_run
from tests.conftest import BUCKET
from tests.unit.factories import HAIKU, claimed, settings

PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123def456"
MODELS = [
    "amazon.nova-lite-v1:0",
    "amazon.titan-embed-text-v2:0",
    "amazon.nova-2-multimodal-embeddings-v1:0",
    "anthropic.claude-opus-5",
    HAIKU,
    PROFILE,
    "cohere.embed-english-v3",
    "acme.chat",
    "openai.gpt-oss-20b-1:0",
]


class ServiceQuotas:
    """Service Quotas with pages of one quota, or without any, so that the catalogue's values are used.

    An exception in place of a list is raised.
    """

    def __init__(self, *, applied: Any = (), default: Any = ()) -> None:
        self._quotas = {"list_service_quotas": applied, "list_aws_default_service_quotas": default}

    def get_paginator(self, operation: str) -> "ServiceQuotas":
        self._asked = operation
        return self

    def paginate(self, *, ServiceCode: str) -> Iterator[dict[str, Any]]:
        assert ServiceCode == "bedrock"
        found = self._quotas[self._asked]
        if isinstance(found, Exception):
            raise found
        for name, value in found:
            yield {"Quotas": [{"QuotaName": name, "Value": value}]}


def plan(s3: S3, model_id: str, *, run_id: str = "monday", seconds: float = math.inf, **given: Any) -> dict[str, Any]:
    """Return the run.json that planning writes."""
    state = plan_run(
        s3,
        ServiceQuotas(),
        claimed(run_id, BUCKET),
        settings=settings(*MODELS),
        input={"s3_uri": f"s3://{BUCKET}/in/t.csv", "model_id": model_id, **given},
        seconds=seconds,
    )
    run: dict[str, Any] = s3.get_json(BUCKET, state.keys.run())
    return run

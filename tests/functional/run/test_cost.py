"""What a run cost, in its report: the tokens that Bedrock counted, at the price of the run input."""

from typing import Any

import pytest

from bedrock_batch.aws.s3 import S3
from tests.functional.whole import LITE, MICRO, MemoryS3, WholeRun, asked, reviews

PRICE = {"input": 30.0, "output": 120.0}


def report_of(*models: str, **given: Any) -> dict[str, Any]:
    s3 = S3(MemoryS3())
    reviews(s3, 12)
    played = WholeRun(s3)
    played.run(asked(*models, **given))
    return played.report()


def cost(tokens: dict[str, int], price: dict[str, float]) -> float:
    return (tokens["input_tokens"] * price["input"] + tokens["output_tokens"] * price["output"]) / 1e6


def test_each_model_has_its_cost_and_the_run_the_sum() -> None:
    dearer = {"input": 60.0, "output": 500.0}
    told = report_of(LITE, MICRO, price={LITE: PRICE, MICRO: dearer})
    lite, micro = told["models"]
    assert lite["input_tokens"] > 0 and lite["output_tokens"] > 0
    assert lite["cost_usd"] == pytest.approx(cost(lite, PRICE), abs=1e-6)
    assert micro["cost_usd"] == pytest.approx(cost(micro, dearer), abs=1e-6)
    assert told["cost_usd"] == pytest.approx(lite["cost_usd"] + micro["cost_usd"])


def test_without_a_price_the_cost_is_not_known() -> None:
    assert report_of(LITE, MICRO)["cost_usd"] is None


def test_where_tokens_are_not_counted_the_cost_is_not_known() -> None:
    told = report_of("mistral.mistral-small-2402-v1:0", price=PRICE, invocation_type="InvokeModel")
    assert told["cost_usd"] is None

"""What a run cost, in its report: the tokens that Bedrock counted, at the price of the run input."""

import gzip
import json
from collections.abc import Sequence
from typing import Any

import pytest

from bedrock_batch.aws.s3 import S3
from bedrock_batch.errors import TooManyFailures
from tests.conftest import BUCKET
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


# --- By route ---

GPT = "openai.gpt-oss-20b-1:0"
ONE = {"input": 1.0, "output": 1.0}


class TieredRun(WholeRun):
    """A run whose answers on demand have the tiers of `names`, one after the other; None means no tier."""

    names: Sequence[str | None] = ()

    def _tier(self, model_id: str, asked: str | None, operation: str) -> str | None:
        told = super()._tier(model_id, asked, operation)
        self.calls = getattr(self, "calls", 0) + 1
        return self.names[(self.calls - 1) % len(self.names)] if self.names else told


def played(rows: int, *models: str, names: Sequence[str | None] = (), **given: Any) -> dict[str, Any]:
    s3 = S3(MemoryS3())
    reviews(s3, rows)
    run = TieredRun(s3)
    run.names = names
    run.run(asked(*models, **given))
    return run.report()


@pytest.mark.parametrize(("model", "route", "times"), [(LITE, "on_demand", 2), (GPT, "flex", 1)])
def test_a_small_table_costs_its_tiers_price(model: str, route: str, times: int) -> None:
    told = played(4, model, price=ONE)
    tokens = told["input_tokens"] + told["output_tokens"]
    assert list(told["usage"]) == [route]
    used = told["usage"][route]
    assert used["records"] == 4 and tokens == used["input_tokens"] + used["output_tokens"] > 0
    assert told["cost_usd"] == used["cost_usd"] == pytest.approx(times * tokens / 1e6)


def test_jobs_and_calls_on_demand_are_priced_apart() -> None:
    told = played(12, LITE, price=ONE, limits={"canary_records": 2})
    batch, on_demand = told["usage"]["batch"], told["usage"]["on_demand"]
    assert (batch["records"], on_demand["records"]) == (10, 2)
    assert batch["usd_per_million"] == ONE and on_demand["usd_per_million"] == {"input": 2.0, "output": 2.0}
    for kind in ("input_tokens", "output_tokens"):
        assert told[kind] == batch[kind] + on_demand[kind]
    assert told["cost_usd"] == pytest.approx(cost(batch, ONE) + 2 * cost(on_demand, ONE), abs=1e-6)


def test_prices_of_routes_may_be_given() -> None:
    price = ONE | {"flex": {"input": 7.0, "output": 7.0}, "on_demand": {"input": 5.0, "output": 5.0}}
    told = played(3, GPT, price=price, names=["flex", "default", None])
    flex, on_demand = told["usage"]["flex"], told["usage"]["on_demand"]
    assert (flex["records"], on_demand["records"]) == (1, 2), "an answer that names no tier had the default one"
    assert flex["cost_usd"] == pytest.approx(cost(flex, price["flex"]), abs=1e-6)
    assert on_demand["cost_usd"] == pytest.approx(cost(on_demand, price["on_demand"]), abs=1e-6)
    assert [
        warning
        for warning in told["warnings"]
        if "2 answers on demand were not given at the requested tier flex" in warning
    ]


def test_the_price_of_another_tier_stays_unknown() -> None:
    told = played(3, GPT, price=ONE, names=["flex", "priority"])
    assert (told["cost_usd"], told["cost_unknown"]) == (None, "the price of the service tier priority is not known")
    assert told["usage"]["priority"]["records"] == 1
    assert told["usage"]["flex"]["cost_usd"] > 0, "what is known is said"


def test_several_models_have_their_own_tiers() -> None:
    told = played(3, LITE, GPT, price=ONE)
    lite, gpt = (section["usage"] for section in told["models"])
    assert (list(lite), list(gpt), list(told["usage"])) == (["on_demand"], ["flex"], ["flex", "on_demand"])
    assert told["cost_usd"] == pytest.approx(lite["on_demand"]["cost_usd"] + gpt["flex"]["cost_usd"])


def test_records_that_are_answered_twice_are_paid_twice() -> None:
    usage = {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7}
    cut = {"output": {"message": {"content": [{"text": "x"}]}}, "stopReason": "max_tokens", "usage": usage}
    s3 = S3(MemoryS3())
    reviews(s3, 20)
    run = WholeRun(s3, lambda model_id, record_id: {"modelOutput": cut})
    run.run(asked(LITE, price=ONE, inference={"max_tokens": 1}, retry={"outcomes": ["truncated"], "max_tokens": 2}))
    told = run.report()
    assert told["retried"]["records"] == 20
    assert told["usage"]["batch"]["records"] == 40
    assert (told["input_tokens"], told["output_tokens"], told["cost_usd"]) == (200, 80, 0.00028)


def test_the_report_names_the_users_own_files() -> None:
    s3 = S3(MemoryS3())
    rows = reviews(s3, 3)
    s3.put(BUCKET, "in/t.jsonl.gz", gzip.compress(b"".join(json.dumps(row).encode() + b"\n" for row in rows)))
    run = WholeRun(s3)
    run.run(asked(LITE, s3_uri=f"s3://{BUCKET}/in/t.jsonl.gz"))
    assert run.report()["input"] == [f"s3://{BUCKET}/in/t.jsonl.gz"]


class CountedRun(TieredRun):
    """A run whose Bedrock counts 1,000 tokens in and none out for each record."""

    uncounted: frozenset[int] = frozenset()

    def _job(self, line: dict[str, Any]) -> dict[str, Any]:
        count = line["records"]
        counted = {"successRecordCount": count, "errorRecordCount": 0, "inputTokenCount": 1000 * count}
        if line["number"] not in self.uncounted:
            self.s3.put_json(BUCKET, f"{line['raw_prefix']}abc/manifest.json.out", counted | {"outputTokenCount": 0})
        return super()._job(line)


@pytest.mark.parametrize("models", [(LITE,), (LITE, MICRO)])
def test_what_the_manifests_say_stands_beside(models: tuple[str, ...]) -> None:
    s3 = S3(MemoryS3())
    reviews(s3, 22)
    run = CountedRun(s3)
    run.run(asked(*models, price=ONE, limits={"canary_records": 2}))
    batch = run.report()["usage"]["batch"]
    assert batch["by_manifest"]["records"] == batch["records"] == 20 * len(models)
    assert batch["by_manifest"]["input_tokens"] == 20_000 * len(models) > batch["input_tokens"]
    assert batch["by_manifest"]["cost_usd"] == 0.02 * len(models)


def test_a_job_without_a_manifest_leaves_their_cost_unknown() -> None:
    s3 = S3(MemoryS3())
    reviews(s3, 20)
    run = CountedRun(s3)
    run.uncounted = frozenset({1})
    run.run(asked(LITE, price=ONE))
    told = run.report()
    assert told["usage"]["batch"]["by_manifest"] == {
        "records": 10,
        "input_tokens": 10_000,
        "output_tokens": 0,
        "cost_usd": None,
        "cost_unknown": "1 of 2 jobs have no manifest",
    }
    assert told["cost_usd"] > 0


def test_jobs_that_left_nothing_do_not_hide_the_cost_by_manifest() -> None:
    """A job that Bedrock refused to make has no manifest, and nothing of it was paid."""
    s3 = S3(MemoryS3())
    reviews(s3, 20)

    class Refused(CountedRun):
        def _job(self, line: dict[str, Any]) -> dict[str, Any]:
            return WholeRun._job(self, line) if self.fate(line) else super()._job(line)

    run = Refused(s3, fate=lambda line: ("NotCreated", "odd") if (line["round"], line["number"]) == (0, 0) else None)
    run.run(asked(LITE, price=ONE))
    told = run.report()
    assert told["jobs"] == {"Completed": 2, "NotCreated": 1}
    assert told["usage"]["batch"]["by_manifest"]["cost_usd"] == 0.02


def test_what_was_paid_and_never_came_has_its_cost_by_manifest() -> None:
    s3 = S3(MemoryS3())
    reviews(s3, 10)
    run = CountedRun(s3, lambda model_id, record_id: None)
    with pytest.raises(TooManyFailures):
        run.run(asked(LITE, price=ONE, limits={"max_rounds": 0}))
    batch = run.report()["usage"]["batch"]
    assert (batch["records"], batch["cost_usd"]) == (0, 0)
    assert (batch["by_manifest"]["records"], batch["by_manifest"]["cost_usd"]) == (10, 0.01)

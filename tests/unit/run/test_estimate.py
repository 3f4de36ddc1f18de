"""Review: the prepared shards are added up, and nothing is paid that should not be."""

from dataclasses import replace
from typing import Any

import pytest

from bedrock_batch.contracts.results import PreparedShard
from bedrock_batch.contracts.run import Run
from bedrock_batch.errors import BudgetExceeded, InvalidRunInput, MalformedInput, NoValidRows, PrepareFailed
from bedrock_batch.run import estimate
from bedrock_batch.run_input import validate
from tests.unit.factories import make_prepared, make_run


def run_with(*, retry: dict[str, Any] | None = None, **keys: Any) -> Run:
    document = {"s3_uri": "s3://bucket/t.csv", "model_id": "m", "prompt_id": "sentiment", **keys}
    return make_run(input=validate.validate(document), retry=retry)


def prepared(shard: int) -> dict[str, Any]:
    return PreparedShard(shard, 1, [make_prepared(shard)]).to_json()


def failure(shard: int, error: str, cause: str) -> dict[str, Any]:
    return {"shard": shard, "error": error, "cause": cause}


def test_results_come_in_any_order() -> None:
    results = [prepared(2), prepared(0), prepared(1)]
    assert [shard.shard for shard in estimate.prepared_shards(results)] == [0, 1, 2]


def test_an_error_of_the_input_keeps_its_class_and_sentence() -> None:
    results = [
        failure(1, "Runtime.ExitError", "killed"),
        prepared(0),
        failure(2, "MalformedInput", '{"errorMessage": "s3://b/t.csv, row 7: 2 cells", "errorType": "MalformedInput"}'),
    ]
    with pytest.raises(MalformedInput, match="^s3://b/t.csv, row 7: 2 cells$"):
        estimate.prepared_shards(results)


@pytest.mark.parametrize("cause", ["killed", '{"errorMessage": "killed"}', '"killed"'])
def test_another_error_names_the_shard(cause: str) -> None:
    with pytest.raises(PrepareFailed, match="Shard 00003 could not be prepared: Runtime.ExitError: .?killed"):
        estimate.prepared_shards([failure(3, "Runtime.ExitError", cause)])


def test_estimate_adds_up() -> None:
    run = run_with(inference={"max_tokens": 10}, price={"input": 2.0, "output": 4.0})
    expected = estimate.estimate(
        run, [make_prepared(0, records=100, skipped=5), make_prepared(1, records=0, skipped=3)]
    )
    assert (expected.rows, expected.records, expected.skipped, expected.jobs) == (108, 100, 8, 1)
    assert (expected.input_tokens, expected.output_tokens) == (5_000, 1_000)
    assert expected.cost_usd == pytest.approx((5_000 * 2 + 1_000 * 4) / 1e6)


def test_blank_records_are_a_warning_with_their_number() -> None:
    shards = [replace(make_prepared(0, records=100), blank=3), replace(make_prepared(1, records=100), blank=1)]
    run = run_with()
    assert estimate.estimate(run, [make_prepared(0)]).warnings == ()
    assert "warnings" not in estimate.estimate(run, [make_prepared(0)]).to_json()
    for form, hint in (("csv", 'input.csv.null_values [""] makes'), ("parquet", "Remove these rows")):
        expected = estimate.estimate(replace(run, table=replace(run.table, format=form)), shards)
        (warning,) = expected.to_json()["warnings"]
        assert warning.startswith(
            "In 4 of 200 records a place of the request is blank. These records are sent and paid."
        )
        assert hint in warning
        assert estimate.total({"a": expected, "b": expected}).warnings == (warning,), (
            "models of one body have the same records"
        )


def test_the_cost_of_retries_is_bounded_apart() -> None:
    keys: dict[str, Any] = {"inference": {"max_tokens": 10}, "price": {"input": 2.0, "output": 4.0}}
    retry = {"outcomes": ["truncated"], "max_tokens": 50, "place": "/inferenceConfig/maxTokens"}
    run = run_with(**keys, limits={"budget_usd": 0.043}, retry=retry)
    expected = estimate.estimate(run, [make_prepared(0, records=100)])
    assert (expected.output_tokens, expected.cost_usd) == (1_000, 0.014)
    assert expected.cost_with_retries_usd == pytest.approx(0.014 + (5_000 * 2 + 5_000 * 4) / 1e6)
    with pytest.raises(BudgetExceeded, match=r"0.014 USD, and 0.044 USD if retry .*budget_usd is 0.043"):
        estimate.check(run, expected)
    same = run_with(**keys, limits={"budget_usd": 0.043}, retry=retry | {"max_tokens": None, "place": None})
    assert estimate.estimate(same, [make_prepared(0, records=100)]).cost_with_retries_usd == 0.028
    without = estimate.estimate(run_with(**keys), [make_prepared(0, records=100)])
    assert "cost_with_retries_usd" not in without.to_json()
    estimate.check(same, estimate.estimate(same, [make_prepared(0, records=100)]))


def test_an_unbounded_answer_has_no_cost() -> None:
    expected = estimate.estimate(run_with(price={"input": 2, "output": 4}), [make_prepared(0)])
    assert expected.output_tokens is None
    assert expected.cost_usd is None


def test_estimates_of_models_add_up() -> None:
    price = {"input": 1.0, "output": 950.0}
    one = estimate.estimate(run_with(price=price, inference={"max_tokens": 1}), [make_prepared(0, skipped=2)])
    dearer = price | {"output": 1950.0}
    two = estimate.estimate(run_with(price=dearer, inference={"max_tokens": 1}), [make_prepared(0)])
    both = estimate.total({"a": one, "b": two})
    assert (both.rows, both.records, both.skipped, both.jobs) == (102, 200, 2, 2), "rows are the table's"
    assert (one.cost_usd, two.cost_usd, both.output_tokens) == (0.1, 0.2, 200)
    assert both.cost_usd == 0.3, "rounded, as binary fractions are not"
    unbounded = estimate.estimate(run_with(price=price), [make_prepared(0)])
    assert unbounded.cost_unknown == "the run input has no inference.max_tokens, which limits the answers"
    both = estimate.total({"a": one, "b": unbounded})
    assert both.cost_unknown == f"b: {unbounded.cost_unknown}"
    assert (both.input_tokens, both.output_tokens, both.cost_usd) == (10_000, None, None)


def test_the_shards_of_a_model_are_those_that_were_prepared_for_it() -> None:
    prepared = [make_prepared(number, records=100 + number) for number in (3, 0, 2, 1)]
    own = make_run(shards=2, models=["a", "b", "c"], number=1, rendered_as=1)
    assert [(one.shard, one.records) for one in estimate.of_model(own, prepared)] == [(2, 102), (3, 103)]
    same = make_run(shards=2, models=["a", "b", "c"], number=2, rendered_as=0)
    assert [(one.shard, one.records) for one in estimate.of_model(same, prepared)] == [(4, 100), (5, 101)]


def test_nothing_valid_is_refused() -> None:
    run = run_with()
    with pytest.raises(NoValidRows, match="All 5 rows were skipped. .*/reviews/work/monday/skipped/"):
        estimate.check(run, estimate.estimate(run, [make_prepared(0, records=0, skipped=5)]))


def test_too_few_records_are_refused_where_nothing_would_be_sent() -> None:
    def check(records: int, **limits: Any) -> None:
        run = run_with(limits=limits)
        estimate.check(run, estimate.estimate(run, [make_prepared(0, records=records)]))

    with pytest.raises(InvalidRunInput, match="99 records are fewer than the 100 .*limits.on_demand_tail is false"):
        check(99, on_demand_tail=False)
    check(100, on_demand_tail=False)
    check(99, on_demand_tail=False, canary_records=5)
    check(99)


def test_budget() -> None:
    keys: dict[str, Any] = {"price": {"input": 2.0, "output": 4.0}, "inference": {"max_tokens": 10}}
    within = run_with(**keys, limits={"budget_usd": 0.014})
    estimate.check(within, estimate.estimate(within, [make_prepared(0)]))
    over = run_with(**keys, limits={"budget_usd": 0.0139})
    with pytest.raises(BudgetExceeded, match=r"The estimate is 0.014 USD .*budget_usd is 0.0139"):
        estimate.check(over, estimate.estimate(over, [make_prepared(0)]))
    unbounded = run_with(price={"input": 1, "output": 1}, limits={"budget_usd": 1})
    with pytest.raises(InvalidRunInput, match="Set inference.max_tokens"):
        estimate.check(unbounded, estimate.estimate(unbounded, [make_prepared(0)]))


def test_sums_of_money_are_rounded() -> None:
    retry = {"outcomes": ["truncated"], "max_tokens": None, "place": None}
    keys: dict[str, Any] = {"inference": {"max_tokens": 1}}
    estimates = {}
    for name, output in (("a", 500.0), ("b", 1000.0)):
        run = run_with(**keys, price={"input": 0.0, "output": output}, retry=retry)
        estimates[name] = estimate.estimate(run, [make_prepared(0)])
    assert [one.cost_with_retries_usd for one in estimates.values()] == [0.1, 0.2]
    assert estimate.total(estimates).cost_with_retries_usd == 0.3, "not 0.30000000000000004"


@pytest.mark.parametrize(
    ("sizes", "limits", "jobs", "on_demand", "warning"),
    [
        (
            [20],
            {},
            0,
            20,
            "20 records are fewer than 100, so they are answered on demand, at about twice the batch price",
        ),
        (
            [150, 20],
            {},
            1,
            20,
            "20 of 170 records are fewer than 100, so they are answered on demand, at about twice the batch price",
        ),
        ([1], {}, 0, 1, "1 record is fewer than 100, so it is answered on demand"),
        ([150, 1], {}, 1, 1, "1 of 151 records is fewer than 100, so it is answered on demand"),
        ([150, 60, 60], {}, 2, 0, ""),
        ([150, 20], {"on_demand_tail": False}, 1, 0, ""),
        ([120, 150], {"canary_records": 120}, 1, 120, ""),
        ([10, 20], {"canary_records": 10}, 0, 30, "20 of 30 records are fewer than 100"),
    ],
)
def test_what_goes_on_demand_is_foretold(
    sizes: list[int], limits: dict[str, Any], jobs: int, on_demand: int, warning: str
) -> None:
    run = run_with(limits=limits)
    expected = estimate.estimate(run, [make_prepared(number, records=count) for number, count in enumerate(sizes)])
    assert (expected.jobs, expected.on_demand_records) == (jobs, on_demand)
    assert [told[: len(warning)] for told in expected.warnings] == ([warning] if warning else [])
    assert expected.cost_unknown == "the run input has no price"


GPT = "openai.gpt-oss-20b-1:0"
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123def456"


@pytest.mark.parametrize(
    ("model", "tier", "times", "words"),
    [
        ("amazon.nova-lite-v1:0", "default", 2, "answered on demand, at about twice the batch price"),
        (GPT, "default", 2, "answered on demand, at about twice the batch price"),
        (GPT, "flex", 1, "answered on demand at the tier flex, at about the batch price"),
        # These may refuse the tier.
        (PROFILE, "flex", 2, "answered on demand, at about twice the batch price"),
        ("amazon.nova-lite-v1:0", "flex", 2, "answered on demand, at about twice the batch price"),
    ],
)
def test_each_record_costs_the_price_of_its_route(model: str, tier: str, times: int, words: str) -> None:
    keys: dict[str, Any] = {"price": {"input": 2.0, "output": 4.0}, "inference": {"max_tokens": 10}}
    run = run_with(**keys, model_id=model, limits={"on_demand_tier": tier, "canary_records": 5})
    shards = [make_prepared(0, records=5), make_prepared(1, records=150), make_prepared(2, records=20)]
    expected = estimate.estimate(run, shards)
    of_record = (50 * 2.0 + 10 * 4.0) / 1e6
    assert expected.on_demand_records == 25
    assert expected.cost_usd == pytest.approx((150 + times * 25) * of_record)
    assert expected.warnings == (f"20 of 175 records are fewer than 100, so they are {words}",)
    given = replace(run, input=run.input | {"price": keys["price"] | {"on_demand": {"input": 0, "output": 0}}})
    assert estimate.estimate(given, shards).cost_usd == pytest.approx((150 + (25 if times == 1 else 0)) * of_record)


@pytest.mark.parametrize(("behind", "times"), [(GPT, 1), ("amazon.nova-lite-v1:0", 2)])
def test_a_profile_costs_the_price_of_the_model_behind_it(behind: str, times: int) -> None:
    keys: dict[str, Any] = {"price": {"input": 2.0, "output": 4.0}, "inference": {"max_tokens": 10}}
    run = run_with(**keys, model_id=PROFILE, limits={"on_demand_tier": "flex"})
    run = replace(run, model_behind=f"arn:aws:bedrock:us-east-1::foundation-model/{behind}")
    expected = estimate.estimate(run, [make_prepared(0, records=20)])
    assert expected.cost_usd == pytest.approx(times * 20 * (50 * 2.0 + 10 * 4.0) / 1e6)


def test_second_answers_that_are_too_few_for_a_job_cost_the_price_on_demand() -> None:
    keys: dict[str, Any] = {"price": {"input": 0.0, "output": 1.0}, "inference": {"max_tokens": 10}}
    retry = {"outcomes": ["invalid"], "max_tokens": None, "place": None}
    run = run_with(**keys, retry=retry)
    assert estimate.estimate(run, [make_prepared(0, records=20)]).cost_with_retries_usd == 0.0008
    assert estimate.estimate(run, [make_prepared(0, records=200)]).cost_with_retries_usd == 0.004

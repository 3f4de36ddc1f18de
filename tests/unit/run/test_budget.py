"""The budget between the steps of a run: the USD spent, and the most that the next step may cost."""

from dataclasses import replace
from typing import Any

import pytest

from bedrock_batch.contracts.lines import JobEnd
from bedrock_batch.contracts.results import JobCounts, Joined
from bedrock_batch.contracts.run import Run
from bedrock_batch.run import budget
from bedrock_batch.run.decide import Standing
from bedrock_batch.run_input import validate
from tests.unit.factories import make_run
from tests.unit.output_lines import CONVERSE

GPT = "openai.gpt-oss-20b-1:0"
END = JobEnd("job", "Completed", "raw/job/")


def run_with(*, response: dict[str, str] = CONVERSE, retry: dict[str, Any] | None = None, **limits: Any) -> Run:
    """Return a run whose tokens cost a dollar each, input and output, for a batch."""
    asked = {"s3_uri": "s3://bucket/t.csv", "model_id": "m", "prompt_id": "p", "price": {"input": 1e6, "output": 1e6}}
    document = validate.validate(asked | {"inference": {"max_tokens": 10}, "limits": limits})
    return make_run(input=document, model_id=GPT, response=response, retry=retry)


def standing(
    came: dict[str, dict[str, JobCounts]], *, left: int = 5, retries: int = 0, step: int | None = 1
) -> Standing:
    """Return a shard of 100 records of 40 bytes and 7 tokens, of which `left` have no answer."""
    joined = Joined(
        shard=0, rows=100, output_key="p", bytes=1, outcomes={}, leftovers=left, input_tokens=0, output_tokens=0,
        jobs=1, leftovers_step=step, leftover_bytes=(left + retries) * 40, retries=retries, came=came,
    )  # fmt: skip
    return Standing(shard=0, records=100, bytes=4000, ends=(END,), joined=joined, input_tokens=700)


def excess(
    run: Run, shard: Standing, step: str = "run_jobs", *, manifests: dict[str, JobCounts] | None = None
) -> tuple[float, float]:
    """Return the USD spent and the cost of the next step, for a run without any budget left."""
    found = budget.excess(step, [(run, [shard])], [(run, [shard])], manifests or {}, budget_usd=0.5)
    assert found is not None
    return found.spent_usd, found.next_usd


ANSWERED = JobCounts(records=95, answered=95, input_tokens=600, output_tokens=50)


def test_leftovers_cost_their_share_of_the_input_and_the_most_that_they_may_answer() -> None:
    assert excess(run_with(), standing({"job": {"batch": ANSWERED}})) == (650, 5 * 7 + 5 * 10)


def test_a_budget_that_is_just_met_allows_the_step() -> None:
    run, shard = run_with(), standing({"job": {"batch": ANSWERED}})
    for limit, allowed in ((735, True), (734.99, False)):
        found = budget.excess("run_jobs", [(run, [shard])], [(run, [shard])], {}, budget_usd=limit)
        assert (found is None) == allowed


def test_of_rows_and_manifest_the_dearer_counts() -> None:
    shard = standing({"job": {"batch": ANSWERED}})
    assert excess(run_with(), shard, manifests={"job": JobCounts(100, 100, 700, 60)})[0] == 760
    assert excess(run_with(), shard, manifests={"job": JobCounts(1, 1, 7, 6)})[0] == 650
    lost = standing({"job": {}})
    assert excess(run_with(), lost, manifests={"job": JobCounts(100, 100, 700, 60)})[0] == 760, "nothing came back"


def test_tokens_that_answers_do_not_name_count_as_estimated() -> None:
    run = run_with(response={"text": "text"})
    shard = standing({"job": {"batch": JobCounts(records=95, answered=90)}})
    assert excess(run, shard)[0] == 90 * 7 + 90 * 10
    assert excess(run, shard, manifests={"job": JobCounts(90, 90, 500, 40)})[0] == 540, "Bedrock has counted them"


@pytest.mark.parametrize(
    ("tier", "came", "times"),
    [
        ("default", {}, 2),
        ("flex", {}, 1),
        ("flex", {"flex": ANSWERED}, 1),
        ("flex", {"flex": ANSWERED, "on_demand": JobCounts(records=3)}, 1),  # These are errors, which have no tier.
        ("flex", {"flex": ANSWERED, "on_demand": ANSWERED}, 2),  # it was refused
    ],
)
def test_the_tail_costs_the_price_of_its_tier(tier: str, came: dict[str, JobCounts], times: int) -> None:
    run = run_with(on_demand_tier=tier)
    shard = standing({"job": {"batch": ANSWERED}, "on-demand-0": came})
    assert excess(run, shard, "answer")[1] == times * (5 * 7 + 5 * 10)
    assert excess(run, shard)[1] == 5 * 7 + 5 * 10, "a job costs the batch price"


def test_each_route_was_paid_at_its_own_price() -> None:
    came = {route: JobCounts(1, 1, 1, 0) for route in ("flex", "on_demand", "priority")}
    assert excess(run_with(), standing({"on-demand-0": came}))[0] == 1 + 2 + 2


def test_records_that_are_asked_again_may_use_the_larger_limit() -> None:
    run = run_with(retry={"outcomes": ["truncated"], "max_tokens": 30, "place": "/x"})
    shard = standing({"job": {"batch": ANSWERED}}, left=2, retries=3)
    assert excess(run, shard)[1] == 5 * 7 + 2 * 10 + 3 * 30
    alone = shard.retries_alone()
    assert excess(run, alone)[1] == 3 * 7 + 3 * 30
    again = replace(shard, ends=(END, replace(END, leftovers_step=1)))
    assert excess(run, again)[1] == 5 * 7 + 5 * 30, "a leftover may be one that was asked again in vain"


def test_shards_of_one_job_count_it_once() -> None:
    run, shard = run_with(), standing({"job": {"batch": ANSWERED}})
    less = standing({"job": {"batch": replace(ANSWERED, records=90, input_tokens=500)}})
    for shards in ([shard, less], [less, shard]):
        found = budget.excess("run_jobs", [(run, shards)], [(run, shards)], {}, budget_usd=1)
        assert found is not None and found.spent_usd == 650, "and the later look at it"
